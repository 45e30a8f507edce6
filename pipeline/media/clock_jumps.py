"""Times of a stream whose clock wraps, starts again or leaps: decode order is the truth. Pure.

A clock of a transport stream has 33 bits and comes round after 26.5 hours, any number of times. The
clock of joined recordings starts again with each part. Without this module the frames of several
days would lie between each other.
"""

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from pipeline.errors import SourceError
from pipeline.records import NO_PTS, PacketIndex
from pipeline.timebase import Int64Array

CLOCK_BITS = {"mpegts": 33, "mpeg": 33, "flv": 31, "live_flv": 31, "kux": 31, "asf": 32}
"""By name of the format, the bits of its clock; all others count on for as long as they need."""

# A decode time may fall by so much without a reason, as some writers do at the joints of parts.
_LEAST_FALL_S = 1
_LEAST_FALL_INTERVALS = 16
# A step forward of more than this may be a leap from which the clock comes back.
_LEAST_LEAP_S = 10
_LEAST_LEAP_INTERVALS = 10
_MAX_LEAP_S = 10
_LONGEST_PAUSE_S = 900
_LONGEST_PAUSE_INTERVALS = 4
_MAX_LEAP_STRETCHES = 8
# Recorders repeat up to this much of the former part when they begin the next.
_MAX_REPEATED_S = 60
_REPEATED_PACKETS = 8
_MAX_JUMPS = 10_000
MAX_TICKS = 2**60
"""Sums of a few times up to this fit into 64 bits."""


def clock_period(format_name: str) -> int | None:
    """Ticks after which the clock of a format comes round; None if it never does."""
    bits = [CLOCK_BITS[name] for name in format_name.split(",") if name in CLOCK_BITS]
    return 2 ** bits[0] if bits else None


def straighten(
    packets: PacketIndex, uri: str, *, time_base: Fraction, period: int | None
) -> tuple[PacketIndex, list[str]]:
    """The packets with times that rise in decode order; a stream without jumps stays as it is.

    A fall by about one period means that the clock came round. After any other fall, what follows
    is placed straight after what came before, with a warning. A short stretch whose clock leaps
    away and comes back is placed by decode order too. A step forward is believed.

    Raises:
        SourceError: the clock jumps so often that its times mean nothing.
    """
    clock = np.where(packets.dts == NO_PTS, packets.pts, packets.dts)
    rows = np.flatnonzero(clock != NO_PTS)
    if len(rows) < 2:  # noqa: PLR2004 - no steps
        return packets, []
    if max(abs(int(clock[rows].min())), abs(int(clock[rows].max()))) > MAX_TICKS:
        return packets, []  # whoever looks at its length refuses it
    ticks = clock[rows] if period is None else clock[rows] % period
    steps = np.diff(ticks)
    usual = max(1, int(np.median(np.abs(steps))))
    second = int(1 / time_base)
    least_fall = max(_LEAST_FALL_S * second, _LEAST_FALL_INTERVALS * usual)
    least_leap = max(_LEAST_LEAP_S * second, _LEAST_LEAP_INTERVALS * usual)
    jumps = np.flatnonzero((steps < -least_fall) | (steps > least_leap)) + 1
    if not len(jumps):
        return packets, []
    if len(jumps) > _MAX_JUMPS:
        raise SourceError(
            f"{uri}: its clock jumps {len(jumps)} times, so nobody knows when its frames were"
            " taken; convert it with times that a player counts, or copy it again"
        )
    starts = np.concatenate([[0], jumps])
    walk = _Walk(
        ticks=ticks,
        num_bytes=packets.num_bytes[rows],
        starts=[*starts.tolist(), len(ticks)],
        usual=usual,
        second=second,
        least_fall=least_fall,
        least_leap=least_leap,
        longest_pause=max(_LONGEST_PAUSE_S * second, _LONGEST_PAUSE_INTERVALS * usual),
        period=period,
    )
    moves = walk.shifts()
    if max(map(abs, moves)) > MAX_TICKS:
        raise SourceError(
            f"{uri}: its clock jumps over more time than any recording lasts, so nobody knows when"
            " its frames were taken; copy it again from the original"
        )
    shifts = np.array(moves, dtype=np.int64)
    base = int(clock[rows[0]] - ticks[0])
    of_stretch = np.searchsorted(rows[starts], np.arange(len(packets)), side="right") - 1
    moved = _shifted(packets, clock, shifts[np.maximum(of_stretch, 0)] + base, period)
    if walk.restarts:
        # FFmpeg would drop the pictures of a fragment whose clock has started again.
        is_dropped = moved.discard & (of_stretch < min(walk.restarts))
        moved = replace(moved, discard=is_dropped)
    is_same = np.array_equal(moved.pts, packets.pts) and np.array_equal(moved.dts, packets.dts)
    warnings = walk.warnings(time_base)
    return packets if is_same else replace(moved, has_clock_jumps=bool(warnings)), warnings


