"""Each event once more, at its borders and with more frames. Pure.

A first look reads a whole window at the run's frame rate, so that a border is known to a pair of
frames. The same question about a few seconds around the border, at a higher rate, says it better,
and an event that is nowhere in them was never there: events are moved, split or rejected. Both
answers are kept in the window's row; what they are worth together is decided here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from pipeline.config import VerifyConfig
from pipeline.records import Observation, Verdict, Video, WindowPlan, make_id
from pipeline.timebase import NS_PER_MS, NS_PER_S, Int64Array, TimeRange, seconds_to_ns

_MIN_FRAMES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the model saw in a verification."""

    span: TimeRange
    found: tuple[Observation, ...]
    """Those that match, and the others."""
    step_ns: int
    """Between two markers of the look."""


def spans_to_check(
    observations: Iterable[Observation],
    plan: WindowPlan,
    frame_ns: Sequence[int],
    config: VerifyConfig,
) -> list[TimeRange]:
    """Media times of the second looks at a window, ascending, at most ``config.max_looks``."""
    spans = {span for one in observations for span in _spans_of(one, plan, frame_ns, config)}
    return sorted(spans)[: config.max_looks]


def plan_verification(
    span: TimeRange,
    plan: WindowPlan,
    video: Video,
    shown_pts: Int64Array,
    config: VerifyConfig,
    *,
    max_frames: int,
) -> WindowPlan | None:
    """The frames on screen at ``config.fps`` in ``span``, or fewer per second if too many.

    ``shown_pts`` are the ticks that can be had. None if they show too little of ``span``.
    """
    shown_ns = np.array([video.media_ns(pts) for pts in shown_pts.tolist()], dtype=np.int64)
    if not len(shown_ns):
        return None
    step_ns = max(NS_PER_S / config.fps, span.duration_ns / max_frames)
    grid = span.start_ns + np.arange(0, span.duration_ns, step_ns).astype(np.int64)
    rows = np.unique(np.searchsorted(shown_ns, grid, side="right") - 1)
    rows = rows[rows >= 0]
    if len(rows) < _MIN_FRAMES:
        return None
    start_ns = max(span.start_ns, int(shown_ns[rows[0]]))
    return WindowPlan(
        window_id=make_id(plan.window_id, "look", span.start_ns, span.end_ns),
        span=TimeRange(start_ns, span.end_ns),
        frame_pts=tuple(shown_pts[rows].tolist()),
    )


def revise(
    observations: Iterable[Observation],
    verifications: Sequence[Seen],
    plan: WindowPlan,
    frame_ns: Sequence[int],
    config: VerifyConfig,
    *,
    identity: Callable[[Observation], object],
) -> list[Observation]:
    """The observations as both looks together know them, each with its verdict.

    An event that none of its looks shows is left out, if they show the time of all of it or both
    its borders. One without a look stays as it is.
    """
    revised: list[Observation] = []
    for one in observations:
        spans = _spans_of(one, plan, frame_ns, config)
        mine = [
            verification
            for verification in verifications
            if any(_is_of(verification, span) for span in spans)
        ]
        matches = [
            [f for f in verification.found if identity(f) == identity(one)] for verification in mine
        ]
        if mine and not any(matches):
            if not _is_refuted(one, mine, _borders(one, plan, frame_ns)):
                revised.append(one)
            continue
        revised.extend(_revised(one, list(zip(mine, matches, strict=True))))
    return revised


def _is_of(verification: Seen, span: TimeRange) -> bool:
    # The look begins at a frame, which may stand a little after the time that was asked for.
    # Tables hold microseconds.
    return (
        abs(verification.span.end_ns - span.end_ns) < NS_PER_MS
        and verification.span.start_ns > span.start_ns - NS_PER_MS
    )


def _spans_of(
    one: Observation, plan: WindowPlan, frame_ns: Sequence[int], config: VerifyConfig
) -> list[TimeRange]:
    """Around each border that lies inside the window; one span for both if they are near.

    At the window's own edge an event goes on in the next window, or began in the one before.
    """
    reach_ns = seconds_to_ns(config.reach_s)
    borders = _borders(one, plan, frame_ns)
    spans = [TimeRange(max(0, at - reach_ns), at + reach_ns) for at in borders if at is not None]
    if len(spans) > 1 and spans[0].end_ns >= spans[1].start_ns:
        return [TimeRange(spans[0].start_ns, spans[1].end_ns)]
    return spans


def _borders(
    one: Observation, plan: WindowPlan, frame_ns: Sequence[int]
) -> tuple[int | None, int | None]:
    """Its start and its end; None where that is the window's own edge."""
    edge_ns = _step_ns(frame_ns)
    starts_here = one.span.start_ns > plan.span.start_ns + edge_ns
    ends_here = one.span.end_ns < plan.span.end_ns - edge_ns
    return one.span.start_ns if starts_here else None, one.span.end_ns if ends_here else None


def _step_ns(frame_ns: Sequence[int]) -> int:
    """Time from a frame to the next, as a rule; 0 for a single one."""
    return int(np.median(np.diff(frame_ns))) if len(frame_ns) > 1 else 0


def _is_refuted(
    one: Observation, verifications: Sequence[Seen], borders: tuple[int | None, int | None]
) -> bool:
    """Whether looks that do not show an event speak against all of it.

    One that goes on beyond the window was looked at from one side alone. What lies outside of that
    look is as the first look says: a model that sees only an end of it may well name it otherwise.
    """
    return None not in borders or any(
        verification.span.start_ns <= one.span.start_ns
        and one.span.end_ns <= verification.span.end_ns
        for verification in verifications
    )


def _revised(
    one: Observation, verifications: Sequence[tuple[Seen, list[Observation]]]
) -> list[Observation]:
    start_ns, end_ns = one.span.start_ns, one.span.end_ns
    gaps: list[tuple[int, int]] = []
    for verification, matches in verifications:
        if not matches:
            continue
        matches.sort(key=lambda found: found.span)
        first_ns, last_ns = matches[0].span.start_ns, max(found.span.end_ns for found in matches)
        if verification.span.start_ns <= one.span.start_ns < verification.span.end_ns:
            start_ns = first_ns
        if verification.span.start_ns < one.span.end_ns <= verification.span.end_ns:
            end_ns = last_ns
        gaps += [
            (earlier.span.end_ns, later.span.start_ns)
            for earlier, later in pairwise(matches)
            if later.span.start_ns - earlier.span.end_ns > verification.step_ns
        ]
    gaps = [gap for gap in gaps if start_ns < gap[0] and gap[1] < end_ns]
    edges = [start_ns, *(at for gap in sorted(gaps) for at in gap), end_ns]
    spans = [
        TimeRange(low, high)
        for low, high in zip(edges[::2], edges[1::2], strict=True)
        if low < high
    ]
    if not verifications:
        return [one]
    if len(spans) > 1:
        return [_as(one, span, "split") for span in spans]
    if not spans or spans[0] == one.span:
        return [_as(one, one.span, "confirmed")]
    return [_as(one, spans[0], "moved")]


def _as(one: Observation, span: TimeRange, verdict: Verdict) -> Observation:
    boxes = tuple(box for box in one.boxes if span.start_ns <= box.at_ns < span.end_ns)
    return replace(one, span=span, boxes=boxes, verdict=verdict)
