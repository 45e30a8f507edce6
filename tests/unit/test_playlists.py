"""An HLS playlist is one recording: its segments, its clock and its holes."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import DecodeConfig, FrameConfig, SampleConfig, SourcesConfig
from pipeline.errors import SourceError
from pipeline.media import decode_frames, probe
from pipeline.media.clip import write_clip
from pipeline.plan import packets_for
from pipeline.records import Cut, Frame, PacketIndex, Video
from pipeline.sources import list_sources
from pipeline.storage.access import PUBLIC, Access
from pipeline.storage.playlists import read_playlist
from pipeline.timebase import TimeRange, datetime_to_ns
from tests.videos import make_video, number_in, source_of

MORNING = datetime(2026, 3, 14, 9, 0, 0, tzinfo=UTC)
SECOND = 1_000_000_000


def recording(folder: Path, *, kind: str = "mpegts", name: str = "stream.m3u8") -> Path:
    """Three segments of 1 s at 25 frames per second, each frame with its number."""
    folder.mkdir(exist_ok=True)
    options = {"hls_time": "1", "hls_list_size": "0", "hls_segment_type": kind}
    options["hls_flags"] = "program_date_time"
    if kind == "fmp4":
        options["hls_fmp4_init_filename"] = "init.mp4"
    path = make_video(folder / name, num_frames=75, gop=25, bframes=0, container_options=options)
    return dated(path, [MORNING + timedelta(seconds=second) for second in range(3)])


def dated(path: Path, times: list[datetime]) -> Path:
    """The playlist with other times of its segments."""
    left = iter(times)
    path.write_text(
        re.sub(
            r"(?m)^#EXT-X-PROGRAM-DATE-TIME:.*$",
            lambda _: f"#EXT-X-PROGRAM-DATE-TIME:{next(left).isoformat()}",
            path.read_text(),
        )
    )
    return path


def edited(path: Path, change: Callable[[list[str]], list[str]]) -> Path:
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    return path


def look(path: Path, max_gap_s: float = 10.0) -> tuple[Video, PacketIndex]:
    sample = SampleConfig(max_gap_s=max_gap_s)
    return probe(source_of(path), sample=sample, decode=DecodeConfig())


def shown(video: Video, packets: PacketIndex) -> list[tuple[float, int]]:
    """The media second and the number of each frame, each second decoded for itself."""
    frames: list[Frame] = []
    ticks = packets.shown_pts.tolist()
    for first in range(0, len(ticks), 25):
        want = ticks[first : first + 25]
        part = packets_for(packets, want)
        frames += decode_frames(video, part, want, frame=FrameConfig(luma_width=160), rgb=False)
    return [(video.media_ns(frame.pts) / SECOND, number_in(frame.luma)) for frame in frames]


@pytest.mark.parametrize("kind", ["mpegts", "fmp4"])
def test_a_playlist_with_its_segments_is_one_recording(tmp_path: Path, kind: str) -> None:
    path = recording(tmp_path / "gate", kind=kind)
    (source,) = list_sources([str(tmp_path)], SourcesConfig())
    assert (source.uri, source.camera) == (str(path), "gate")
    video, packets = look(path)
    assert (video.clock, video.start_ns) == ("playlist", datetime_to_ns(MORNING))
    assert (len(video.footage), video.span.duration_ns, video.warnings) == (1, 3 * SECOND, ())
    frames = shown(video, packets)
    assert [number for _, number in frames] == list(range(75))
    assert np.allclose([second for second, _ in frames], np.arange(75) / 25, atol=1e-3)


@pytest.mark.parametrize("kind", ["mpegts", "fmp4"])
@pytest.mark.parametrize("is_tagged", [False, True])
def test_the_dates_of_segments_show_holes(tmp_path: Path, kind: str, *, is_tagged: bool) -> None:
    path = dated(
        recording(tmp_path / "gate", kind=kind),
        [MORNING, MORNING + timedelta(minutes=1), MORNING + timedelta(minutes=1, seconds=1)],
    )
    if is_tagged:
        edited(path, lambda lines: _before_segment(lines, 1, "#EXT-X-DISCONTINUITY"))
    video, packets = look(path)
    assert [
        (round(part.start_ns / SECOND, 3), round(part.end_ns / SECOND, 3)) for part in video.footage
    ] == [(0, 1), (60, 62)]
    frames = shown(video, packets)
    assert [number for _, number in frames] == list(range(75))
    assert frames[25][0] == pytest.approx(60, abs=1e-3)


def _before_segment(lines: list[str], number: int, tag: str) -> list[str]:
    at = [i for i, line in enumerate(lines) if line.startswith("#EXTINF")][number]
    return [*lines[:at], tag, *lines[at:]]


def test_a_clip_over_a_hole_has_the_frames_on_both_sides(tmp_path: Path) -> None:
    path = dated(
        recording(tmp_path / "gate", kind="fmp4"),
        [MORNING, MORNING + timedelta(seconds=5), MORNING + timedelta(seconds=6)],
    )
    video, _ = look(path, max_gap_s=1)
    spans = (TimeRange(SECOND // 2, SECOND), TimeRange(5 * SECOND, 5 * SECOND + SECOND // 2))
    out = tmp_path / "out.mp4"
    write_clip(out, [Cut(video=video, media=span) for span in spans])
    with av.open(str(out)) as container:
        numbers = [
            number_in(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)
        ]
    assert numbers == list(range(12, 38))


@pytest.mark.parametrize("kind", ["mpegts", "fmp4"])
def test_a_part_whose_clock_starts_again_follows_by_its_date(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "gate"
    first, second = (recording(folder, kind=kind, name=f"{name}.m3u8") for name in "ab")
    tags = ("#EXTINF", "#EXT-X-PROGRAM", "b")
    rest = [line for line in second.read_text().splitlines() if line.startswith(tags)]
    path = folder / "both.m3u8"
    lines = [*first.read_text().splitlines()[:-1], "#EXT-X-DISCONTINUITY", *rest]
    path.write_text("\n".join(lines) + "\n")
    times = [0, 1, 2, 100, 101, 102]
    dated(path, [MORNING + timedelta(seconds=second) for second in times])
    first.unlink()
    second.unlink()
    video, packets = look(path)
    assert video.num_frames == 150
    frames = shown(video, packets)
    assert [number for _, number in frames] == [*range(75), *range(75)]
    assert frames[75][0] == pytest.approx(100, abs=1e-3)
    assert "starts again" not in " ".join(video.warnings)


def test_a_fragmented_file_whose_clock_starts_again_loses_no_frame(tmp_path: Path) -> None:
    folder = tmp_path / "gate"
    for name in "ab":
        recording(folder, kind="fmp4", name=f"{name}.m3u8")
    names = ["init.mp4", *(f"{name}{number}.m4s" for name in "ab" for number in range(3))]
    path = tmp_path / "joined.mp4"
    path.write_bytes(b"".join((folder / name).read_bytes() for name in names))
    video, packets = look(path)
    frames = shown(video, packets)
    assert [number for _, number in frames] == [*range(75), *range(75)]
    assert np.allclose([second for second, _ in frames], np.arange(150) / 25, atol=1e-3)
    assert "starts again 1 times, the first after 3.000 s" in " ".join(video.warnings)


def test_a_part_is_never_placed_into_the_one_before(tmp_path: Path) -> None:
    path = dated(
        recording(tmp_path / "gate"),
        [MORNING, MORNING + timedelta(seconds=1), MORNING - timedelta(hours=1)],
    )
    video, packets = look(path)
    assert [number for _, number in shown(video, packets)] == list(range(75))
    assert "1 parts begin by the playlist before the former part ends" in " ".join(video.warnings)


def test_a_missing_segment_is_a_hole_with_a_warning(tmp_path: Path) -> None:
    path = recording(tmp_path / "gate")
    (path.parent / "stream1.ts").unlink()
    video, packets = look(path, max_gap_s=0.5)
    assert [round(part.start_ns / SECOND, 2) for part in video.footage] == [0, 2]
    assert [number for _, number in shown(video, packets)] == [*range(25), *range(50, 75)]
    assert "1 segments that the playlist names are not there" in video.warnings
    for segment in path.parent.glob("*.ts"):
        segment.unlink()
    edited(path, lambda lines: [*lines, ""])
    with pytest.raises(SourceError, match="none of the segments that it names is there"):
        look(path)


def test_segments_may_be_parts_of_one_file(tmp_path: Path) -> None:
    path = recording(tmp_path / "gate")
    parts = [(path.parent / f"stream{i}.ts").read_bytes() for i in range(3)]
    (path.parent / "all.ts").write_bytes(b"".join(parts))
    lines = ["#EXTM3U", f"#EXT-X-PROGRAM-DATE-TIME:{MORNING.isoformat()}"]
    for part in parts:
        lines += ["#EXTINF:1.0,", f"#EXT-X-BYTERANGE:{len(part)}", "all.ts"]
    path.write_text("\n".join(lines))
    video, packets = look(path)
    assert [number for _, number in shown(video, packets)] == list(range(75))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/etc/passwd", "only files beside or below a playlist"),
        ("http://127.0.0.1/a.ts", "only files beside or below a playlist"),
        ("file:///etc/passwd", "only files beside or below a playlist"),
        ("%2Fetc%2Fpasswd", "only files beside or below a playlist"),
        ("../other.ts", "neither beside nor below it"),
        ("%2e%2e/other.ts", "neither beside nor below it"),
        ("link.ts", "neither beside nor below it"),
        ("a%00.ts", "only files beside or below a playlist"),
        ("concat:a.ts|b.ts", "none of the segments"),
    ],
)
def test_a_playlist_opens_nothing_but_what_lies_beside_or_below_it(
    tmp_path: Path, name: str, message: str
) -> None:
    folder = tmp_path / "gate"
    folder.mkdir()
    make_video(tmp_path / "other.ts", num_frames=5)
    (folder / "link.ts").symlink_to(tmp_path / "other.ts")
    path = folder / "stream.m3u8"
    path.write_text(f"#EXTM3U\n#EXTINF:1,\n{name}\n")
    with pytest.raises(SourceError, match=message) as caught:
        look(path)
    assert str(path) in str(caught.value)
    header = folder / "header.m3u8"
    header.write_text(f'#EXTM3U\n#EXT-X-MAP:URI="{name}"\n#EXTINF:1,\nlink.ts\n')
    with pytest.raises(SourceError):
        look(header)


def test_roots_may_allow_what_lies_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "gate"
    folder.mkdir()
    make_video(tmp_path / "other.ts", num_frames=5)
    path = folder / "stream.m3u8"
    path.write_text("#EXTM3U\n#EXTINF:1,\n../other.ts\n")
    (part,) = read_playlist(str(path), Access(roots=(str(tmp_path),))).parts
    assert part.uri == str(tmp_path / "other.ts")
    with pytest.raises(SourceError, match=r"neither beside nor below it"):
        read_playlist(str(path), Access(roots=(str(folder),)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.ts\n", "is no HLS playlist"),
        ('#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:1,\na.ts\n', "are encrypted"),
        ("#EXTM3U\n#EXTINF:long,\na.ts\n", "'long' is no duration"),
        ("#EXTM3U\n#EXTINF:nan,\na.ts\n", "lasts nan s"),
        ("#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:today\n", "'today' is no date"),
        ("#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:9999-12-31T23:59:59Z\n", "in the year 9999"),
        ("#EXTM3U\n#EXT-X-BYTERANGE:-1@5\na.ts\n", "'-1@5' is no byte range"),
        (f"#EXTM3U\n#EXT-X-BYTERANGE:{'9' * 5000}@0\na.ts\n", "is no byte range"),
        (f"#EXTM3U\n#EXT-X-BYTERANGE:9@{'9' * 5000}\na.ts\n", "is no byte range"),
        (f'#EXTM3U\n#EXT-X-MAP:URI="a.ts",BYTERANGE="{"9" * 5000}@0"\na.ts\n', "no byte range"),
        (f"#EXTM3U\n#EXTINF:{'9' * 5000},\na.ts\n", "a segment lasts 9"),
        (f"#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:{'9' * 5000}\na.ts\n", "is no date"),
        (f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH={'9' * 5000}\nb.m3u8\n", "name one of them"),
    ],
)
def test_a_playlist_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    make_video(tmp_path / "a.ts", num_frames=5)
    path = tmp_path / "stream.m3u8"
    path.write_text(text)
    with pytest.raises(SourceError, match=message):
        look(path)


@settings(max_examples=60, deadline=None)
@given(
    tag=st.sampled_from(
        ["EXTINF", "EXT-X-BYTERANGE", "EXT-X-MAP", "EXT-X-STREAM-INF", "EXT-X-KEY",
         "EXT-X-PROGRAM-DATE-TIME", "EXT-X-DISCONTINUITY", "EXT-X-MEDIA-SEQUENCE"]
    ),
    value=st.text(max_size=20)
    | st.sampled_from(["9" * 5000, "\u0669" * 9, "1e999", "-1@-1", "METHOD=NONE", "nan"])
    | st.builds("BANDWIDTH={0},BYTERANGE={0}@{0}".format, st.sampled_from(["9" * 5000, "x", "²"])),
    following=st.sampled_from(["a.ts", "", "#", "../a.ts", "b.m3u8"]),
)  # fmt: skip
def test_no_playlist_ends_a_run(tmp_path_factory, tag: str, value: str, following: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "any_playlist"
    if not folder.exists():
        folder.mkdir()
        make_video(folder / "a.ts", num_frames=5)
    path = folder / "stream.m3u8"
    path.write_text(f"#EXTM3U\n#{tag}:{value}\n{following}\n", encoding="utf-8", newline="")
    list_sources([str(folder)], SourcesConfig())
    with suppress(SourceError):
        look(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"#EXT-X-MAP:{'A' * 100_000}\na.ts", r"line 2 has 100,011 characters"),
        (f"/{'b' * 100_000}", r"line 2 has 100,001 characters"),
        (f"/{'b' * 8_000}", r"names '/b{199}'; only files beside"),
        (f"../{'b/' * 4_000}", r"names '\.\./(b/)+b?', which is neither"),
        ("ab\n" * 2_000_000, r"more than 2,000,000 lines"),
    ],
    ids=["attributes", "name", "long line", "long path", "lines"],
)
def test_a_playlist_is_refused_in_a_few_words_however_long_it_is(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "day.m3u8"
    path.write_text(f"#EXTM3U\n{text}\n")
    with pytest.raises(SourceError, match=message) as told:
        read_playlist(str(path), PUBLIC)
    assert len(str(told.value)) < 500 + len(str(path))


def test_a_file_that_a_playlist_names_often_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.ts").write_bytes(b"G" * 188)
    path = tmp_path / "day.m3u8"
    path.write_text("#EXTM3U\n" + "a.ts\n" * 1000)
    looks = []
    monkeypatch.setattr(os, "lstat", lambda name, look=os.lstat: looks.append(name) or look(name))
    assert len(read_playlist(str(path), PUBLIC).parts) == 1000
    assert len(looks) < 100


def test_of_the_playlists_of_one_recording_the_best_is_listed(tmp_path: Path) -> None:
    low = recording(tmp_path / "low")
    high = recording(tmp_path / "high")
    master = tmp_path / "master.m3u8"
    master.write_text(
        '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100,CODECS="a,b"\nlow/stream.m3u8\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=900\nhigh/stream.m3u8\n"
    )
    assert [s.uri for s in list_sources([str(tmp_path)], SourcesConfig())] == [str(high)]
    assert [s.uri for s in list_sources([str(low)], SourcesConfig())] == [str(low)]
    with pytest.raises(SourceError, match=r"name one of them instead: .*high/stream\.m3u8"):
        look(master)


def test_the_header_of_segments_is_never_listed_and_never_called_empty(tmp_path: Path) -> None:
    path = recording(tmp_path / "gate", kind="fmp4")
    with pytest.raises(SourceError, match="holds no picture; keep it"):
        look(path.parent / "init.mp4")
    with pytest.raises(SourceError, match="is a segment of a recording; index its playlist"):
        look(path.parent / "stream0.m4s")