def _shifted(
    packets: PacketIndex, clock: Int64Array, shift: Int64Array, period: int | None
) -> PacketIndex:
    """The packets with ``shift`` added to their clock, which is taken modulo the period."""
    in_period = clock if period is None else clock % period
    moved = np.where(clock == NO_PTS, NO_PTS, in_period + shift)
    lag = np.where(packets.pts == NO_PTS, 0, packets.pts - clock)
    if period is not None:  # one of the two times of a packet may have come round, the other not
        lag = (lag + period // 2) % period - period // 2
    return replace(
        packets,
        pts=np.where(packets.pts == NO_PTS, NO_PTS, moved + lag),
        dts=np.where(packets.dts == NO_PTS, NO_PTS, moved),
        shifts=shift,
    )


@dataclass(slots=True, kw_only=True)
class _Walk:
    """Goes through the stretches between jumps, in decode order."""

    ticks: Int64Array
    num_bytes: "np.ndarray[tuple[int, ...], np.dtype[np.int32]]"
    starts: list[int]
    """Of each stretch, and the end of the last."""
    usual: int
    """Ticks from packet to packet."""
    second: int
    least_fall: int
    least_leap: int
    longest_pause: int
    """A clock that came round and seems fresh after a longer pause has started again."""
    period: int | None
    restarts: dict[int, int] = field(default_factory=dict)
    """By number of a stretch at which the clock started again: where that is placed."""
    num_leapt: int = 0

    def shifts(self) -> list[int]:
        """Ticks to add to the clock of each stretch."""
        shifts = [0]
        while len(shifts) < len(self.starts) - 1:
            number = len(shifts)
            end = self._last(number - 1) + shifts[-1]
            shift, step = self._follow(number, shifts[-1], end)
            if -self.least_fall <= step <= self.least_leap:
                shifts.append(shift)
                continue
            following = self._comes_back(number, shifts[-1], end)
            if following is not None:
                for leapt in range(number, following):
                    self.num_leapt += self.starts[leapt + 1] - self.starts[leapt]
                    shifts.append(end + self.usual - self._first(leapt))
                    end = self._last(leapt) + shifts[-1]
                shifts.append(self._follow(following, shifts[number - 1], end)[0])
            elif step > 0 or self._is_repeated(number, step):
                shifts.append(shift)
            else:
                shifts.append(shift - step + self.usual)
                self.restarts[number] = end + self.usual
        return shifts

    def warnings(self, time_base: Fraction) -> list[str]:
        """What the user must know; a clock that came round needs no word."""
        warnings = []
        if self.restarts:
            first_s = float((min(self.restarts.values()) - self._first(0)) * time_base)
            warnings.append(
                f"the clock of the recording starts again {len(self.restarts)} times, the first"
                f" after {first_s:.3f} s; each part is placed straight after the former, so if the"
                " camera paused there, later wall-clock times are early"
            )
        if self.num_leapt:
            warnings.append(
                f"the clock of {self.num_leapt} packets leaps away and comes back;"
                " they are placed by their order"
            )
        return warnings

    def _first(self, number: int) -> int:
        return int(self.ticks[self.starts[number]])

    def _last(self, number: int) -> int:
        return int(self.ticks[self.starts[number + 1] - 1])

    def _follow(self, number: int, shift: int, end: int) -> tuple[int, int]:
        """The shift of a stretch if its clock only came round, and the step from ``end`` to it."""
        step = self._first(number) + shift - end
        if self.period is None:
            return shift, step
        # Times out of order pass the border twice, and a copy may begin before it.
        is_back = step > self.period // 2 and self._is_fresh(number)
        if is_back or step > self.period - self.least_leap:
            return shift - self.period, step - self.period
        came_round = step + self.period
        if step < -self.period // 2 and (
            came_round <= self.longest_pause or not self._is_fresh(number)
        ):
            return shift + self.period, came_round
        return shift, step

    def _is_fresh(self, number: int) -> bool:
        """Whether a clock begins here: at zero, or where it began before."""
        begins = [0, *(self._first(former) for former in range(min(number, _MAX_LEAP_STRETCHES)))]
        return any(abs(self._first(number) - begin) <= self.least_leap for begin in begins)

    def _comes_back(self, number: int, shift: int, end: int) -> int | None:
        """The stretch that goes on where the clock was before a short leap."""
        last = min(number + _MAX_LEAP_STRETCHES, len(self.starts) - 2)
        for following in range(number + 1, last + 1):
            leapt = (self.starts[following] - self.starts[number]) * self.usual
            if leapt > _MAX_LEAP_S * self.second:
                return None
            if 0 < self._follow(following, shift, end)[1] <= leapt + self.least_leap:
                return following
        return None

    def _is_repeated(self, number: int, step: int) -> bool:
        """Whether a stretch begins with packets from the middle of the former, at their times.

        If it begins as the former begins, it is a copy of a whole recording and follows it.
        """
        if step < -_MAX_REPEATED_S * self.second:
            return False
        begin, start = self.starts[number - 1], self.starts[number]
        former = begin + int(np.searchsorted(self.ticks[begin:start], self.ticks[start]))
        length = min(_REPEATED_PACKETS, len(self.ticks) - start)
        again, first = slice(start, start + length), slice(former, former + length)
        return bool(
            begin < former <= start - length
            and np.array_equal(self.ticks[again], self.ticks[first])
            and np.array_equal(self.num_bytes[again], self.num_bytes[first])
        )
