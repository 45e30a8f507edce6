"""Which events get their picture: the surest ones, and of each camera and label at least one."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from pipeline.index import Index, evidence_of

Row: TypeAlias = dict[str, Any]

MAX_PER_CAMERA = 24


def ranked(events: Iterable[Row]) -> list[Row]:
    """The events in the order in which they get a picture."""
    best_first = sorted(events, key=lambda row: (-(row["confidence"] or 0.0), row["start"]))
    firsts: dict[tuple[str, str], Row] = {}
    for row in best_first:
        firsts.setdefault((row["camera"], row["label"]), row)
    first_ids = {row["event_id"] for row in firsts.values()}
    return [*firsts.values(), *(row for row in best_first if row["event_id"] not in first_ids)]


Make: TypeAlias = Callable[[Sequence[Row]], Iterable[tuple[str, bytes]]]
"""Event id and WebP of events of which no picture was kept."""


def candidates(
    index: Index, events: Iterable[Row], make: Make = lambda _events: ()
) -> list[tuple[str, bytes]]:
    """Event id and WebP, in the order in which they are taken; at most 24 of each camera."""
    counts: Counter[str] = Counter()
    chosen: list[Row] = []
    for row in ranked(events):
        if counts[row["camera"]] < MAX_PER_CAMERA:
            counts[row["camera"]] += 1
            chosen.append(row)
    found = {event_id: row["webp"] for event_id, row in evidence_of(index, chosen).items()}
    found |= make([row for row in chosen if row["event_id"] not in found])
    ids = [row["event_id"] for row in chosen if row["event_id"] in found]
    return [(event_id, found[event_id]) for event_id in ids]


def within(pictures: Sequence[tuple[str, bytes]], max_bytes: int) -> dict[str, bytes]:
    """The pictures that fit, in this order; as text they take a third more."""
    chosen: dict[str, bytes] = {}
    for event_id, webp in pictures:
        num_bytes = -(-len(webp) // 3) * 4
        if num_bytes <= max_bytes:
            chosen[event_id] = webp
            max_bytes -= num_bytes
    return chosen
