"""The clocks inside a file: which of them give its start, and what is said if they disagree."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import pytest
from av.container import OutputContainer

from pipeline.config import DecodeConfig, SampleConfig, SourcesConfig
from pipeline.errors import SourceError
from pipeline.media import probe
from pipeline.media.gopro import earlier_chapters
from pipeline.records import CLOCKS, Source, Video
from pipeline.sources import local_to_utc
from pipeline.timebase import datetime_to_ns, ns_to_datetime
from tests.videos import make_video, source_of

BERLIN = partial(local_to_utc, config=SourcesConfig(timezone="Europe/Berlin"))
MORNING = datetime(2026, 3, 14, 9, 0, 0, tzinfo=UTC)
SECOND = 1_000_000_000


@contextmanager
def written(path: Path, *, seconds: int = 2, **options: str) -> Iterator[OutputContainer]:
    """A video of 25 frames per second whose container the test has filled with its tags."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mpeg4" if path.suffix != ".mxf" else "mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        yield container
        for _ in range(seconds * 25):
            container.mux(stream.encode(av.VideoFrame(160, 96, "yuv420p")))
        container.mux(stream.encode())


def look(source: Source) -> Video:
    return probe(source, sample=SampleConfig(), decode=DecodeConfig(), to_utc=BERLIN)[0]


def start_of(path: Path, **known: object) -> tuple[str, str]:
    """The clock that gives the start, and that start in UTC without its zone."""
    video = look(source_of(path, **known))
    return video.clock, f"{ns_to_datetime(video.start_ns):%Y-%m-%dT%H:%M:%S.%f}"[:-3]


def test_the_list_of_clocks_is_in_the_order_of_trust() -> None:
    assert CLOCKS == (
        "path", "sidecar", "playlist", "chapter", "gps", "creationdate", "frames", "timecode",
        "creation_time", "date", "mtime", "none",
    )  # fmt: skip


def test_the_date_of_an_apple_recording_counts_before_that_of_its_export(tmp_path: Path) -> None:
    path = tmp_path / "IMG_0042.MOV"
    with written(path, movflags="use_metadata_tags") as container:
        container.metadata["creation_time"] = "2026-04-01T12:00:00Z"
        container.metadata["com.apple.quicktime.creationdate"] = "2026-03-14T10:00:00+0100"
    assert start_of(path) == ("creationdate", "2026-03-14T09:00:00.000")
    warnings = " ".join(look(source_of(path)).warnings)
    assert "2026-03-14T09:00:00+00:00 by creationdate, which is taken" in warnings
    assert "2026-04-01T12:00:00+00:00 by creation_time" in warnings


@pytest.mark.parametrize(("off_s", "told"), [(-5, 0), (-6, 1), (6, 0), (7, 1)])
def test_clocks_disagree_if_they_differ_by_more_than_five_seconds(
    tmp_path: Path, off_s: int, told: int
) -> None:
    path = tmp_path / "a.mp4"
    with written(path, seconds=1) as container:
        container.metadata["creation_time"] = (MORNING + timedelta(seconds=off_s)).isoformat()
    at_morning = {"start_ns": datetime_to_ns(MORNING), "clock": "path"}
    warnings = look(source_of(path, **at_morning)).warnings
    # Some recorders write when the file was complete, here one second later.
    assert sum("disagree" in warning for warning in warnings) == told
    assert start_of(path, **at_morning) == ("path", "2026-03-14T09:00:00.000")


def test_matroska_has_a_date_in_utc(tmp_path: Path) -> None:
    for name in ("a.mkv", "b.webm"):
        path = tmp_path / name
        if name == "b.webm":
            make_video(tmp_path / "plain.webm", codec="libvpx-vp9", num_frames=10)
            copied(tmp_path / "plain.webm", path, creation_time="2026-03-14T09:00:00Z")
        else:
            with written(path) as container:
                container.metadata["creation_time"] = "2026-03-14T09:00:00Z"
        assert start_of(path) == ("creation_time", "2026-03-14T09:00:00.000")


def copied(source: Path, target: Path, **tags: str) -> None:
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        new.metadata.update(tags)
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)


