"""What probe reports about a file, and which files it refuses."""

import os
import tarfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import fsspec
import numpy as np
import pytest
from tenacity import wait_none

from pipeline.config import DecodeConfig, FrameConfig, SampleConfig
from pipeline.errors import SourceError, UnreachableError
from pipeline.media import decode_frames, probe
from pipeline.records import PacketIndex, Source, Video
from pipeline.storage import retry
from pipeline.timebase import ClockCorrection, TimeRange
from tests.videos import footage_dir, make_video, number_in, source_of

SECOND = 1_000_000_000


def look(source: Source, **limits: int) -> tuple[Video, PacketIndex]:
    return probe(source, sample=SampleConfig(), decode=DecodeConfig(**limits))


def test_probe_reports_the_properties_of_a_simple_file(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=50, gop=10)
    video, packets = look(source_of(path))
    assert (video.codec, video.width, video.height, video.rotation) == ("h264", 160, 96, 0)
    assert (video.num_frames, video.num_keyframes, len(packets)) == (50, 5, 50)
    assert [(r.start_ns, r.end_ns) for r in video.footage] == [(0, 2 * SECOND)]
    assert video.warnings == ()


@pytest.mark.parametrize("suffix", ["mp4", "ts", "mkv"])
def test_media_time_zero_is_what_a_player_calls_zero(tmp_path: Path, suffix: str) -> None:
    path = make_video(
        tmp_path / f"late.{suffix}", pts=[900_000 + 3600 * i for i in range(30)], bframes=2
    )
    video, packets = look(source_of(path))
    with av.open(str(path)) as container:
        start_ns = (container.start_time or 0) * 1000
    first_ns = packets.shown_pts[0] * SECOND * video.time_base
    assert video.span.start_ns == pytest.approx(float(first_ns) - start_ns, abs=1_000_000)


def test_a_clock_correction_changes_start_duration_and_video_id(
    tmp_path: Path,
) -> None:
    source = source_of(make_video(tmp_path / "a.mp4"), start_ns=10 * SECOND, clock="path")
    sanitized, _ = look(source)
    correction = ClockCorrection(offset_ns=2 * SECOND, rate_ppb=100_000_000, since_ns=0)
    video, _ = probe(source, sample=SampleConfig(), decode=DecodeConfig(), correction=correction)
    assert video.start_ns == 13 * SECOND
    assert video.utc(TimeRange(SECOND, 2 * SECOND)) == TimeRange(
        13 * SECOND + 1_100_000_000, 13 * SECOND + 2_200_000_000
    )
    assert (sanitized.start_ns, sanitized.content_id) == (10 * SECOND, video.content_id)
    assert sanitized.video_id != video.video_id


def test_a_gap_splits_the_footage_and_gives_a_warning(tmp_path: Path) -> None:
    ticks = [3600 * i for i in range(25)] + [90_000 * 60 + 3600 * i for i in range(25)]
    video, _ = look(source_of(make_video(tmp_path / "gap.ts", pts=ticks, bframes=0)))
    first, second = video.footage
    assert (first.duration_ns, second.duration_ns) == (SECOND, SECOND)
    assert second.start_ns - first.start_ns == 60 * SECOND
    assert "1 gaps without footage, 59.0 s" in video.warnings[0]


def test_frames_over_more_time_than_max_duration_are_refused(tmp_path: Path) -> None:
    day = 90_000 * 86_400
    source = source_of(make_video(tmp_path / "a.mkv", pts=[0, 3600, 40 * day], bframes=0))
    with pytest.raises(SourceError, match=r"40\.0 days, more than decode\.max_duration_s=2\.6784e"):
        look(source)
    assert look(source, max_duration_s=41 * 86_400)[0].num_frames == 3


def test_a_stream_that_appears_in_the_middle_is_ignored(tmp_path: Path) -> None:
    first = make_video(tmp_path / "first.ts", num_frames=50, gop=10)
    then = tmp_path / "then.ts"
    with av.open(str(first)) as old, av.open(str(then), "w") as new:
        video = new.add_stream_from_template(old.streams.video[0])
        sound = new.add_stream("aac", rate=48_000)
        for packet in old.demux(video=0):
            if packet.size:
                packet.pts, packet.dts = packet.pts + 180_000, packet.dts + 180_000
                packet.stream = video
                new.mux(packet)
        for i in range(90):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp")
            frame.sample_rate, frame.pts = 48_000, 96_000 + 1024 * i
            new.mux(sound.encode(frame))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() * 40 + then.read_bytes())
    assert look(source_of(joined))[0].num_frames > 50


