"""Every frame that the decoder yields is the wanted one, bit for bit."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config import DecodeConfig, FrameConfig, SampleConfig
from pipeline.errors import SourceError
from pipeline.media import decode_frames, probe, reorder_buffer
from pipeline.media.pixels import Converter
from pipeline.plan import grid_pts, packets_for
from pipeline.records import Frame, PacketIndex, Video
from tests.videos import Recipe, damage, make_video, number_in, source_of

FRAME = FrameConfig(luma_width=64)
COUNTED = Fraction(1, 25)
JITTERED = [0, 4000, 7000, 12000, 47000, 50000, 53500, 57000, 61000, 64000]

RECIPES = {
    "h264 with B-frames.mp4": Recipe(),
    "h264 without B-frames.mp4": Recipe(bframes=0),
    "h264 open GOP.mp4": Recipe(open_gop=True, gop=12),
    "h264 open GOP.ts": Recipe(open_gop=True, gop=12),
    "h264 open GOP.mkv": Recipe(open_gop=True, gop=12),
    "h264 intra refresh.mp4": Recipe(gop=15, bframes=0, options={"intra-refresh": "1"}),
    "h264 one GOP.mp4": Recipe(gop=1000),
    "h264 every frame a key.mp4": Recipe(gop=1, bframes=0, num_frames=20),
    "h264 late start.ts": Recipe(pts=[111_111_000 + 3600 * i for i in range(40)]),
    "h264 33-bit wrap.ts": Recipe(pts=[2**33 - 36_000 + 3600 * i for i in range(40)]),
    "h264 empty edit.mp4": Recipe(pts=[63_000 + 3600 * i for i in range(40)]),
    "h264 negative offsets.mp4": Recipe(
        container_options={"movflags": "negative_cts_offsets"}, num_frames=40
    ),
    "h264 non-square pixels.mp4": Recipe(sar=Fraction(4, 3), num_frames=30),
    "h264 interlaced.ts": Recipe(
        options={"x264-params": "tff=1:scenecut=0:bframes=2"}, num_frames=40, gop=10
    ),
    "h264 variable rate.mp4": Recipe(pts=JITTERED, gop=4),
    "h264 variable rate.mkv": Recipe(pts=[900 * (t // 900) for t in JITTERED], gop=4),
    "h264 10 bit.mp4": Recipe(pix_fmt="yuv420p10le", num_frames=24),
    "h264 4:2:2.mp4": Recipe(pix_fmt="yuv422p", num_frames=24),
    "h264 4:4:4 odd size.mp4": Recipe(pix_fmt="yuv444p", width=161, height=97, num_frames=24),
    "h264 live.mp4": Recipe(container_options={"movflags": "frag_keyframe+empty_moov"}),
    "hevc open GOP.mp4": Recipe(codec="libx265", open_gop=True, gop=12, num_frames=40),
    "hevc.mkv": Recipe(codec="libx265", gop=12, num_frames=40),
    "vp9.webm": Recipe(codec="libvpx-vp9", num_frames=30),
    "mpeg4 no B.avi": Recipe(time_base=COUNTED, codec="mpeg4", bframes=0),
    "mpeg4.avi": Recipe(time_base=COUNTED, codec="mpeg4", bframes=2),
    "h264 no B.avi": Recipe(time_base=COUNTED, bframes=0),
    "h264.avi": Recipe(time_base=COUNTED),
    "raw.h264": Recipe(time_base=COUNTED),
    "h264 program stream.mpg": Recipe(time_base=COUNTED),
    "h264 program stream, no B.mpg": Recipe(time_base=COUNTED, bframes=0),
    "mpeg2 program stream.mpg": Recipe(time_base=COUNTED, codec="mpeg2video", bframes=2),
    "mjpeg.avi": Recipe(
        time_base=COUNTED, codec="mjpeg", bframes=0, pix_fmt="yuvj420p", num_frames=20
    ),
}
CLOCKLESS = {
    "mpeg4.avi",
    "h264.avi",
    "raw.h264",
    "h264 program stream.mpg",
    "mpeg2 program stream.mpg",
}
# Some of their frames have a time of their own.
SPARSE = {"h264 no B.avi", "h264 program stream, no B.mpg"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@cache
def probed(folder: Path, name: str) -> tuple[Video, PacketIndex]:
    path = make_video(folder / name, RECIPES[name])
    return probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())


@cache
def sequential(folder: Path, name: str) -> dict[int, Frame]:
    """All frames by a simple loop over the file, without an index and without skipping."""
    video, _ = probed(folder, name)
    return {frame.pts: frame for frame in plain_loop(video)}


def plain_loop(video: Video) -> Iterator[Frame]:
    with av.open(f"file:{video.uri}") as container:
        stream = container.streams[video.stream_index]
        stream.thread_type = "NONE"
        pixels = Converter(
            video, sar=stream.sample_aspect_ratio or Fraction(1), frame=FRAME, rgb=False
        )
        for picture in container.decode(stream):
            yield Frame(
                pts=picture.pts,
                keyframe=picture.key_frame,
                suspect=picture.is_corrupt,
                luma=pixels.luma(picture),
                colour=None,
            )


def decoded(video: Video, packets: PacketIndex, want: list[int]) -> list[Frame]:
    part = packets_for(packets, want)
    return list(decode_frames(video, part, want, frame=FRAME, rgb=False))


@pytest.mark.parametrize("name", RECIPES)
def test_every_frame_shows_its_own_number_at_its_own_time(folder: Path, name: str) -> None:
    video, packets = probed(folder, name)
    want = packets.shown_pts.tolist()
    frames = decoded(video, packets, want)
    assert [frame.pts for frame in frames] == want
    assert [number_in(frame.luma) for frame in frames] == list(range(len(want)))
    assert len(want) == len(RECIPES[name].pts or range(RECIPES[name].num_frames))
    assert not any(frame.suspect for frame in frames)


@pytest.mark.parametrize("name", sorted(RECIPES.keys() - CLOCKLESS - SPARSE))
def test_sampled_frames_equal_a_full_sequential_decode_bit_for_bit(folder: Path, name: str) -> None:
    video, packets = probed(folder, name)
    whole = sequential(folder, name)
    assert sorted(whole) == packets.shown_pts.tolist()
    for fps in (1, 3, 7):
        want = grid_pts(video, packets.shown_pts, fps).tolist()
        frames = decoded(video, packets, want)
        assert [frame.pts for frame in frames] == want
        for frame in frames:
            assert np.array_equal(frame.luma, whole[frame.pts].luma), (fps, frame.pts)
            assert not frame.suspect


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_shards_and_any_wanted_frames_give_the_same_frames(folder: Path, data: st.DataObject):
    name = data.draw(st.sampled_from([*RECIPES]))
    video, packets = probed(folder, name)
    shown = packets.shown_pts.tolist()
    want = sorted(data.draw(st.sets(st.sampled_from(shown), min_size=1)))
    cuts = sorted(data.draw(st.sets(st.sampled_from(want), max_size=50)))
    bounds = [want[0], *cuts, want[-1] + 1]
    parts = [[pts for pts in want if low <= pts < high] for low, high in pairwise(bounds)]
    frames = [frame for part in parts if part for frame in decoded(video, packets, part)]
    assert [frame.pts for frame in frames] == want
    assert [number_in(frame.luma) for frame in frames] == [shown.index(pts) for pts in want]


@pytest.mark.parametrize("name", sorted(CLOCKLESS))
def test_a_file_without_display_times_has_a_warning(folder: Path, name: str) -> None:
    video, packets = probed(folder, name)
    assert "stores no display times" in " ".join(video.warnings)
    assert np.all(np.diff(packets.shown_pts) > 0)


def test_frames_exactly_on_the_sample_grid_are_used(folder: Path) -> None:
    video, packets = probed(folder, "h264 with B-frames.mp4")
    want = grid_pts(video, packets.shown_pts, 5).tolist()
    assert [number_in(frame.luma) for frame in decoded(video, packets, want)] == list(
        range(0, 60, 5)
    )


def test_of_frames_with_one_time_the_last_stays_on_screen(tmp_path: Path) -> None:
    path = make_video(tmp_path / "twice.mkv", num_frames=12, bframes=0, gop=1000)
    doubled = rewrite(path, tmp_path / "doubled.mkv", lambda pts: pts // 120 * 120)
    video, packets = probe(source_of(doubled), sample=SampleConfig(), decode=DecodeConfig())
    frames = decoded(video, packets, packets.shown_pts.tolist())
    assert [number_in(frame.luma) for frame in frames] == [2, 5, 8, 11]
    assert "8 frames have the time of another frame" in " ".join(video.warnings)


def rewrite(source: Path, target: Path, change) -> Path:
    """Copy the packets of a video with other timestamps."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.pts = packet.dts = change(packet.pts)
                packet.stream = stream
                new.mux(packet)
    return target


