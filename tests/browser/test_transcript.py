"""What is said stands beside the player: its word is marked, and a click on a word goes there."""

import base64
import io

import pytest
from PIL import Image, ImageDraw

import pipeline.index as pi
from pipeline.timebase import datetime_to_ns
from tests.browser.conftest import DESKTOP, PHONE
from tests.index_rows import at, in_file, rows, utterance, video, window
from tests.page_archive import RATE
from tests.page_server import served
from tests.sounds import RATE_HZ, beeps, make_sound
from tests.videos import make_video

pytestmark = pytest.mark.browser

SENTENCES = (
    ("Ada", 0.4, 0.4, "en", ["The", "price", "is", "forty", "euros."], " "),
    ("王芳", 3.2, 0.5, "zh", ["价格", "不变", "。"], ""),
    ("Ada", 6.0, 0.3, "zh", ["回到", "首页"], ""),
)
"""Who speaks, from when on, how long each word is, and the words."""


def page_picture(title):
    image = Image.new("LA", (160, 90), (255, 255))
    ImageDraw.Draw(image).text((10, 10), title, fill=(0, 255))
    out = io.BytesIO()
    image.save(out, "WEBP")
    return base64.b64encode(out.getvalue()).decode()


def sentence(speaker, start_s, word_s, language, words, between):
    starts = [start_s + number * word_s for number in range(len(words))]
    return utterance(
        f"u-{start_s}",
        start_s,
        starts[-1] + word_s,
        camera="room",
        task="speech",
        speaker=speaker,
        language=language,
        text=between.join(words),
        words=[
            {"start": at(start), "end": at(start + word_s), "text": word, "probability": 0.9}
            for start, word in zip(starts, words, strict=True)
        ],
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a meeting of 8 s: two sentences, two pages."""
    folder = tmp_path_factory.mktemp("meeting")
    path = make_video(folder / "room.mp4", num_frames=8 * RATE, rate=RATE)
    facts = {"camera": "room", "uri": str(path), "num_bytes": path.stat().st_size, "codec": "h264"}
    facts |= {"origin_pts": 0, "width": 320, "height": 240, "time_base": f"1/{RATE * 512}"}
    facts |= {"clock_start": at(0), "clock_start_ns": datetime_to_ns(at(0))}
    slides = [
        {"slide_id": f"s{page}", "page": page, "start": at(start_s), "end": at(end_s)}
        | {"camera": "room", "video_id": "v1", "text": text, "picture": page_picture(text)}
        | {"deck_page": 5 if page == 2 else None}
        | in_file(start_s, end_s)
        for page, start_s, end_s, text in [(1, 0.0, 3.0, "Prices"), (2, 3.0, 8.0, "价格")]
    ]
    writer = pi.Writer(folder / "index")
    own = {"camera": "room", "uri": str(path)}
    writer.write_windows(
        rows("windows", window("p", 0, 0, 8, **own), window("s", 0, 0, 8, task="speech", **own))
    )
    for task, told in (
        ("pages", {"slides": rows("slides", *(one | {"task": "pages"} for one in slides))}),
        ("speech", {"utterances": rows("utterances", *(sentence(*one) for one in SENTENCES))}),
    ):
        done = rows("videos", video("v1", 0.0, 8.0) | facts | {"task": task})
        writer.finish_videos(done, rows("events"), segments=rows("segments"), **told)
    with served(folder / "index") as (address, _):
        yield address


@pytest.fixture
def open_transcript(look, site):
    def open_at(size=DESKTOP, query="", **context):
        eyes = look(size, **context).open(site, f"tab=transcript&{query}")
        eyes.page.locator(".transcript li").nth(1).wait_for()
        return eyes

    return open_at


def test_a_click_on_a_word_plays_it_and_the_word_and_the_page_of_the_moment_are_marked(
    open_transcript,
):
    eyes = open_transcript()
    assert eyes.page.locator(".speaker").all_inner_texts() == ["Ada", "王芳", "Ada"]
    said = eyes.page.locator(".transcript li p[lang]")
    assert said.all_inner_texts() == ["The price is forty euros.", "价格不变。", "回到首页"]
    marked, page = eyes.page.locator(".word.now"), eyes.page.locator(".page[aria-current=true]")
    for word, start_s, number in [("forty", 1.6, 1), ("不变", 3.7, 5), ("The", 0.4, 1)]:
        eyes.page.locator(".word", has_text=word).first.click()
        eyes.wait_for_number(round(start_s * RATE))
        assert marked.all_inner_texts() == [word]
        assert f"Page {number}" in page.inner_text()
    for _ in range(round(0.4 * RATE)):  # frame by frame to the next word
        assert marked.all_inner_texts() == ["The"]
        before = eyes.media_s()
        eyes.page.keyboard.press(".")
        eyes.wait_until(lambda before=before: eyes.media_s() > before)
    eyes.wait_until(lambda: marked.all_inner_texts() == ["price"])
    eyes.page.locator(".page").nth(1).click()
    eyes.wait_for_number(3 * RATE)
    assert marked.count() == 0  # nobody speaks yet


def test_who_speaks_of_another_page_leads_to_it(open_transcript):
    eyes = open_transcript()
    topic = eyes.page.locator(".topic")
    topic.wait_for()
    assert topic.inner_text() == "→ speaks of page 1"
    assert topic.get_attribute("title") == "position: first"
    assert "回到首页" in eyes.page.locator(".transcript li", has=topic).inner_text()
    eyes.page.locator(".word", has_text="不变").click()
    eyes.wait_for_number(round(3.7 * RATE))
    topic.get_by_role("button").click()
    eyes.wait_for_number(0)
    assert "Page 1" in eyes.page.locator(".page[aria-current=true]").inner_text()


def test_a_search_may_be_for_what_was_said_or_shown(open_transcript):
    eyes = open_transcript(query="text=价格")
    eyes.page.get_by_role("tab", name="Best matches").click()
    hits = eyes.page.locator(".hits a")
    hits.nth(1).wait_for()
    eyes.page.get_by_role("button", name="Said").click()
    eyes.wait_until(lambda: hits.count() == 1)
    assert "Said · 王芳" in hits.inner_text()
    hits.click()
    eyes.wait_for_number(round(3.2 * RATE))
    assert "within=said" in eyes.page.url


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_transcript_stands_in_nobody_s_way(open_transcript, theme, size):
    from axe_playwright_python.sync_playwright import Axe

    eyes = open_transcript(size, f"theme={theme}", bypass_csp=True)
    eyes.page.locator(".word").nth(3).click()
    eyes.page.locator(".word.now").wait_for()
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}
    found = Axe().run(eyes.page, options=rules).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    assert eyes.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_recording_of_sound_alone_is_followed_word_by_word(look, tmp_path):
    path = make_sound(tmp_path / "call.wav", [(beeps([1.0], 8.0), 0.0)], codec="pcm_s16le")
    own = {"camera": "room", "uri": str(path), "num_bytes": path.stat().st_size, "task": "speech"}
    facts = {"codec": "pcm_s16le", "origin_pts": 0, "time_base": f"1/{RATE_HZ}"}
    facts |= {"clock_start": at(0), "clock_start_ns": datetime_to_ns(at(0))}
    said = rows("utterances", *(sentence(*one) for one in SENTENCES))
    pi.Writer(tmp_path / "index").finish_videos(
        rows("videos", video("v1", 0.0, 8.0) | facts | own),
        rows("events"),
        segments=rows("segments"),
        utterances=said,
    )
    with served(tmp_path / "index") as (address, _):
        eyes = look().open(address, "tab=transcript")
        marked = eyes.page.locator(".word.now")
        for word in ("forty", "不变"):
            eyes.page.locator(".word", has_text=word).click()
            eyes.wait_until(lambda word=word: marked.all_inner_texts() == [word])
