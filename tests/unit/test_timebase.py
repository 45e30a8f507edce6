from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.timebase import (
    UNCORRECTED,
    ClockCorrection,
    TimeRange,
    datetime_to_ns,
    fps_fraction,
    ns_to_datetime,
    on_grid,
    pts_to_ns,
)


def test_ticks_are_rounded_down_once_and_large_times_keep_every_nanosecond():
    assert pts_to_ns(1, Fraction(1, 30)) == 33_333_333
    assert pts_to_ns(2, Fraction(1, 30)) == 66_666_666
    assert pts_to_ns(2**62, Fraction(1, 90_000)) == 2**62 * 100_000 // 9
    assert pts_to_ns(-1, Fraction(1, 30)) == -33_333_334


def test_a_range_is_never_empty_or_reversed():
    with pytest.raises(ValueError, match="must not be empty"):
        TimeRange(5, 5)
    with pytest.raises(ValueError, match="must not be empty"):
        TimeRange(5, 4)


def test_ranges_that_only_touch_do_not_overlap():
    assert not TimeRange(0, 5).overlaps(TimeRange(5, 6))
    assert TimeRange(0, 5).overlaps(TimeRange(4, 6))


def test_rates_written_as_decimals_are_exact():
    assert fps_fraction(0.1) == Fraction(1, 10)
    assert fps_fraction(29.97) == Fraction(2997, 100)
    assert fps_fraction(30000 / 1001) == Fraction(30000, 1001)


@given(st.integers(-(10**15), 4 * 10**15))
def test_datetimes_keep_microseconds(us):
    at = ns_to_datetime(us * 1000)
    assert datetime_to_ns(at) == us * 1000
    assert ns_to_datetime(us * 1000 + 999) == at


def test_a_datetime_far_from_the_epoch_is_exact():
    at = datetime(2026, 3, 14, 9, 0, 6, 100_001, tzinfo=UTC)
    assert ns_to_datetime(datetime_to_ns(at)) == at


def _by_enumeration(shown, end, step, origin):
    """The rule itself: walk the grid and look up the frame on screen."""
    wanted, k = set(), 0
    while (point := origin + int(step * k // 1)) < end:
        on_screen = [pts for pts in shown if pts <= point]
        if on_screen:
            wanted.add(on_screen[-1])
        k += 1
    return [pts in wanted for pts in shown]


@given(
    gaps=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    step=st.fractions(min_value=Fraction(1, 3), max_value=60, max_denominator=12),
)
def test_the_grid_takes_exactly_the_frames_on_screen_at_its_points(gaps, step):
    shown = np.cumsum([0, *gaps])[:-1].astype(np.int64)
    end = int(sum(gaps))
    taken = on_grid(shown, end, step=step, origin_pts=0)
    assert list(taken) == _by_enumeration(list(map(int, shown)), end, step, 0)


def test_a_frame_that_starts_exactly_on_a_point_is_taken_and_its_forerunner_is_not():
    shown = np.array([0, 9, 10, 19, 20], dtype=np.int64)
    assert list(on_grid(shown, 25, step=Fraction(10), origin_pts=0)) == [1, 0, 1, 0, 1]


def test_time_lapse_invents_no_frames():
    shown = np.arange(0, 1440 * 60, 60, dtype=np.int64)
    assert on_grid(shown, 1440 * 60, step=Fraction(1), origin_pts=0).sum() == 1440


def test_ticks_too_large_for_64_bit_products_still_count_right():
    shown = np.array([0, 2**60, 2**60 + 1], dtype=np.int64)
    taken = on_grid(shown, 2**60 + 2, step=Fraction(7, 1001), origin_pts=0)
    assert list(taken) == [1, 1, 1]


HOUR_NS = 3600 * 10**9


def test_a_clock_that_loses_fifty_millionths_is_put_right_to_the_nanosecond():
    slow = ClockCorrection(offset_ns=-7, rate_ppb=50_000, since_ns=10 * HOUR_NS)
    assert slow.utc_ns(10 * HOUR_NS) == 10 * HOUR_NS - 7
    assert slow.utc_ns(34 * HOUR_NS) == 34 * HOUR_NS - 7 + 4_320_000_000
    assert slow.elapsed_ns(HOUR_NS) == HOUR_NS + 180_000_000
    assert ClockCorrection(rate_ppb=50_000).utc_ns(34 * HOUR_NS) == 34 * HOUR_NS


def test_an_uncorrected_clock_is_what_it_shows():
    assert (UNCORRECTED.utc_ns(5), UNCORRECTED.elapsed_ns(7), str(UNCORRECTED)) == (5, 7, "")


def test_a_correction_tells_itself():
    since = datetime_to_ns(datetime(2026, 3, 1, tzinfo=UTC))
    told = str(ClockCorrection(offset_ns=-1_500_000_000, rate_ppb=50_000, since_ns=since))
    assert told == "-1500000000 ns, +50000 ppb since 2026-03-01T00:00:00+00:00"


@given(
    offset_ns=st.integers(-(10**18), 10**18),
    rate_ppb=st.integers(-100_000_000, 100_000_000),
    since_us=st.none() | st.integers(0, 2 * 10**15),
)
def test_a_correction_is_read_back_as_it_was_told(offset_ns, rate_ppb, since_us):
    since_ns = since_us * 1000 if rate_ppb and since_us is not None else None
    correction = ClockCorrection(offset_ns=offset_ns, rate_ppb=rate_ppb, since_ns=since_ns)
    assert ClockCorrection.parse(str(correction)) == correction


@given(
    rate_ppb=st.integers(-100_000_000, 100_000_000),
    media_ns=st.lists(st.integers(0, 10**15), min_size=2, max_size=20),
)
def test_corrected_time_keeps_its_order_and_finds_its_way_back(rate_ppb, media_ns):
    clock = ClockCorrection(rate_ppb=rate_ppb)
    media_ns = sorted(media_ns)
    elapsed = [clock.elapsed_ns(ns) for ns in media_ns]
    assert elapsed == sorted(elapsed)
    for ns, took_ns in zip(media_ns, elapsed, strict=True):
        first = clock.media_ns(took_ns)
        assert clock.elapsed_ns(first) >= took_ns
        assert first <= ns
        assert first == 0 or clock.elapsed_ns(first - 1) < took_ns