def test_a_long_frame_duration_is_no_gap(tmp_path: Path) -> None:
    ticks = [3600 * i for i in range(25)] + [90_000 * 60 + 3600 * i for i in range(25)]
    for bframes in (0, 3):
        path = make_video(tmp_path / f"slides{bframes}.mp4", pts=ticks, bframes=bframes)
        video, _ = look(source_of(path))
        assert [(r.start_ns, r.end_ns) for r in video.footage] == [(0, 61 * SECOND)]


def test_a_time_lapse_has_no_gaps(tmp_path: Path) -> None:
    path = make_video(tmp_path / "lapse.mkv", pts=[90_000 * 60 * i for i in range(10)], bframes=0)
    video, _ = look(source_of(path))
    assert [r.start_ns for r in video.footage] == [0]
    assert 540 * SECOND < video.span.end_ns <= 600 * SECOND


def test_the_clock_comes_from_the_listing_first_then_the_container_then_mtime(
    tmp_path: Path,
) -> None:
    sanitized = make_video(tmp_path / "plain.mp4", num_frames=25)
    with_clock = tmp_path / "with_clock.mp4"
    with av.open(str(sanitized)) as old, av.open(str(with_clock), "w") as new:
        new.metadata["creation_time"] = "2026-03-14T09:00:00Z"
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    named = source_of(with_clock, start_ns=7 * SECOND, clock="path")
    assert look(named)[0].start_ns == 7 * SECOND
    video, _ = look(source_of(with_clock, mtime_ns=100 * SECOND))
    assert (video.start_ns, video.clock) == (1_773_478_800 * SECOND, "creation_time")
    video, _ = look(source_of(sanitized, mtime_ns=100 * SECOND))
    assert (video.start_ns, video.clock) == (99 * SECOND, "mtime")
    video, _ = look(source_of(sanitized))
    assert (video.start_ns, video.clock) == (0, "none")


