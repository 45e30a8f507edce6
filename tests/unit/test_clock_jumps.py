"""A clock that wraps, starts again or leaps gives times in decode order, and shards find them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import DecodeConfig, FrameConfig, SampleConfig
from pipeline.errors import SourceError
from pipeline.media import decode_frames, probe, reader
from pipeline.media.clock_jumps import clock_period, straighten
from pipeline.plan import packets_for
from pipeline.records import NO_PTS, PacketIndex, Video
from pipeline.tables.shared import Provenance
from pipeline.tables.videos import IndexedVideo, video_of_row, video_row
from tests.videos import make_video, number_in, picture_of, source_of

TICK = Fraction(1, 90_000)
TURN = 2**33
SECOND = 90_000
DAY = 86_400 * SECOND


def packets_at(
    dts: Sequence[int], pts: Sequence[int] | None = None, sizes: Sequence[int] | None = None
) -> PacketIndex:
    number = len(dts)
    return PacketIndex(
        pts=np.array(dts if pts is None else pts, dtype=np.int64),
        dts=np.array(dts, dtype=np.int64),
        num_bytes=np.array(range(number) if sizes is None else sizes, dtype=np.int32),
        keyframe=np.ones(number, dtype=np.bool_),
        discard=np.zeros(number, dtype=np.bool_),
    )


def straight(packets: PacketIndex, period: int | None = TURN) -> tuple[list[int], list[str]]:
    """The decode times from the first on, and the warnings."""
    made, warnings = straighten(packets, "a.ts", time_base=TICK, period=period)
    assert made.has_clock_jumps is bool(warnings)
    return (made.dts - made.dts[0]).tolist(), warnings


def as_ffmpeg_gives(ticks: int, first: int) -> int:
    """FFmpeg takes a clock of 33 bits for one that begins a minute before the first packet."""
    reference = first - 60 * SECOND
    return (ticks - reference) % TURN + reference


@settings(max_examples=60, deadline=None)
@given(
    first=st.integers(0, TURN - 1),
    steps=st.lists(st.sampled_from([3600, 60 * SECOND, 900 * SECOND]), min_size=9, max_size=250),
    delay=st.integers(0, 5),
)
def test_a_clock_may_come_round_any_number_of_times(
    first: int, steps: list[int], delay: int
) -> None:
    true = np.cumsum([first, *steps])
    dts = [as_ffmpeg_gives(int(t), first) for t in true]
    pts = [as_ffmpeg_gives(int(t) + delay * 3600, first) for t in true]
    made, warnings = straighten(packets_at(dts, pts), "a.ts", time_base=TICK, period=TURN)
    assert (made.dts - dts[0]).tolist() == (true - first).tolist()
    assert (made.pts - made.dts).tolist() == [delay * 3600] * len(true)
    assert warnings == []


@pytest.mark.parametrize("begin_s", [10, 11])
@pytest.mark.parametrize("pause_s", [900, 901])
def test_a_clock_that_came_round_has_not_started_again(begin_s: int, pause_s: int) -> None:
    """Only a pause of more than 15 minutes that ends with a fresh clock is taken for a restart."""
    end = TURN - (pause_s - begin_s) * SECOND
    before = [end - 3600 * i for i in reversed(range(50))]
    after = [begin_s * SECOND + 3600 * i for i in range(50)]
    times, warnings = straight(packets_at([*before, *after]))
    started_again = begin_s <= 10 and pause_s > 900
    assert times[50] - times[49] == (3600 if started_again else pause_s * SECOND)
    assert bool(warnings) is started_again


def test_a_clock_that_starts_again_goes_on_straight_after() -> None:
    day = [SECOND + i * 60 * SECOND for i in range(1440)]
    times, warnings = straight(packets_at(day * 3))
    assert times == [i * 60 * SECOND for i in range(3 * 1440)]
    assert "starts again 2 times, the first after 86400.000 s" in warnings[0]


@pytest.mark.parametrize("fall_ticks", [SECOND, SECOND + 1])
def test_a_fall_of_up_to_a_second_is_left_as_it_is(fall_ticks: int) -> None:
    before = [3600 * i for i in range(100)]
    after = [before[-1] - fall_ticks + 3600 * i for i in range(100)]
    times, warnings = straight(packets_at([*before, *after]))
    assert (times == [*before, *after]) is (fall_ticks == SECOND)
    assert bool(warnings) is (fall_ticks > SECOND)


def test_packets_that_come_twice_keep_their_time() -> None:
    times = [3600 * i for i in range(200)]
    joined = [*range(100), *range(60, 200)]
    sizes = [number * 7 for number in joined]
    assert straight(packets_at([times[i] for i in joined], sizes=sizes)) == (
        [times[i] for i in joined],
        [],
    )
    # A copy of the whole is no repetition.
    twice = packets_at(times * 2, sizes=[*range(200)] * 2)
    assert straight(twice)[0] == [3600 * i for i in range(400)]
    other = [*sizes[:100], *(size + 1 for size in sizes[100:])]
    assert "starts again" in straight(packets_at([times[i] for i in joined], sizes=other))[1][0]


@pytest.mark.parametrize("length_s", [30, 7200])
def test_copies_that_wrap_in_their_middle_follow_one_another(length_s: int) -> None:
    one = [TURN - 8 * SECOND + 45_000 * i for i in range(2 * length_s)]
    given = [as_ffmpeg_gives(tick, one[0]) for tick in one] * 3
    times, warnings = straight(packets_at(given))
    assert times == [45_000 * i for i in range(6 * length_s)]
    assert "starts again 2 times" in warnings[0]


@pytest.mark.parametrize("leap_s", [-3000, 40_000, 80_000])
@pytest.mark.parametrize("length", [1, 3])
def test_a_short_leap_of_the_clock_moves_nothing_else(leap_s: int, length: int) -> None:
    true = [10_000 * SECOND + 3600 * i for i in range(100)]
    wrong = [t + leap_s * SECOND if 40 <= i < 40 + length else t for i, t in enumerate(true)]
    times, warnings = straight(packets_at(wrong))
    assert times == [3600 * i for i in range(100)]
    assert f"the clock of {length} packets leaps away" in warnings[0]


@pytest.mark.parametrize(
    ("stored", "warning", "has_jumps"),
    [
        (True, "", True),
        (False, "the clock of a camera", False),
        (None, "the clock of 3 packets leaps away and comes back", True),
        (None, "ends early", False),
    ],
)
def test_only_a_row_of_an_older_timereel_tells_of_jumps_by_its_warnings(
    tmp_path: Path, *, stored: bool | None, warning: str, has_jumps: bool
) -> None:
    video, _ = probe(
        source_of(make_video(tmp_path / "a.mp4", num_frames=5)),
        sample=SampleConfig(),
        decode=DecodeConfig(),
    )
    made_by = Provenance(task="t", model="", prompt_id="", fingerprint="f", config="")
    indexed = IndexedVideo(video=video, status="done", num_shards=1, results=())
    row = video_row(indexed, provenance=made_by, at=datetime.now(tz=UTC))
    row |= {"has_clock_jumps": stored, "warnings": [warning]}
    assert video_of_row(row, video.footage).has_clock_jumps is has_jumps


def test_a_step_forward_is_a_gap_and_no_leap() -> None:
    ticks = [3600 * i for i in range(50)] + [20 * 3600 * SECOND + 3600 * i for i in range(50)]
    assert straight(packets_at(ticks)) == (ticks, [])
    # Nothing was moved, so the packets can still be found by their times.
    made, _ = straighten(packets_at(ticks), "a.ts", time_base=TICK, period=TURN)
    assert len(made.shifts) == 0


def test_packets_without_times_keep_none_and_a_clock_that_jumps_always_is_refused() -> None:
    ticks = [3600 * i for i in range(50)] + [NO_PTS] + [3600 * i for i in range(50)]
    made, _ = straighten(packets_at(ticks), "a.ts", time_base=TICK, period=TURN)
    assert (made.dts[50], made.pts[50], made.dts[51]) == (NO_PTS, NO_PTS, 50 * 3600)
    with pytest.raises(SourceError, match="its clock jumps 20001 times"):
        straight(packets_at([0, 3600, 7200, 1000 * SECOND] * 10_001), period=None)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=40))
def test_any_times_are_put_in_order_or_refused(times: list[int]) -> None:
    for period in (TURN, None):
        try:
            made, _ = straighten(packets_at(times), "a.ts", time_base=TICK, period=period)
        except SourceError:
            continue
        assert len(made) == len(times)


def test_formats_have_the_clocks_of_their_specifications() -> None:
    names = ("mpegts", "mpeg", "flv", "asf", "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
    assert [clock_period(name) for name in names] == [2**33, 2**33, 2**31, 2**32, None, None]


def time_lapse(
    path: Path, *, step_s: int, num_frames: int, first: int = 0, numbers: int = 0
) -> Path:
    """One frame each ``step_s``; the container cuts off the high bits of the clock."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.options = {"preset": "ultrafast", "g": "10", "bf": "0"}
        packets = []
        for number in range(num_frames):
            picture = picture_of(numbers + number, 160, 96)
            packets += stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        for number, packet in enumerate([*packets, *stream.encode()]):
            packet.pts = packet.dts = first + number * step_s * SECOND
            packet.duration, packet.time_base = 3600, TICK
            container.mux(packet)
    return path


