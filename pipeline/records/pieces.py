"""Merges the pieces of an event, one per file, and splits an event when a piece is removed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from itertools import groupby

from pipeline.records import Event, Part, Verdict
from pipeline.timebase import TimeRange

# Of two verdicts the later in this order, which means the greater change, becomes the event's.
_VERDICTS: tuple[Verdict | None, ...] = (None, "confirmed", "moved", "split")


def without_pieces(event: Event, is_removed: Callable[[Event], bool]) -> list[Event]:
    """``event`` without some of its pieces: it is split where a removed piece was."""
    runs = [list(run) for removed, run in groupby(event.pieces, is_removed) if not removed]
    if len(runs) == 1 and len(runs[0]) == len(event.pieces):
        return [event]
    return [reduce(merged, run) for run in runs]


def merged(first: Event, second: Event) -> Event:
    """One event that covers both; ``first`` starts first."""
    first_ns, second_ns = first.span.duration_ns, second.span.duration_ns
    confidence = None
    if first.confidence is not None and second.confidence is not None:
        weighted = first.confidence * first_ns + second.confidence * second_ns
        confidence = weighted / (first_ns + second_ns)
    return replace(
        first,
        span=_hull(first.span, second.span),
        confidence=confidence,
        verdict=max(first.verdict, second.verdict, key=_VERDICTS.index),
        boxes=first.boxes + second.boxes,
        parts=_joined_parts(first.parts, second.parts),
        window_ids=first.window_ids + second.window_ids,
        joined=_joined_pieces(first, second),
    )


def _joined_pieces(first: Event, second: Event) -> tuple[Event, ...]:
    is_one_file = not first.joined and first.parts[-1].video_id == second.parts[0].video_id
    return () if is_one_file else first.pieces + second.pieces


def _joined_parts(first: Sequence[Part], second: Sequence[Part]) -> tuple[Part, ...]:
    last, next_part = first[-1], second[0]
    if last.video_id != next_part.video_id:
        return (*first, *second)
    whole = replace(
        last, span=_hull(last.span, next_part.span), media=_hull(last.media, next_part.media)
    )
    return (*first[:-1], whole, *second[1:])


def _hull(first: TimeRange, second: TimeRange) -> TimeRange:
    # max(), not the second's end: of two ranges that overlap the first may end later.
    return TimeRange(first.start_ns, max(first.end_ns, second.end_ns))