def test_a_copy_has_the_same_content_id_and_another_camera_another_video_id(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    copy = tmp_path / "b.mp4"
    copy.write_bytes(path.read_bytes())
    video, twin, other = (
        look(source)[0]
        for source in (
            source_of(path, mtime_ns=1),
            source_of(copy, mtime_ns=2),
            source_of(copy, camera="cam2"),
        )
    )
    assert video.content_id == twin.content_id == other.content_id
    assert video.video_id == twin.video_id != other.video_id


def test_other_content_of_the_same_length_has_another_id(tmp_path: Path) -> None:
    first = make_video(tmp_path / "a.mp4", num_frames=20)
    second = make_video(tmp_path / "b.mp4", num_frames=20, options={"crf": "30"})
    assert look(source_of(first))[0].content_id != look(source_of(second))[0].content_id


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "is empty"),
        ("page.mp4", b"<html>\n<body>not a video</body>\n</html>\n" * 50, "is text, not a video"),
        (
            "list.m3u8",
            b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n/etc/passwd\n",
            "only files beside or below a playlist are read",
        ),
        ("list.txt", b"ffconcat version 1.0\nfile /etc/passwd\n", "convert|text"),
        ("zeros.mp4", b"\0" * 100_000, "zero bytes"),
        ("noise.mp4", np.random.default_rng(1).bytes(50_000), "not a video|damaged"),
        ("cut.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isomavc1\0\1\0\0mdat" + b"x" * 99, "moov"),
    ],
)
def test_a_file_that_is_no_video_is_refused_with_an_explanation(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        look(source_of(path))
    assert str(path) in str(caught.value)


def test_folders_pipes_and_missing_files_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    known = source_of(__file__)
    for name, message in [
        ("pipe.mp4", "pipe"),
        ("folder.mp4", "folder"),
        ("loop.mp4", "cannot be read"),
        ("gone.mp4", "cannot be read"),
    ]:
        with pytest.raises(SourceError, match=message):
            look(source_of(__file__, uri=str(tmp_path / name)))
    with pytest.raises(SourceError, match="listed as bad"):
        look(source_of(known.uri, problem="listed as bad"))


def test_limits_are_checked_before_anything_is_decoded(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=20)
    with pytest.raises(SourceError, match=r"160x96 pixels.*decode.max_pixels=15000"):
        look(source_of(path), max_pixels=15_000)
    with pytest.raises(SourceError, match="more than 19 packets"):
        look(source_of(path), max_packets=19)


def test_a_video_of_exactly_max_pixels_is_decoded(tmp_path: Path) -> None:
    video, packets = look(
        source_of(make_video(tmp_path / "a.mp4", num_frames=20)), max_pixels=15_360
    )
    assert (video.width * video.height, len(packets)) == (15_360, 20)
    shown, small = packets.shown_pts.tolist(), FrameConfig(luma_width=32)
    frames = decode_frames(video, packets, shown, frame=small, rgb=False, max_pixels=15_360)
    assert [frame.pts for frame in frames] == shown


@pytest.mark.parametrize(
    "name",
    [
        "concat|a|b.mp4",
        "http:__x.mp4",
        "-rf.mp4",
        "%03d.mp4",
        "file:colon.mp4",
        "new\nline.mp4",
        "a'b\"c $(x).mp4",
        "ünï 視.mp4",
        "trailing .mp4 ",
    ],
)
def test_a_file_of_any_name_can_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made = make_video(tmp_path / "made.mp4", num_frames=5)
    made.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for uri in (name, str(tmp_path / name)):
        assert look(source_of(tmp_path / name, uri=uri))[0].num_frames == 5


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_remote_file_gives_the_same_frames_as_a_local_one(tmp_path: Path, suffix: str) -> None:
    path = make_video(tmp_path / f"a.{suffix}", num_frames=40, gop=10)
    uri = f"memory://media/{suffix}/a.{suffix}"
    with fsspec.open(uri, "wb") as file:
        file.write(path.read_bytes())
    video, packets = look(source_of(path, uri=uri))
    local, _ = look(source_of(path))
    assert (video.content_id, video.footage) == (local.content_id, local.footage)
    want = packets.shown_pts[3::7].tolist()
    frames = list(decode_frames(video, packets, want, frame=FrameConfig(), rgb=False))
    assert [number_in(frame.luma) for frame in frames] == list(range(3, 40, 7))


def test_a_missing_remote_file_is_refused() -> None:
    with pytest.raises(SourceError, match=r"memory://media/none\.mp4: cannot be opened"):
        look(source_of(__file__, uri="memory://media/none.mp4"))


def test_the_largest_default_stream_is_the_video(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = []
        for width in (64, 320):
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, 64, "yuv420p"
            streams.append(stream)
        for i in range(10):
            for stream in streams:
                frame = av.VideoFrame(stream.width, 64, "yuv420p")
                frame.pts, frame.time_base = i, Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    assert look(source_of(path))[0].width == 320


def test_every_hostile_file_name_is_opened_or_refused(tmp_path: Path) -> None:
    footage = footage_dir()
    if footage is None:
        pytest.skip("no shared footage here")
    with tarfile.open(footage / "hard" / "names.tar") as archive:
        for member in archive:
            if member.isreg():
                member.name = f"{member.offset}/" + member.name.rpartition("/")[2]
                archive.extract(member, tmp_path, filter="data")
    opened = 0
    for path in tmp_path.rglob("*"):
        if path.is_file():
            opened += look(source_of(path))[0].num_frames == 3
    assert opened == 30


def test_a_broken_connection_is_an_error_and_not_the_end_of_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.ts", num_frames=200, options={"qp": "1"}, width=320, height=192)
    uri = "memory://media/broken.ts"
    with fsspec.open(uri, "wb") as file:
        file.write(path.read_bytes())
    memory_file = type(fsspec.filesystem("memory").store["/media/broken.ts"])

    def read(file: Any, size: int = -1) -> bytes:
        if file.tell() > 40_000:
            raise ConnectionResetError("peer went away")
        return super(memory_file, file).read(size)

    monkeypatch.setattr(memory_file, "read", read, raising=False)
    monkeypatch.setattr(retry, "PAUSE", wait_none())
    message = r"reading failed \(peer went away\), tried 5 times"
    with pytest.raises(UnreachableError, match=message):
        look(source_of(path, uri=uri))
