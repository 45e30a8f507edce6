"""Exact time: stream ticks, integer nanoseconds, half-open ranges, the sample grid."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000
_BILLION = 1_000_000_000
_WRITTEN_CORRECTION = re.compile(
    r"(?:(?P<offset>[+-]\d+) ns)?(?:, )?(?:(?P<rate>[+-]\d+) ppb)?(?: since (?P<since>.+))?"
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Int64Array: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, order=True)
class TimeRange:
    """``[start_ns, end_ns)`` in integer nanoseconds; never empty."""

    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        """Refuse empty and reversed ranges here, so that nothing later has to ask."""
        if self.end_ns <= self.start_ns:
            raise ValueError(f"time range must not be empty: {self.start_ns=} {self.end_ns=}")

    @property
    def duration_ns(self) -> int:
        """Length in nanoseconds."""
        return self.end_ns - self.start_ns

    def overlaps(self, other: "TimeRange") -> bool:
        """Whether the two share an instant."""
        return self.start_ns < other.end_ns and other.start_ns < self.end_ns

    def in_microseconds(self) -> "TimeRange":
        """As a table holds it: both ends rounded down, and never to nothing."""
        start_ns = self.start_ns // NS_PER_US * NS_PER_US
        return TimeRange(start_ns, max(self.end_ns // NS_PER_US * NS_PER_US, start_ns + NS_PER_US))


def without(ranges: Iterable[TimeRange], taken: Iterable[TimeRange]) -> list[TimeRange]:
    """What is left of ascending ranges without what is taken, ascending."""
    left = list(ranges)
    for other in taken:
        parts = (
            bounds
            for one in left
            for bounds in (
                (one.start_ns, min(one.end_ns, other.start_ns)),
                (max(one.start_ns, other.end_ns), one.end_ns),
            )
        )
        left = [TimeRange(start_ns, end_ns) for start_ns, end_ns in parts if start_ns < end_ns]
    return left


def joined(ranges: Iterable[TimeRange], max_gap_ns: int = 0) -> list[TimeRange]:
    """The ranges, ascending; those that overlap, or are at most ``max_gap_ns`` apart, are one."""
    found: list[TimeRange] = []
    for one in sorted(ranges):
        if found and one.start_ns - found[-1].end_ns <= max_gap_ns:
            found[-1] = TimeRange(found[-1].start_ns, max(found[-1].end_ns, one.end_ns))
        else:
            found.append(one)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockCorrection:
    """What a camera's clock lacks: ``utc = t + offset_ns + (t - since_ns) * rate_ppb / 10**9``.

    Without ``since_ns`` the clock was right whenever a file began, and only the time inside a file
    is stretched. All of it is integer arithmetic, rounded down.
    """

    offset_ns: int = 0
    rate_ppb: int = 0
    """Billionths; more than -10**9, so that time goes on."""
    since_ns: int | None = None

    def utc_ns(self, camera_ns: int) -> int:
        """UTC at which the camera's clock showed ``camera_ns`` as it began a file."""
        drifted_ns = 0 if self.since_ns is None else camera_ns - self.since_ns
        return camera_ns + self.offset_ns + drifted_ns * self.rate_ppb // _BILLION

    def camera_ns(self, utc_ns: int) -> int:
        """What the camera's clock showed at a time, about: off by the drift of a file's length."""
        since_ns = 0 if self.since_ns is None else self.since_ns
        rate_ppb = 0 if self.since_ns is None else self.rate_ppb
        passed_ns = utc_ns - self.offset_ns - since_ns
        return since_ns + passed_ns * _BILLION // (_BILLION + rate_ppb)

    def elapsed_ns(self, media_ns: int) -> int:
        """How long ``media_ns`` of a recording really took."""
        return media_ns + media_ns * self.rate_ppb // _BILLION

    def media_ns(self, elapsed_ns: int) -> int:
        """The first media time at which ``elapsed_ns`` have really passed."""
        return -(-elapsed_ns * _BILLION // (_BILLION + self.rate_ppb))

    @classmethod
    def parse(cls, text: str) -> Self:
        """What ``str`` has written; ``since_ns`` to the microsecond."""
        match = _WRITTEN_CORRECTION.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no clock correction")
        since = match["since"]
        return cls(
            offset_ns=int(match["offset"] or 0),
            rate_ppb=int(match["rate"] or 0),
            since_ns=datetime_to_ns(datetime.fromisoformat(since)) if since else None,
        )

    def __str__(self) -> str:
        """As the ``videos`` table tells it; empty where nothing is corrected."""
        offset = f"{self.offset_ns:+d} ns" if self.offset_ns else ""
        rate = f"{self.rate_ppb:+d} ppb" if self.rate_ppb else ""
        if rate and self.since_ns is not None:
            rate += f" since {ns_to_datetime(self.since_ns).isoformat()}"
        return ", ".join(filter(None, (offset, rate)))


UNCORRECTED = ClockCorrection()


def pts_to_ns(pts: int, time_base: Fraction) -> int:
    """Convert stream ticks to nanoseconds, rounding down once.

    The way back is lossy (tick 1 of a 1/30 stream is 33_333_333 ns, which is tick 0 again), so
    whoever must seek keeps the ticks.
    """
    return pts * time_base.numerator * NS_PER_S // time_base.denominator


def seconds_to_ns(seconds: float) -> int:
    """Convert a number from YAML, a command line or a model; to the nearest microsecond.

    A float of seconds carries no more than that, and tables hold microseconds.
    """
    return round(seconds * 1_000_000) * NS_PER_US


def ns_to_datetime(utc_ns: int) -> datetime:
    """Nanoseconds since the epoch as an aware UTC datetime, rounded down to microseconds."""
    return EPOCH + timedelta(microseconds=utc_ns // NS_PER_US)


def datetime_to_ns(at: datetime) -> int:
    """Aware datetime to nanoseconds since the epoch, without passing through a float."""
    delta = at - EPOCH
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * NS_PER_US


def days_between(start: datetime, end: datetime) -> list[date]:
    """UTC dates that share an instant with ``[start, end)``."""
    first = start.astimezone(UTC).date()
    last = (end.astimezone(UTC) - timedelta(microseconds=1)).date()
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]


def fps_fraction(fps: float) -> Fraction:
    """Sampling rate as the exact fraction its writer meant (29.97 stays 2997/100)."""
    return Fraction(fps).limit_denominator(1001)


def on_grid(shown_pts: Int64Array, end_pts: int, *, step: Fraction, origin_pts: int) -> BoolArray:
    """Which frames are on screen at some point of the sample grid; bool [N].

    Frame ``i`` is on screen during ``[shown_pts[i], shown_pts[i+1])``, the last one until
    ``end_pts``. Grid point ``k`` is ``origin_pts + floor(k * step)`` with ``step`` in ticks. As
    ``floor(k * step) >= d`` holds exactly when ``k >= ceil(d / step)``, a frame is wanted if the
    first grid index at or after its start differs from that of its end: one pass over the
    frames, however long the gaps between them are.

    Args:
        shown_pts: ascending ticks, no duplicates [N].
        end_pts: exclusive end of the last frame.
        step: grid step in ticks.
        origin_pts: tick of grid point 0; at or before ``shown_pts[0]``.
    """
    borders = np.append(shown_pts, end_pts) - origin_pts
    if len(borders) and int(np.abs(borders).max()) * step.denominator >= 2**62:
        first_k = np.array(
            [-(-int(d) * step.denominator // step.numerator) for d in borders], dtype=object
        )
    else:
        first_k = -((-borders * step.denominator) // step.numerator)
    return np.asarray(first_k[:-1] < first_k[1:], dtype=np.bool_)
