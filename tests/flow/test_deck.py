"""A deck that is put beside an indexed recording numbers its pages; nothing is watched again."""

import pytest

from pipeline.demo.deck import make_pages, write_recording
from pipeline.demo.deck_file import write_pictures_pdf

pytestmark = pytest.mark.ray

SETTINGS = {"frame.luma_width": "320", "slides": "{}", "sample.fps": "2"}


def test_a_deck_that_comes_later_numbers_the_pages_and_no_window_is_watched_again(cli, tmp_path):
    recording, index = tmp_path / "talk_20260314T090000Z.mp4", tmp_path / "index"
    pages = make_pages(3)[:3]
    write_recording(pages, recording, seed=3, order=(3, 1))
    options = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    run = ("index", tmp_path, "--index", index, *options, "--json")

    def slides():
        rows = cli.rows("query", "--index", index, "--table", "slides")
        return [(row["page"], row["deck_page"]) for row in rows]

    assert cli.json(*run)["videos"]["done"] == 1
    windows = cli.rows("query", "--index", index, "--table", "windows")
    assert slides() == [(1, None), (2, None)]
    write_pictures_pdf(pages, recording.with_suffix(".pdf"))
    assert cli.json(*run)["videos"]["done"] == 1
    assert slides() == [(1, 3), (2, 1)]
    assert cli.rows("query", "--index", index, "--table", "windows") == windows
    assert cli.json(*run)["videos"]["skipped"] == 1
