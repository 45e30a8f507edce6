"""An event is made of pieces, one per file: merged where it goes on, parted where a piece goes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from itertools import groupby

from pipeline.records import Event, Part, Verdict
from pipeline.timebase import TimeRange

# Of an event's parts, the one that changed most speaks for it.
_VERDICTS: tuple[Verdict | None, ...] = (None, "confirmed", "moved", "split")


def parted(event: Event, is_gone: Callable[[Event], bool]) -> list[Event]:
    """What remains of ``event`` without some of its pieces: parted where one is missing."""
    runs = [list(run) for gone, run in groupby(event.pieces, is_gone) if not gone]
    if len(runs) == 1 and len(runs[0]) == len(event.pieces):
        return [event]
    return [reduce(merged, run) for run in runs]


def merged(first: Event, then: Event) -> Event:
    """One event that is both, one after the other."""
    first_ns, then_ns = first.span.duration_ns, then.span.duration_ns
    confidence = None
    if first.confidence is not None and then.confidence is not None:
        weighted = first.confidence * first_ns + then.confidence * then_ns
        confidence = weighted / (first_ns + then_ns)
    return replace(
        first,
        span=_hull(first.span, then.span),
        confidence=confidence,
        verdict=max(first.verdict, then.verdict, key=_VERDICTS.index),
        boxes=first.boxes + then.boxes,
        parts=_joined_parts(first.parts, then.parts),
        window_ids=first.window_ids + then.window_ids,
        joined=_joined_pieces(first, then),
    )


def _joined_pieces(first: Event, then: Event) -> tuple[Event, ...]:
    is_one_file = not first.joined and first.parts[-1].video_id == then.parts[0].video_id
    return () if is_one_file else first.pieces + then.pieces


def _joined_parts(first: Sequence[Part], then: Sequence[Part]) -> tuple[Part, ...]:
    last, follower = first[-1], then[0]
    if last.video_id != follower.video_id:
        return (*first, *then)
    whole = replace(
        last, span=_hull(last.span, follower.span), media=_hull(last.media, follower.media)
    )
    return (*first[:-1], whole, *then[1:])


def _hull(first: TimeRange, then: TimeRange) -> TimeRange:
    # max(), not then's: of two that overlap the earlier may end later.
    return TimeRange(first.start_ns, max(first.end_ns, then.end_ns))
