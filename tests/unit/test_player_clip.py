"""A clip for the player has the very frames of the recording, each at its own time."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.config import DecodeConfig, SampleConfig
from pipeline.media import probe
from pipeline.media.player_clip import clip, frames_in, still
from pipeline.plan import packets_for
from pipeline.timebase import NS_PER_S, TimeRange
from tests.clips import flashes_and_beeps, sounding
from tests.page_archive import KINDS
from tests.videos import make_video, number_in, source_of


def probed(path):
    return probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())


@pytest.mark.parametrize("kind", ["avi", "hevc", "ts", "vfr", "late"])
def test_a_clip_holds_each_frame_of_its_range_once_at_its_own_time(tmp_path, kind):
    [path] = KINDS[kind](tmp_path)
    video, packets = probed(path)
    pts = frames_in(video, packets, TimeRange(2 * NS_PER_S + 1, 3 * NS_PER_S)).tolist()
    data = b"".join(clip(video, packets_for(packets, pts), pts))
    with av.open(io.BytesIO(data)) as made:
        seen = [(number_in(f.to_ndarray(format="rgb24")), f.time) for f in made.decode(video=0)]
    shown = packets.shown_pts.tolist()
    assert [number for number, _ in seen] == [shown.index(one) for one in pts]
    times = [float((one - pts[0]) * video.time_base) for one in pts]
    assert [time for _, time in seen] == pytest.approx(times, abs=1 / 90_000)


def test_the_frames_of_a_range_begin_with_the_one_already_on_screen(tmp_path):
    video, packets = probed(make_video(tmp_path / "a.mp4", num_frames=10, rate=10))
    tick = packets.shown_pts.tolist()
    for start_ns, end_ns, numbers in (
        (0, 1, [0]),
        (0, 100_000_000, [0]),
        (0, 100_000_001, [0, 1]),
        (99_999_999, 100_000_000, [0]),
        (100_000_000, 200_000_000, [1]),
        (150_000_000, 250_000_000, [1, 2]),
        (5 * NS_PER_S, 6 * NS_PER_S, [9]),
    ):
        found = frames_in(video, packets, TimeRange(start_ns, end_ns)).tolist()
        assert found == [tick[number] for number in numbers]


def test_every_piece_of_a_clip_ends_with_a_whole_frame_so_that_it_plays_while_it_is_made(tmp_path):
    video, packets = probed(make_video(tmp_path / "a.mp4", num_frames=30))
    pts = packets.shown_pts.tolist()
    pieces = list(clip(video, packets, pts))
    assert len(pieces) == 31
    with av.open(io.BytesIO(b"".join(pieces[:5]))) as made:
        numbers = [number_in(f.to_ndarray(format="rgb24")) for f in made.decode(video=0)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 4  # a frame leaves with the next one, which ends it


@pytest.mark.parametrize(
    ("name", "how"),
    [("a.mp4", {}), ("b.mkv", {"rate": 30, "sound": "libopus", "sound_hz": 48_000}), ("c.ts", {})],
)
def test_the_sound_of_a_clip_is_in_step_with_its_pictures(tmp_path, name, how):
    video, packets = probed(sounding(tmp_path / name, seconds=6, **how))
    pts = frames_in(video, packets, TimeRange(1_700_000_000, 4_200_000_000)).tolist()
    made = tmp_path / "clip.mp4"
    made.write_bytes(b"".join(clip(video, packets_for(packets, pts), pts)))
    flashes, beeps, end_s = flashes_and_beeps(made)
    assert len(flashes) == len(beeps) == 3
    assert flashes == pytest.approx(beeps, abs=0.02)
    with av.open(str(made)) as container:
        first = next(container.decode(video=0))
        assert first.time == 0
        assert end_s >= float((pts[-1] - pts[0]) * video.time_base)


def test_a_clip_of_a_recording_without_sound_is_silent(tmp_path):
    video, packets = probed(make_video(tmp_path / "a.mp4", num_frames=30))
    data = b"".join(clip(video, packets, packets.shown_pts.tolist()))
    with av.open(io.BytesIO(data)) as made:
        heard = np.concatenate([frame.to_ndarray() for frame in made.decode(audio=0)], axis=1)
    assert heard.shape[1] >= 48_000
    assert not heard.any()


def test_a_still_is_a_small_webp_of_the_frame(tmp_path):

    video, packets = probed(make_video(tmp_path / "a.mp4", num_frames=30))
    [data] = still(video, packets, int(packets.shown_pts[21]))
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "WEBP"
    assert number_in(np.asarray(picture.convert("RGB"))) == 21
