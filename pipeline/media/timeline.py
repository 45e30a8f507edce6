"""When a frame is on screen. Pure functions."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from pipeline.timebase import NS_PER_S, Int64Array, TimeRange, pts_to_ns

_MIN_INTERVALS_OF_GAP = 10
# Where durations are in decode order, a long one may be up to this many packets from its frame.
_MAX_REORDERED_PACKETS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The screen time of one video stream."""

    origin_pts: int
    footage: tuple[TimeRange, ...]
    """Media time."""
    warnings: tuple[str, ...]


def lay_out(
    shown_pts: Int64Array,
    *,
    packet_pts: Int64Array,
    durations: Int64Array,
    time_base: Fraction,
    container_start_pts: int | None,
    fallback_interval: int,
    max_gap_s: float,
) -> Timeline:
    """Find media time 0, the ranges with footage and the end of the last frame.

    Args:
        shown_pts: ascending ticks, no duplicates, at least one.
        packet_pts: ticks of all packets in decode order.
        durations: of these packets, 0 where unknown.
        time_base: seconds per tick.
        container_start_pts: what a player calls 0:00, if the container says so.
        fallback_interval: ticks a frame lasts if there is only one.
        max_gap_s: see ``SampleConfig``.
    """
    gaps = np.diff(shown_pts)
    usual = max(1, int(np.median(gaps)) if len(gaps) else fallback_interval)
    max_gap = max(int(max_gap_s / time_base), _MIN_INTERVALS_OF_GAP * usual)
    starts, ends = [int(shown_pts[0])], []
    row_of = None
    for i in np.flatnonzero(gaps > max_gap):
        if row_of is None:
            row_of = np.argsort(packet_pts, kind="stable")
        row = int(row_of[np.searchsorted(packet_pts, shown_pts[i], sorter=row_of)])
        first_row, end_row = row - _MAX_REORDERED_PACKETS, row + _MAX_REORDERED_PACKETS + 1
        longest = int(durations[max(0, first_row) : end_row].max())
        if 2 * longest >= int(gaps[i]):
            continue  # the container says that the frame stayed on screen
        ends.append(int(shown_pts[i]) + usual)
        starts.append(int(shown_pts[i + 1]))
    # Some demuxers give each packet the least duration, whatever the rate.
    stated = durations[durations > 0]
    is_short = len(gaps) < _MIN_INTERVALS_OF_GAP
    are_true = len(stated) > 0 and (is_short or 2 * float(np.median(stated)) >= usual)
    last = durations[packet_pts == shown_pts[-1]] if are_true else durations[:0]
    last_duration = int(last[-1]) if len(last) else 0
    ends.append(int(shown_pts[-1]) + (last_duration if 0 < last_duration <= max_gap else usual))

    first = starts[0]
    origin = first if container_start_pts is None else min(container_start_pts, first)
    footage = tuple(
        TimeRange(start_ns, max(pts_to_ns(end - origin, time_base), start_ns + 1))
        for start_ns, end in (
            (pts_to_ns(start - origin, time_base), end)
            for start, end in zip(starts, ends, strict=True)
        )
    )
    return Timeline(origin_pts=origin, footage=footage, warnings=_describe(footage))


def _describe(footage: tuple[TimeRange, ...]) -> tuple[str, ...]:
    if len(footage) == 1:
        return ()
    lost_s = sum(after.start_ns - before.end_ns for before, after in pairwise(footage)) / NS_PER_S
    first_s = footage[0].end_ns / NS_PER_S
    text = (
        f"{len(footage) - 1} gaps without footage, {lost_s:.1f} s in all,"
        f" the first at {first_s:.3f} s; the clock of the recording may have jumped"
    )
    return (text,)
