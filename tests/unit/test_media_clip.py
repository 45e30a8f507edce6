"""Clips show the frames of their range, at their times, with their sound, in every kind of file."""

from fractions import Fraction
from functools import cache
from itertools import pairwise

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import DecodeConfig, SampleConfig
from pipeline.errors import ConfigError, SourceError
from pipeline.media import probe
from pipeline.media.clip import write_clip
from pipeline.records import Cut
from pipeline.timebase import NS_PER_S, TimeRange
from tests.clips import flashes_and_beeps, probed, shown, sounding, turned
from tests.kinds import KINDS
from tests.unit.test_media_decode import JITTERED, RECIPES
from tests.videos import Recipe, damage, make_video, source_of

TICK_S = Fraction(1, 90_000)
MORE = {
    "h264 turned.mp4": Recipe(rotation=90, num_frames=50),
    "hevc turned.mp4": Recipe(codec="libx265", rotation=270, gop=12, num_frames=30),
}
NAMES = [*RECIPES, *MORE, *KINDS]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes a file once: its record, the ticks of its frames, and the numbers that they show."""
    folder, known = tmp_path_factory.mktemp("videos"), {}

    def make(name):
        if name not in known:
            path = folder / name
            if name in KINDS:
                numbers = list(KINDS[name](path))
            else:
                recipe = (RECIPES | MORE)[name]
                make_video(path, recipe)
                numbers = [
                    turned(number, recipe.rotation)
                    for number in range(len(recipe.pts or range(recipe.num_frames)))
                ]
            known[name] = probed(path), numbers
        return known[name]

    return make


@cache
def ticks_of(uri):
    return probe(source_of(uri), sample=SampleConfig(), decode=DecodeConfig())[1].shown_pts.tolist()


def media_us(video, number, numbers):
    """Media time of a frame as tables have it; for the number behind the last, the end."""
    if number >= len(numbers):
        return video.span.end_ns // 1000
    return video.media_ns(ticks_of(video.uri)[number]) // 1000


def cut_of(video, start_us, end_us):
    return Cut(video=video, media=TimeRange(start_us * 1000, end_us * 1000))


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_from_frame_to_frame_has_these_frames_at_their_distances(made, tmp_path, name):
    video, numbers = made(name)
    last = len(numbers)
    for first, end in ((0, last), (1, last - 1), (last // 3, last // 3 + 1), (last // 2, last)):
        start_us, end_us = (media_us(video, i, numbers) for i in (first, end))
        out = tmp_path / "out.mp4"
        [receipt] = write_clip(out, [cut_of(video, start_us, end_us)])
        got = shown(out)
        assert [number for _, number in got] == numbers[first:end]
        assert receipt.num_frames == end - first
        assert receipt.num_missing == 0
        for i, (at_s, _) in enumerate(got):
            wanted_s = Fraction(media_us(video, first + i, numbers) - start_us, 1_000_000)
            assert abs(at_s - wanted_s) < 2 * TICK_S


def test_whole_gops_are_copied_and_their_borders_encoded(made, tmp_path):
    video, numbers = made("h264 with B-frames.mp4")  # keyframes at 0, 20 and 40
    for first, end, num_copied in (
        (20, 40, 20),
        (19, 41, 20),
        (21, 60, 20),
        (0, 60, 60),
        (1, 39, 0),
    ):
        span = (media_us(video, i, numbers) for i in (first, end))
        [receipt] = write_clip(tmp_path / "out.mp4", [cut_of(video, *span)])
        assert (receipt.num_frames, receipt.num_copied) == (end - first, num_copied)


def test_the_frame_that_is_on_screen_when_a_clip_begins_is_its_first(made, tmp_path):
    video, numbers = made("h264 variable rate.mp4")
    still_us = media_us(video, 3, numbers)  # it stays on screen for 0.39 s
    out = tmp_path / "out.mp4"
    write_clip(out, [cut_of(video, still_us + 100_000, still_us + 200_000)])
    assert shown(out) == [(0, 3)]
    write_clip(out, [cut_of(video, still_us + 1, media_us(video, 4, numbers) + 1)])
    assert [number for _, number in shown(out)] == [3, 4]
    assert JITTERED[4] - JITTERED[3] == 35_000


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_range_shows_what_is_on_screen_in_it(made, tmp_path_factory, data):
    name = data.draw(st.sampled_from(["h264 with B-frames.mp4", "h264 open GOP.ts", "hevc.mkv"]))
    video, _ = made(name)
    end_us = video.span.end_ns // 1000
    start = data.draw(st.integers(video.span.start_ns // 1000, end_us - 2))
    end = data.draw(st.integers(start + 1, end_us))
    out = tmp_path_factory.getbasetemp() / "any.mp4"
    write_clip(out, [cut_of(video, start, end)])
    first_us = video.span.start_ns // 1000
    expected = {(at - first_us) // 40_000 for at in (start, end - 1)}
    got = [number for _, number in shown(out)]
    assert got == list(range(min(expected), max(expected) + 1))


@pytest.mark.parametrize("mode", ["exact", "copy"])
def test_a_copy_says_what_it_really_cut(made, tmp_path, mode):
    video, numbers = made("h264 with B-frames.mp4")
    asked = cut_of(video, *(media_us(video, i, numbers) for i in (15, 45)))
    [receipt] = write_clip(tmp_path / "out.mp4", [asked], mode=mode)
    got = [number for _, number in shown(tmp_path / "out.mp4")]
    first = 0 if mode == "copy" else 15
    assert got[: 45 - first] == list(range(first, 45))
    assert receipt.media.start_ns == first * NS_PER_S // 25
    assert receipt.media.end_ns == (got[-1] + 1) * NS_PER_S // 25
    assert (receipt.num_frames, receipt.num_copied) == (len(got), len(got) if first == 0 else 20)


@pytest.mark.parametrize("name", ["hevc.mkv", "vp9.webm", "mpeg4 no B.avi", "mjpeg.avi"])
def test_other_codecs_are_copied_from_a_keyframe_too(made, tmp_path, name):
    video, numbers = made(name)
    span = (media_us(video, i, numbers) for i in (15, 18))
    write_clip(tmp_path / "out.mkv", [cut_of(video, *span)], mode="copy")
    got = [number for _, number in shown(tmp_path / "out.mkv")]
    assert got[got.index(15) :][:3] == [15, 16, 17]


def test_what_cannot_be_copied_is_refused_with_the_way_out(made, tmp_path):
    packed, numbers = made("mpeg4.avi")
    other, _ = made("hevc.mkv")
    span = [media_us(packed, i, numbers) for i in (5, 9)]
    for cuts in ([cut_of(packed, *span), cut_of(other, *span)],):
        with pytest.raises(ConfigError, match="leave out --copy"):
            write_clip(tmp_path / "out.mkv", cuts, mode="copy")


def test_joined_clips_of_other_sizes_and_codecs_follow_each_other_without_a_gap(made, tmp_path):
    names = [
        "h264 with B-frames.mp4",
        "hevc.mkv",
        "h264 variable rate.mp4",
        "h264 4:4:4 odd size.mp4",
    ]
    cuts, wanted, at_s = [], [], Fraction(0)
    for name in names:
        video, numbers = made(name)
        first, end = 3, 9
        start_us, end_us = (media_us(video, i, numbers) for i in (first, end))
        cuts.append(cut_of(video, start_us, end_us))
        for i in range(first, end):
            later_s = Fraction(media_us(video, i, numbers) - start_us, 1_000_000)
            wanted.append((at_s + later_s, numbers[i]))
        at_s += Fraction(end_us - start_us, 1_000_000)
    receipts = write_clip(tmp_path / "out.mp4", cuts)
    got = shown(tmp_path / "out.mp4")
    assert [number for _, number in got] == [number for _, number in wanted]
    assert all(abs(a - b) < 2 * TICK_S for (a, _), (b, _) in zip(got, wanted, strict=True))
    assert [one.at_s for one in receipts] == sorted({one.at_s for one in receipts})


def test_a_black_border_fills_what_a_smaller_picture_leaves(tmp_path):
    tall = probed(make_video(tmp_path / "tall.mp4", width=96, height=160, num_frames=20))
    wide = probed(make_video(tmp_path / "wide.mp4", width=320, height=160, num_frames=20))
    write_clip(tmp_path / "out.mp4", [cut_of(one, 0, 400_000) for one in (tall, wide)])
    with av.open(str(tmp_path / "out.mp4")) as container:
        first = next(container.decode(video=0)).to_ndarray(format="gray")
    assert first.shape == (160, 320)
    assert first[:, :100].max() < 20
    assert first[:, 220:].max() < 20


SOUNDS = {
    "a.mp4": {},
    "b.mkv": {"codec": "mpeg4", "rate": 30, "sound": "libopus", "sound_hz": 48_000},
    "c.ts": {"sound": "mp2", "rate": 10},
    "d.avi": {"codec": "mpeg4", "sound": "mp2", "sound_hz": 32_000},
}


@pytest.fixture(scope="module")
def sounding_videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    return [probed(sounding(folder / name, **how)) for name, how in SOUNDS.items()]


@pytest.mark.parametrize("mode", ["exact", "copy"])
def test_the_sound_stays_with_the_picture_over_many_joins(sounding_videos, tmp_path, mode):
    videos = sounding_videos if mode == "exact" else sounding_videos[:1]
    cuts = [
        cut_of(video, first_s * 1_000_000 - 300_000, first_s * 1_000_000 + 830_000)
        for video in videos
        for first_s in (2, 5, 7)
    ]
    receipts = write_clip(tmp_path / "out.mp4", cuts, mode=mode)
    flashes, beeps, end_s = flashes_and_beeps(tmp_path / "out.mp4")
    assert len(beeps) == len(flashes) >= len(cuts)
    assert max(abs(a - b) for a, b in zip(flashes, beeps, strict=True)) <= 0.020
    length_s = sum(one.media.duration_ns for one in receipts) / 1e9
    assert abs(end_s - length_s) < 0.022  # a block of AAC


def test_a_file_without_sound_is_silent_between_files_that_have_sound(sounding_videos, tmp_path):
    mute = probed(make_video(tmp_path / "mute.mp4", num_frames=50))
    sound = sounding_videos[0]
    cuts = [cut_of(sound, 900_000, 1_500_000), cut_of(mute, 0, 2_000_000)]
    cuts.append(cut_of(sound, 4_900_000, 5_500_000))
    receipts = write_clip(tmp_path / "out.mp4", cuts)
    assert [one.has_sound for one in receipts] == [True, False, True]
    _, beeps, end_s = flashes_and_beeps(tmp_path / "out.mp4")
    assert beeps == pytest.approx([0.1, 2.7], abs=0.003)
    assert end_s == pytest.approx(3.2, abs=0.022)


def test_a_frame_that_cannot_be_decoded_is_counted_and_the_others_keep_their_times(tmp_path):
    path = make_video(tmp_path / "v.mp4", codec="libx265", gop=10, bframes=0, num_frames=40)
    video = probed(path)
    damage(path, number=22)
    [receipt] = write_clip(tmp_path / "out.mp4", [cut_of(video, 0, 1_600_000)])
    got = shown(tmp_path / "out.mp4")
    assert receipt.num_frames + receipt.num_missing == 40
    assert len(got) == receipt.num_frames
    assert all(round(at_s * 25) == number for at_s, number in got[:20] + got[-10:])


def test_a_range_of_which_no_frame_can_be_decoded_is_refused_and_leaves_no_clip(tmp_path):
    path = make_video(tmp_path / "v.mp4", codec="libx265", gop=10, bframes=0, num_frames=30)
    video = probed(path)
    for number in range(10, 20):
        damage(path, number=number)
    with pytest.raises(SourceError, match="none of the 5 frames"):
        write_clip(tmp_path / "out.mp4", [cut_of(video, 480_000, 680_000)])


def test_frames_of_av1_in_mid_file_are_all_there(tmp_path):
    options = {"preset": "12", "svtav1-params": "keyint=40"}
    path = make_video(tmp_path / "v.mp4", codec="libsvtav1", num_frames=40, options=options)
    write_clip(tmp_path / "out.mp4", [cut_of(probed(path), 400_000, 800_000)])
    assert [number for _, number in shown(tmp_path / "out.mp4")] == list(range(10, 20))


def test_a_file_that_was_replaced_is_refused(tmp_path):
    path = make_video(tmp_path / "v.mp4", num_frames=40)
    video = probed(path)
    make_video(path, num_frames=60)
    with pytest.raises(SourceError, match="changed"):
        write_clip(tmp_path / "out.mp4", [cut_of(video, 0, 100_000)])


def test_each_frame_lasts_until_the_next_and_the_last_to_the_end_of_the_range(made, tmp_path):
    video, numbers = made("h264 variable rate.mp4")
    span = [media_us(video, i, numbers) for i in (2, 8)]
    write_clip(tmp_path / "out.mp4", [cut_of(video, *span)])
    with av.open(str(tmp_path / "out.mp4")) as container:
        length_s = float(container.streams.video[0].duration * container.streams.video[0].time_base)
    assert length_s == pytest.approx((span[1] - span[0]) / 1e6, abs=2e-5)
    assert all(a < b for (a, _), (b, _) in pairwise(shown(tmp_path / "out.mp4")))