def test_a_date_of_avi_without_a_zone_is_in_the_zone_of_the_recorder(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with written(path) as container:
        container.metadata["date"] = "2026-03-14 10:00:00"
    assert start_of(path) == ("date", "2026-03-14T09:00:00.000")


def test_the_digitization_time_of_avi_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with written(path):
        pass
    data = bytearray(path.read_bytes())
    at = data.index(b"JUNK")
    length = struct.unpack_from("<I", data, at + 4)[0]
    text = b"Sat Mar 14 10:00:00 2026\n\0"
    rest = struct.pack("<4sI", b"JUNK", length - 8 - len(text))
    data[at : at + 16 + len(text)] = struct.pack("<4sI", b"IDIT", len(text)) + text + rest
    path.write_bytes(data)
    assert start_of(path) == ("creation_time", "2026-03-14T09:00:00.000")


@pytest.mark.parametrize("text", ["2026", "2026-03-14", "1904-01-01T00:00:00Z", "soon", "25:61"])
def test_a_date_without_a_time_or_of_an_unset_clock_is_no_clock(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.avi"
    with written(path) as container:
        container.metadata["date"] = text
    assert start_of(path)[0] == "none"


@pytest.mark.parametrize(
    ("created", "timecode", "expected"),
    [
        # The time code counts frames, so it is finer; it may be local time or UTC.
        ("2026-03-14T09:00:00Z", "09:00:00:05", ("timecode", "2026-03-14T09:00:00.200")),
        ("2026-03-14T09:00:00Z", "10:00:00:05", ("timecode", "2026-03-14T09:00:00.200")),
        # The file was dated when it was complete.
        ("2026-03-14T09:00:02Z", "09:00:00:00", ("timecode", "2026-03-14T09:00:00.000")),
        # Midnight of the camera's zone lies between the two dates.
        ("2026-03-13T23:00:00Z", "00:00:00:00", ("timecode", "2026-03-13T23:00:00.000")),
        ("2026-03-14T00:00:01Z", "23:59:59:00", ("timecode", "2026-03-13T23:59:59.000")),
        # This one counts what was recorded so far.
        ("2026-03-14T09:00:00Z", "01:00:00:00", ("creation_time", "2026-03-14T09:00:00.000")),
        ("2026-03-14T09:00:00Z", "09:01:00:00", ("timecode", "2026-03-14T09:01:00.000")),
        ("2026-03-14T09:00:00Z", "09:01:00:01", ("creation_time", "2026-03-14T09:00:00.000")),
    ],
)
def test_a_time_code_is_a_clock_if_it_is_the_time_of_day(
    tmp_path: Path, created: str, timecode: str, expected: tuple[str, str]
) -> None:
    path = tmp_path / "a.mp4"
    with written(path) as container:
        container.metadata["creation_time"] = created
        container.streams.video[0].metadata["timecode"] = timecode
    assert start_of(path) == expected


def test_an_mxf_file_has_the_time_code_of_its_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.mxf"
    with written(path) as container:
        container.metadata["creation_time"] = "2026-03-14T09:00:02Z"
        container.streams.video[0].metadata["timecode"] = "09:00:00:05"
    assert start_of(path) == ("timecode", "2026-03-14T09:00:00.200")
    with written(path) as container:
        container.metadata["creation_time"] = "2026-03-14T09:00:02Z"
    assert start_of(path)[0] == "date"


def dahua(path: Path, start: datetime, num_frames: int = 20) -> Path:
    """A file of a Dahua recorder: each frame has the local time of the camera."""
    raw = make_video(
        path.with_suffix(".h264"), num_frames=num_frames, bframes=0, time_base=Fraction(1, 25)
    )
    out = bytearray()
    with av.open(str(raw)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for number, packet in enumerate(packets):
        at = start + timedelta(milliseconds=100 * number)
        date = (at.year - 2000) << 26 | at.month << 22 | at.day << 17 | at.hour << 12
        date |= at.minute << 6 | at.second
        more = bytes([0x81, 0, 0x02, 10, 0x82, 0, 0, 0]) + struct.pack("<HH", 160, 96)
        length = 24 + len(more) + packet.size + 8
        kind = 0xFD if packet.is_keyframe else 0xFC
        out += b"DHAV" + bytes([kind, 0, 1, 0]) + struct.pack("<III", number, length, date)
        out += struct.pack("<HBB", (100 * number) % 65_536, len(more), 0) + more + bytes(packet)
        out += b"dhav" + struct.pack("<I", length)
    path.write_bytes(out)
    return path


def test_the_frames_of_a_dahua_file_have_the_local_time_of_the_camera(tmp_path: Path) -> None:
    path = dahua(tmp_path / "a.dav", datetime(2026, 3, 14, 10))  # noqa: DTZ001 - local
    assert start_of(path) == ("frames", "2026-03-14T09:00:00.000")
    assert look(source_of(path)).span.duration_ns == 2 * SECOND
    late = dahua(tmp_path / "b.dav", datetime(2026, 7, 14, 10))  # noqa: DTZ001 - local
    named = source_of(late, start_ns=datetime_to_ns(MORNING), clock="path")
    assert "2026-07-14T08:00:00+00:00 by frames" in " ".join(look(named).warnings)


def test_a_local_time_that_does_not_exist_is_refused_if_no_better_clock_is_there(
    tmp_path: Path,
) -> None:
    path = dahua(tmp_path / "a.dav", datetime(2026, 3, 29, 2, 30))  # noqa: DTZ001 - local
    with pytest.raises(
        SourceError, match=r"a\.dav: the local time .* does not exist in Europe/Ber"
    ):
        start_of(path)
    assert start_of(path, start_ns=datetime_to_ns(MORNING), clock="path")[0] == "path"
    twice = dahua(tmp_path / "b.dav", datetime(2026, 10, 25, 2, 30))  # noqa: DTZ001 - local
    assert start_of(twice) == ("frames", "2026-10-25T00:30:00.000")
    assert "comes twice in Europe/Berlin" in " ".join(look(source_of(twice)).warnings)


def chapter(path: Path, *, created: str = "2026-03-14T09:00:00Z", seconds: int = 2) -> Path:
    with written(path, seconds=seconds) as container:
        container.metadata["creation_time"] = created
    return path


def test_the_chapters_of_a_recording_follow_one_another(tmp_path: Path) -> None:
    paths = [chapter(tmp_path / f"GX{n:02d}0042.MP4", seconds=n) for n in (1, 2, 3)]
    other = chapter(tmp_path / "GX020043.MP4")
    assert [start_of(path) for path in paths] == [
        ("creation_time", "2026-03-14T09:00:00.000"),
        ("chapter", "2026-03-14T09:00:01.000"),
        ("chapter", "2026-03-14T09:00:03.000"),
    ]
    assert look(source_of(paths[2])).warnings == ()
    assert start_of(paths[2], start_ns=SECOND, clock="sidecar")[0] == "sidecar"
    assert start_of(other)[0] == "creation_time"  # the chapter before it is not there
    paths[1].unlink()
    assert start_of(paths[2])[0] == "creation_time"


def test_chapters_are_known_by_their_names() -> None:
    assert earlier_chapters("s3://b/GH030001.MP4") == ["s3://b/GH010001.MP4", "s3://b/GH020001.MP4"]
    assert earlier_chapters("/a/GP020042.MP4") == ["/a/GOPR0042.MP4", "/a/GP010042.MP4"]
    for name in ("/a/GX010042.MP4", "/a/GOPR0042.MP4", "/a/clip.mp4", "/a/GX0042.MP4"):
        assert earlier_chapters(name) == []


def gpmf(key: bytes, kind: str, size: int, value: bytes) -> bytes:
    header = key + struct.pack(">cBH", kind.encode(), size, len(value) // size)
    return header + value + bytes(-len(value) % 4)


@pytest.mark.parametrize(("fix", "clock"), [(0, "creation_time"), (2, "gps"), (3, "gps")])
def test_the_satellite_time_of_telemetry_counts_if_the_receiver_had_a_fix(
    tmp_path: Path, fix: int, clock: str
) -> None:
    inner = gpmf(b"GPSF", "L", 4, struct.pack(">I", fix))
    inner += gpmf(b"GPSU", "U", 16, b"260314090001.500")
    payload = b"DEVC" + struct.pack(">BBH", 0, 1, len(inner)) + inner
    path = tmp_path / "GX010042.MP4"
    with written(path) as container:
        container.metadata["creation_time"] = "2026-03-14T10:00:00Z"
        track = container.add_data_stream("bin_data")
        track.metadata["handler_name"] = "GoPro MET"
        container.start_encoding()
        for at_ms, data in ((0, b"DEVC\0\1\0\0"), (1000, payload)):
            packet = av.Packet(data)
            packet.stream, packet.time_base = track, Fraction(1, 1000)
            packet.pts = packet.dts = at_ms
            packet.duration = 1000
            container.mux(packet)
    expected = "2026-03-14T09:00:00.500" if clock == "gps" else "2026-03-14T10:00:00.000"
    assert start_of(path) == (clock, expected)