def looked_at(path: Path) -> tuple[Video, PacketIndex, list[int]]:
    sample = SampleConfig(max_gap_s=3600)
    video, packets = probe(source_of(path), sample=sample, decode=DecodeConfig())
    return video, packets, packets.shown_pts.tolist()


def numbers_of(video: Video, packets: PacketIndex, want: list[int]) -> list[int]:
    part = packets_for(packets, want)
    frames = decode_frames(video, part, want, frame=FrameConfig(luma_width=160), rgb=False)
    return [number_in(frame.luma) for frame in frames]


@pytest.mark.parametrize("hours", [20, 40, 60])
def test_a_transport_stream_of_days_is_exact_in_every_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    number = hours * 6
    path = time_lapse(tmp_path / "days.ts", step_s=600, num_frames=number)
    video, packets, shown = looked_at(path)
    assert shown == [i * 600 * SECOND for i in range(number)]
    assert (len(video.footage), video.warnings) == (1, ())
    assert video.span.end_ns == hours * 3600 * 10**9
    # Whoever seeks need not read the file from its start.
    monkeypatch.setattr(reader.Reader, "_restart", lambda *_: pytest.fail("read from the start"))
    keys = packets.pts[packets.keyframe].tolist()
    for low, high in pairwise([*keys[::3], shown[-1] + 1]):
        want = [pts for pts in shown if low <= pts < high]
        assert numbers_of(video, packets, want) == [shown.index(pts) for pts in want]