def test_a_cut_file_keeps_its_first_part(tmp_path: Path) -> None:
    path = make_video(tmp_path / "whole.ts", num_frames=60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    frames = decoded(video, packets, packets.shown_pts.tolist())
    whole = [frame for frame in frames if not frame.suspect]
    assert len(whole) > 20
    for frame in whole:
        assert number_in(frame.luma) == (frame.pts - frames[0].pts) // 3600


def test_damage_makes_its_whole_gop_suspect_and_no_other(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", num_frames=60, gop=20, bframes=0)
    video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    damage(path, number=30)
    want = packets.shown_pts.tolist()
    frames = decoded(video, packets, want)
    suspect = {want.index(frame.pts) for frame in frames if frame.suspect}
    lost = set(range(60)) - {want.index(frame.pts) for frame in frames}
    assert suspect | lost == set(range(20, 40))
    assert [number_in(f.luma) for f in frames if not f.suspect] == [*range(20), *range(40, 60)]


AVI = {"time_base": COUNTED}
MJPEG = {"codec": "mjpeg", "pix_fmt": "yuvj420p", **AVI}


@pytest.mark.parametrize(
    ("suffix", "recipe", "part", "filler"),
    [
        (".mp4", {}, slice(44, None), b"\0"),
        (".mp4", {"codec": "libx265"}, slice(44, None), b"\xff"),
        (".avi", {"codec": "mpeg4", **AVI}, slice(44, None), b"\xff"),
        (".avi", MJPEG, slice(700, -2), b"\x55"),
    ],
)
def test_a_picture_that_damage_has_changed_is_suspect(
    tmp_path: Path, suffix: str, recipe: dict, part: slice, filler: bytes
) -> None:
    path = make_video(tmp_path / f"clip{suffix}", gop=20, bframes=0, **recipe)
    video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    want = packets.shown_pts.tolist()
    clean = {frame.pts: frame.luma for frame in decoded(video, packets, want)}
    damage(path, number=30, part=part, filler=filler)
    frames = decoded(video, packets, want)
    changed = {f.pts for f in frames if not np.array_equal(f.luma, clean[f.pts])}
    suspect = {f.pts for f in frames if f.suspect}
    assert want[30] in changed
    assert changed <= suspect <= set(want[20:40])


@pytest.mark.parametrize("name", ["h264 with B-frames.mp4", "hevc.mkv"])
def test_damage_between_the_wanted_frames_makes_them_suspect(tmp_path: Path, name: str) -> None:
    path = make_video(tmp_path / name, RECIPES[name], gop=20, num_frames=60)
    video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    shown = packets.shown_pts.tolist()
    # The first packet after a keyframe is a P-frame: all that follow refer to it.
    damage(path, number=21)
    for want in ([shown[20], shown[38]], [shown[38]], shown[20:40]):
        assert all(frame.suspect for frame in decoded(video, packets, want))
    assert not any(frame.suspect for frame in decoded(video, packets, [shown[0], shown[45]]))


def test_errors_that_affect_no_picture_lose_no_frame(tmp_path: Path) -> None:
    clean = make_video(tmp_path / "clean.mp4", codec="libx265", num_frames=60, gop=12)
    # Before each picture: an SEI message that claims 510 bytes and ends after three.
    message = b"\x4e\x01\x05\xff\xff\x00abc\x80"
    with av.open(str(clean)) as old, av.open(str(tmp_path / "odd.mp4"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                odd = av.Packet(len(message).to_bytes(4) + message + bytes(packet))
                odd.pts, odd.dts, odd.time_base = packet.pts, packet.dts, packet.time_base
                odd.is_keyframe, odd.stream = packet.is_keyframe, stream
                new.mux(odd)
    video, packets = probe(
        source_of(tmp_path / "odd.mp4"), sample=SampleConfig(), decode=DecodeConfig()
    )
    frames = decoded(video, packets, packets.shown_pts.tolist())
    assert [number_in(frame.luma) for frame in frames] == list(range(60))
    assert all(frame.suspect for frame in frames)


def test_frames_come_in_order_when_memory_is_full(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reorder_buffer, "MAX_LUMA_BYTES", 5_000)
    video, packets = probed(folder, "h264 one GOP.mp4")
    want = packets.shown_pts.tolist()
    assert [frame.pts for frame in decoded(video, packets, want)] == want


def test_colour_pictures_from_the_spill_file_are_unchanged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, packets = probed(folder, "h264 one GOP.mp4")
    want = packets.shown_pts.tolist()[:20]
    in_memory = list(decode_frames(video, packets, want, frame=FRAME, rgb=True))
    monkeypatch.setattr(reorder_buffer, "MAX_COLOUR_BYTES", 3 * 160 * 96 * 3)
    stored = list(decode_frames(video, packets, want, frame=FRAME, rgb=True))
    assert [frame.pts for frame in stored] == want
    for frame, other in zip(in_memory, stored, strict=True):
        assert np.array_equal(frame.rgb, other.rgb)


def test_frames_before_the_damage_are_suspect_even_in_a_large_gop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reorder_buffer, "MAX_COLOUR_BYTES", 3 * 160 * 96 * 3)
    path = make_video(tmp_path / "clip.mp4", num_frames=60, gop=1000, bframes=0)
    video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    damage(path, number=55)
    want = packets.shown_pts.tolist()
    frames = list(decode_frames(video, packets, want, frame=FRAME, rgb=True))
    assert len(frames) >= 50
    assert all(frame.suspect for frame in frames)


def test_a_file_that_was_replaced_after_the_probe_is_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", num_frames=40)
    video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    make_video(path, num_frames=40, gop=7, pts=[3000 * i for i in range(40)])
    same_size = replace(video, num_bytes=path.stat().st_size)
    for changed in (video, same_size):
        with pytest.raises(SourceError, match="has changed since"):
            decoded(changed, packets, packets.shown_pts.tolist())


def test_a_deleted_file_is_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", num_frames=10)
    video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    path.unlink()
    with pytest.raises(SourceError, match="cannot be read any more"):
        decoded(video, packets, packets.shown_pts.tolist())


def test_a_frame_that_does_not_exist_is_not_replaced_by_its_neighbour(folder: Path) -> None:
    video, packets = probed(folder, "h264 with B-frames.mp4")
    want = packets.shown_pts.tolist()
    assert list(decode_frames(video, packets, [want[3] + 1], frame=FRAME, rgb=False)) == []
