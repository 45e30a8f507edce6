"""A real RapidOCR reads the pages of a recording, English and Chinese, once each."""

import re

import pytest

from pipeline.config.run import SlidesConfig
from pipeline.demo.deck import DeckPage, cjk_font, write_recording
from pipeline.slides import slides_of_video
from tests.decks import CONFIG, look_at

pytestmark = pytest.mark.ocr

PAGES = (
    DeckPage("Product price", ("Gateway 1,250 EUR", "Support 99 EUR a year")),
    DeckPage("市场数据", ("收入增长 18%", "客户流失 4%"))
    if cjk_font()
    else DeckPage("Market data", ("Growth 18%", "Churn 4%")),
)
READING = CONFIG.model_copy(update={"slides": SlidesConfig(read_text=True)})


def letters(text):
    """Without spaces, which the network loses between English words, and without bullets."""
    return re.sub(r"[^\w%]", "", text).lower()


def test_each_page_is_read_letter_by_letter(tmp_path):
    path = tmp_path / "meeting.mp4"
    write_recording(PAGES, path, seed=3, order=(1, 2, 1))
    slides = slides_of_video(*look_at(path, READING), task="t")
    assert [slide.page for slide in slides] == [1, 2, 1]
    for slide, page in zip(slides, (PAGES[0], PAGES[1], PAGES[0]), strict=True):
        for line in page.text.splitlines():
            assert letters(line) in letters(slide.text)


def test_to_read_is_another_answer_than_not_to_read():
    assert READING.fingerprint != CONFIG.fingerprint