def test_joined_day_files_follow_one_another(tmp_path: Path) -> None:
    parts = [
        time_lapse(tmp_path / f"{day}.ts", step_s=600, num_frames=144, numbers=day * 144)
        for day in range(3)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    video, packets, shown = looked_at(path)
    assert shown == [i * 600 * SECOND for i in range(3 * 144)]
    assert "starts again 2 times, the first after 86400.000 s" in " ".join(video.warnings)
    for first in (0, 140, 150, 290, 420):
        want = shown[first : first + 12]
        assert numbers_of(video, packets, want) == list(range(first, first + 12))


def test_the_clock_of_flash_video_comes_round(tmp_path: Path) -> None:
    first = (2**31 - 6_000_000) * 90
    path = time_lapse(tmp_path / "a.flv", step_s=600, num_frames=30, first=first)
    video, packets, shown = looked_at(path)
    assert np.diff(shown).tolist() == [600_000] * 29
    assert numbers_of(video, packets, shown[22:27]) == [22, 23, 24, 25, 26]


def test_the_clock_of_a_program_stream_comes_round(tmp_path: Path) -> None:
    ticks = [TURN - 36_000 + 3600 * i for i in range(40)]
    path = make_video(tmp_path / "a.mpg", pts=ticks, bframes=0, time_base=TICK)
    video, packets, shown = looked_at(path)
    assert np.diff(shown).tolist() == [3600] * 39
    assert numbers_of(video, packets, shown[30:]) == list(range(30, 40))
