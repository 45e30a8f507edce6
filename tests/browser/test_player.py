"""The player shows the exact moment: the number drawn in the frame is read back from the page."""

import pytest

from tests.page_archive import KINDS, make_archive
from tests.page_server import served

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_first_picture_of_an_event_is_the_frame_on_screen_at_its_start(
    look, site, archive, kind
):
    shown = archive[1][kind]
    eyes = look().open(site, f"event={shown.event_id}")
    eyes.wait_for_number(shown.number)


def test_a_large_recording_is_asked_for_in_ranges_and_not_loaded_as_a_whole(look, site, archive):
    eyes, asked = look(), []
    eyes.page.on(
        "response",
        lambda r: "/source" in r.url and asked.append((r.status, r.headers.get("content-range"))),
    )
    eyes.open(site, f"event={archive[1]['large'].event_id}").shown_number()
    assert {status for status, _ in asked} == {206}
    assert any(not content_range.startswith("bytes 0-") for _, content_range in asked)


@pytest.mark.parametrize("kind", ["vfr", "hevc"])
def test_a_step_goes_to_the_next_real_frame_and_back(look, site, archive, kind):
    shown = archive[1][kind]
    eyes = look().open(site, f"event={shown.event_id}")
    eyes.wait_for_number(shown.number)
    for key, number in ((".", 1), (".", 2), (",", 1), (",", 0), (",", -1)):
        eyes.page.keyboard.press(key)
        eyes.wait_for_number(shown.number + number)


def test_an_event_over_two_files_plays_part_after_part(look, site, archive):
    eyes = look().open(site, f"event={archive[1]['two'].event_id}")
    eyes.shown_number()
    eyes.page.get_by_text("part 1 / 2").wait_for()
    eyes.page.keyboard.press(" ")
    eyes.page.get_by_text("part 2 / 2").wait_for()
    eyes.page.wait_for_function("() => document.querySelector('video').dataset.mediaS > 0.2")
    eyes.page.keyboard.press(" ")
    eyes.page.keyboard.press(",")  # to the frame before, so that nothing moves any more
    eyes.wait_until(lambda: eyes.shown_number() == round(eyes.media_s() * 25))


def test_a_click_on_empty_time_of_a_lane_plays_that_moment(look, site):
    eyes = look().open(site, "from=2026-03-01T08:01:00Z&to=2026-03-01T08:01:10Z&camera=avi")
    canvas = eyes.page.locator(".lanes canvas")
    eyes.page.wait_for_timeout(400)
    box = canvas.bounding_box()
    canvas.click(position={"x": 132 + (box["width"] - 132) * 0.2, "y": 48})
    eyes.wait_for_number(49, 50, 51)


def test_of_a_recording_that_is_gone_a_sentence_says_so(look, tmp_path):
    root, shown = make_archive(tmp_path, ("vfr", "avi"))
    (tmp_path / "vfr.mp4").unlink()
    (tmp_path / "old.avi").unlink()
    with served(root) as (address, _):
        eyes = look()
        eyes.expected = ("410", "404")
        for kind in ("vfr", "avi"):
            eyes.open(address, f"event={shown[kind].event_id}")
            eyes.page.get_by_text("The recording is gone").wait_for()
        eyes.page.close()
