"""Each sample has the media time at which it was recorded, in every container, after every gap."""

from itertools import pairwise
from unittest import mock

import numpy as np
import pytest

from pipeline.config import DecodeConfig, SampleConfig, load_config
from pipeline.errors import SourceError
from pipeline.flow.task import listen
from pipeline.flow.task.stages import Planned
from pipeline.media import probe
from pipeline.media.sound import MAX_GAP_NS, probe_sound, read_sound
from pipeline.storage.access import PUBLIC
from pipeline.timebase import NS_PER_S, TimeRange
from tests.sounds import beeps, make_sound, onsets
from tests.videos import make_video, source_of

BEEPS = (3.0, 6.0)
WAVE = beeps(BEEPS, 8.0)


def sound_of(path):
    return probe_sound(source_of(path), sample=SampleConfig(), decode=DecodeConfig())


def heard(path, start_s=0.0, end_s=10.0):
    """Of each track the beeps that are heard in a part of the file, in media time."""
    sound = sound_of(path)
    span = TimeRange(round(start_s * NS_PER_S), round(end_s * NS_PER_S))
    return [
        [start_s + at for at in onsets(read_sound(sound.video, track, span, access=PUBLIC)[0])]
        for track in sound.tracks
    ]


@pytest.mark.parametrize(
    ("name", "codec", "begins_s", "pictures_s"),
    [
        ("plain.mp4", "aac", 0.0, 10.0),
        ("late.mp4", "aac", 1.5, 10.0),
        ("late.mkv", "aac", 1.5, 10.0),
        ("late.webm.mkv", "libopus", 1.5, 10.0),
        ("late.ts", "aac", 1.5, 10.0),
        ("plain.avi", "pcm_s16le", 0.0, 10.0),
        ("alone.m4a", "aac", 0.0, 0.0),
        ("alone.mp3", "libmp3lame", 0.0, 0.0),
        ("alone.flac", "flac", 0.0, 0.0),
        ("alone.wav", "pcm_s16le", 0.0, 0.0),
        ("alone.ogg", "libopus", 0.0, 0.0),
        ("alone.mka", "libopus", 0.0, 0.0),
    ],
)
def test_a_beep_is_heard_at_its_media_time(tmp_path, name, codec, begins_s, pictures_s):
    path = make_sound(tmp_path / name, [(WAVE, begins_s)], codec=codec, pictures_s=pictures_s)
    expected = [begins_s + at for at in BEEPS]
    assert heard(path) == [pytest.approx(expected, abs=0.010)]
    # The same in a part that begins after the first beep, which is found by a seek.
    assert heard(path, begins_s + 4.0) == [pytest.approx(expected[1:], abs=0.010)]


def test_each_track_has_its_own_times_and_its_title(tmp_path):
    path = make_sound(
        tmp_path / "two.mkv",
        [(WAVE, 0.0), (WAVE, 1.0)],
        codec="aac",
        pictures_s=10.0,
        titles=("Ada", "Grace"),
    )
    first, second = heard(path)
    assert first == pytest.approx([3.0, 6.0], abs=0.010)
    assert second == pytest.approx([4.0, 7.0], abs=0.010)
    assert [track.title for track in sound_of(path).tracks] == ["Ada", "Grace"]


def test_a_hole_moves_nothing_and_is_no_footage(tmp_path):
    path = make_sound(
        tmp_path / "hole.mkv", [(WAVE, 0.0)], codec="libopus", pictures_s=10.0,
        without_s=[(4.0, 5.0)],
    )  # fmt: skip
    assert heard(path) == [pytest.approx([3.0, 6.0], abs=0.010)]
    first, second = sound_of(path).video.footage
    assert first.end_ns / NS_PER_S == pytest.approx(4.0, abs=0.03)
    assert second.start_ns / NS_PER_S == pytest.approx(5.0, abs=0.03)
    assert second.start_ns - first.end_ns > MAX_GAP_NS
    sound = sound_of(path)
    inside = TimeRange(first.end_ns + 10**8, second.start_ns - 10**8)
    samples, missing = read_sound(sound.video, sound.tracks[0], inside, access=PUBLIC)
    assert missing == (inside,)
    assert not samples.any()


def test_sound_that_ends_before_the_pictures_has_footage_of_its_own(tmp_path):
    path = make_sound(tmp_path / "short.mp4", [(WAVE, 0.0)], codec="aac", pictures_s=12.0)
    video = sound_of(path).video
    assert video.span.end_ns / NS_PER_S == pytest.approx(8.0, abs=0.05)
    seen, _ = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    assert seen.span.end_ns / NS_PER_S == pytest.approx(12.0, abs=0.05)
    assert video.video_id == seen.video_id  # what is seen and what is heard are of one video


def test_what_has_no_sound_says_so(tmp_path):
    silent = make_video(tmp_path / "silent.mp4")
    sound = sound_of(silent)
    assert sound.tracks == ()
    assert "has no sound" in sound.video.warnings
    (tmp_path / "text.wav").write_text("no sound at all")
    with pytest.raises(SourceError, match=r"text\.wav"):
        sound_of(tmp_path / "text.wav")


def test_a_recording_that_grows_keeps_what_its_first_part_is_known_by(tmp_path):
    short = make_sound(tmp_path / "short.wav", [(WAVE[: 48_000 * 5], 0.0)], codec="pcm_s16le")
    long = make_sound(tmp_path / "long.wav", [(WAVE, 0.0)], codec="pcm_s16le")
    assert sound_of(short).content_until(3 * NS_PER_S) == sound_of(long).content_until(3 * NS_PER_S)
    assert sound_of(short).video.video_id != sound_of(long).video.video_id


def test_shards_tile_the_sound_and_end_where_it_is_quiet(tmp_path):
    wave = np.sin(np.arange(12 * 48_000) / 20).astype(np.float32) / 2
    quiet_s = [(2.7, 3.0), (6.2, 6.5), (9.0, 9.3)]
    for start_s, end_s in quiet_s:
        wave[round(start_s * 48_000) : round(end_s * 48_000)] = 0
    path = make_sound(tmp_path / "long.flac", [(wave, 0.0)], codec="flac")
    config = load_config(None, ("speech={kind: whisper, weights: none}",)).listening
    with (
        mock.patch.object(listen, "_SHARD_NS", 3 * NS_PER_S),
        mock.patch.object(listen, "_QUIETEST_WITHIN_NS", NS_PER_S),
    ):
        planned = listen.plan_source(source_of(path), config)
    assert isinstance(planned, Planned)
    spans = [plan.span for shard in planned.shards for plan in shard.windows]
    assert all(before.end_ns == after.start_ns for before, after in pairwise(spans))
    assert [spans[0].start_ns, spans[-1].end_ns] == [0, 12 * NS_PER_S]
    for cut, (start_s, end_s) in zip(spans[:-1], quiet_s, strict=True):
        assert start_s < cut.end_ns / NS_PER_S < end_s
