"""A clip that was joined of many plays in a real browser: each picture stands at its time."""

from fractions import Fraction

import pytest

from pipeline.media.clip import write_clip
from pipeline.records import Cut
from pipeline.timebase import TimeRange, seconds_to_ns
from tests.clips import probed
from tests.disturbed import Disturbance, disturbed_server, folder
from tests.videos import make_video

pytestmark = pytest.mark.browser

NUM_CLIPS, LENGTH_S, RATE = 20, 0.4, 25
KINDS = {
    "h264.mp4": {},
    "hevc.mkv": {"codec": "libx265"},
    "stream.ts": {},
    "old.avi": {"codec": "mpeg4", "bframes": 0, "time_base": Fraction(1, RATE)},
    "larger.webm": {"codec": "libvpx-vp9", "bframes": 0, "width": 320, "height": 192},
}
_SEEK = """at => new Promise(done => {
    const video = document.querySelector("video");
    video.addEventListener("seeked", () => done(video.duration), {once: true});
    video.currentTime = at;
})"""
_PLAY = """() => {
    const video = document.querySelector("video");
    video.currentTime = 0;
    video.playbackRate = 8;
    video.play();
}"""


def test_a_join_of_twenty_clips_of_five_kinds_plays_each_picture_at_its_time(look, tmp_path):
    videos = [
        probed(make_video(tmp_path / name, num_frames=60, rate=RATE, **how))
        for name, how in KINDS.items()
    ]
    starts_s = [0.04 * number for number in range(NUM_CLIPS)]
    cuts = [
        Cut(
            video=videos[number % len(videos)],
            media=TimeRange(seconds_to_ns(start_s), seconds_to_ns(start_s + LENGTH_S)),
        )
        for number, start_s in enumerate(starts_s)
    ]
    write_clip(tmp_path / "joined.mp4", cuts)
    with disturbed_server(folder(tmp_path), Disturbance()) as address:
        eyes = look()
        eyes.expected = ("404",)  # that server has no picture for the tab
        eyes.page.goto(address)
        video = "<video src='joined.mp4' muted preload='auto' data-media-s='0'></video>"
        eyes.page.evaluate("video => { document.body.innerHTML = video; }", video)
        for number in range(0, NUM_CLIPS, 3):  # each kind is among them
            at_s = (number + 0.5) * LENGTH_S + 0.5 / RATE
            duration_s = eyes.page.evaluate(_SEEK, at_s)
            assert duration_s == pytest.approx(NUM_CLIPS * LENGTH_S, abs=0.05)
            eyes.wait_until(lambda wanted=number + 5: eyes.shown_number() == wanted)
        eyes.page.evaluate(_PLAY)
        eyes.wait_until(lambda: eyes.page.evaluate("document.querySelector('video').ended"))
