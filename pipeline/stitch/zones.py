"""zones: derives what objects do in parts of the picture from the boxes of their events. Pure.

An object is where the middle of the lower edge of its box is: where it stands on the ground, as in
Frigate and other recorders. What happens, happens with the first box that shows it, and lasts until
the next box of the object, so every time is that of a frame that was looked at.

The border of a polygon belongs to it. A point on a line is left of it, so whoever steps on a line
and goes back has crossed it twice or not at all.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import TypeAlias

from pipeline.config import ZoneConfig
from pipeline.records import Box, Event, Part, make_id
from pipeline.records.pieces import merged
from pipeline.timebase import TimeRange, seconds_to_ns

_ON_BORDER = 1e-9
"""Shares of the picture; what is nearer to a border is on it."""

_Point: TypeAlias = tuple[float, float]
_Walk: TypeAlias = tuple[Event, tuple[Box, ...]]
"""An object and its boxes in the time of its event, by time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stay:
    """An object in a zone, from the first box inside to the first one outside."""

    event: Event
    span: TimeRange
    entry: TimeRange | None
    """The first box inside, until the next one; None if the object was first seen inside."""
    exit: TimeRange | None
    """The first box outside, until the next one; None if the object was last seen inside."""


def zone_events(events: Iterable[Event], zones: Mapping[str, ZoneConfig]) -> list[Event]:
    """What the objects of one camera's events do in its zones, ordered by time.

    Args:
        events: of one camera, joined over its files; those without boxes, or without the size of
            their picture, do nothing.
        zones: by name.
    """
    walks = [walk for event in events if (walk := _walk(event))[1]] if zones else []
    found: list[Event] = []
    for name, zone in zones.items():
        counting = [walk for walk in walks if not zone.labels or walk[0].label in zone.labels]
        if zone.line:
            found += [one for walk in counting for one in _crossings(walk, name, zone.line)]
        else:
            stays = [stay for walk in counting for stay in _stays(walk, zone.polygon)]
            found += [one for stay in stays for one in _of_stay(stay, name, zone)]
            if zone.min_count is not None:
                found += _counts(stays, name, zone.min_count)
    return sorted(found, key=lambda event: (event.span, event.zone, event.label, event.event_id))


def _of_stay(stay: _Stay, name: str, zone: ZoneConfig) -> Iterator[Event]:
    event, what = stay.event, stay.event.label
    if "in_zone" in zone.rules:
        yield _told([event], stay.span, name, "in_zone", f"{what} in {name}")
    if "enters" in zone.rules and stay.entry:
        yield _told([event], stay.entry, name, "enters", f"{what} enters {name}")
    if "leaves" in zone.rules and stay.exit:
        yield _told([event], stay.exit, name, "leaves", f"{what} leaves {name}")
    if zone.loiters_s is not None and stay.span.duration_ns >= seconds_to_ns(zone.loiters_s):
        yield _told([event], stay.span, name, "loiters", f"{what} loiters in {name}")


def _stays(walk: _Walk, polygon: Sequence[_Point]) -> Iterator[_Stay]:
    event, boxes = walk
    is_inside = [_is_inside(point, polygon) for point in _feet(walk)]
    borders = [i for i, two in enumerate(pairwise([False, *is_inside, False])) if two[0] != two[1]]
    for first, after in zip(borders[::2], borders[1::2], strict=True):
        is_out = after < len(boxes)
        end_ns = boxes[after].at_ns if is_out else event.span.end_ns
        yield _Stay(
            event=event,
            span=TimeRange(boxes[first].at_ns, end_ns),
            entry=_until_next_box(walk, first) if first else None,
            exit=_until_next_box(walk, after) if is_out else None,
        )


def _crossings(walk: _Walk, name: str, line: Sequence[_Point]) -> Iterator[Event]:
    event, _ = walk
    for number, (before, after) in enumerate(pairwise(_feet(walk)), start=1):
        for side in _crossed(before, after, line):
            text = f"{event.label} crosses {name} to the {side}"
            span = _until_next_box(walk, number)
            yield _told([event], span, name, "crosses", text, ("direction", side))


def _counts(stays: Iterable[_Stay], name: str, min_count: int) -> Iterator[Event]:
    """Each time in which at least ``min_count`` objects are inside."""
    ordered = list(stays)
    changes: Counter[int] = Counter()
    for stay in ordered:
        changes[stay.span.start_ns] += 1
        changes[stay.span.end_ns] -= 1
    num_inside, start_ns = 0, 0
    for at_ns in sorted(changes):
        was_enough = num_inside >= min_count
        num_inside += changes[at_ns]
        if num_inside >= min_count and not was_enough:
            start_ns = at_ns
        elif was_enough and num_inside < min_count:
            span = TimeRange(start_ns, at_ns)
            inside = {
                stay.event.event_id: stay.event for stay in ordered if stay.span.overlaps(span)
            }
            text = f"at least {min_count} objects in {name}"
            yield _told(list(inside.values()), span, name, "count", text)


def _told(
    events: Sequence[Event],
    span: TimeRange,
    name: str,
    rule: str,
    text: str,
    *fields: tuple[str, str],
) -> Event:
    """What the files show of these events in ``span``, as an event of a zone."""
    only = events[0] if len(events) == 1 else None
    by_file: dict[str, list[Event]] = {}
    for piece in (piece for event in events for piece in event.pieces):
        if piece.span.overlaps(span):
            by_file.setdefault(piece.first.video_id, []).append(_cut(piece, span))
    pieces = [
        replace(
            reduce(_beside, shown),
            event_id=make_id(*sorted(piece.event_id for piece in shown), name, rule, span),
            label=rule,
            text=text,
            confidence=shown[0].confidence if only else None,
            verdict=None,
            fields=(*([("object", only.label)] if only else []), *fields),
            zone=name,
            of_event_id=only.event_id if only else None,
        )
        for shown in by_file.values()
    ]
    return reduce(merged, sorted(pieces, key=lambda piece: (piece.span, piece.event_id)))


def _cut(piece: Event, span: TimeRange) -> Event:
    """The part of a piece that lies in ``span``."""
    [part] = piece.parts
    utc = TimeRange(max(part.span.start_ns, span.start_ns), min(part.span.end_ns, span.end_ns))
    return replace(
        piece,
        span=utc,
        boxes=tuple(box for box in piece.boxes if utc.start_ns <= box.at_ns < utc.end_ns),
        parts=(replace(part, span=utc, media=_media(part, utc)),),
        joined=(),
    )


def _media(part: Part, utc: TimeRange) -> TimeRange:
    """Media time of a range in a part: both clocks run evenly in it."""
    start_ns, end_ns = (
        part.media.start_ns
        + (at_ns - part.span.start_ns) * part.media.duration_ns // part.span.duration_ns
        for at_ns in (utc.start_ns, utc.end_ns)
    )
    return TimeRange(start_ns, max(end_ns, start_ns + 1)).in_microseconds()


def _beside(first: Event, second: Event) -> Event:
    """Two objects of one file as one event."""
    both = merged(*sorted((first, second), key=lambda event: event.span))
    return replace(
        both,
        boxes=tuple(sorted(both.boxes, key=lambda box: box.at_ns)),
        window_ids=tuple(dict.fromkeys(both.window_ids)),
    )


def _walk(event: Event) -> _Walk:
    if event.zone is not None or not event.picture_width or not event.picture_height:
        return event, ()
    # A verification may have moved the ends of an event.
    boxes = [
        box
        for piece in event.pieces
        for box in piece.boxes
        if piece.span.start_ns <= box.at_ns < piece.span.end_ns
    ]
    return event, tuple(sorted(boxes, key=lambda box: box.at_ns))


def _feet(walk: _Walk) -> list[_Point]:
    """Where the object stands, in shares of the picture."""
    event, boxes = walk
    width, height = event.picture_width or 1, event.picture_height or 1
    return [((box.x0 + box.x1) / 2 / width, box.y1 / height) for box in boxes]


def _until_next_box(walk: _Walk, number: int) -> TimeRange:
    event, boxes = walk
    is_last = number + 1 == len(boxes)
    return TimeRange(boxes[number].at_ns, event.span.end_ns if is_last else boxes[number + 1].at_ns)


def _is_inside(point: _Point, polygon: Sequence[_Point]) -> bool:
    x, y = point
    is_inside = False
    for start, end in pairwise([*polygon, polygon[0]]):
        if _is_on(point, start, end):
            return True
        # A ray to the right crosses an edge that has one end above it and the other not.
        if (start[1] > y) != (end[1] > y):
            across = (end[0] - start[0]) * (y - start[1]) / (end[1] - start[1])
            is_inside ^= x < start[0] + across
    return is_inside


def _is_on(point: _Point, start: _Point, end: _Point) -> bool:
    return abs(_turn(start, end, point)) <= _ON_BORDER and all(
        min(a, b) - _ON_BORDER <= value <= max(a, b) + _ON_BORDER
        for value, a, b in zip(point, start, end, strict=True)
    )


def _crossed(before: _Point, after: _Point, line: Sequence[_Point]) -> Iterator[str]:
    """To which side of the line a step goes, once for each crossing."""
    for start, end in pairwise(line):
        was_right, is_right = (_is_right(point, start, end) for point in (before, after))
        if was_right != is_right and _is_right(start, before, after) != _is_right(
            end, before, after
        ):
            yield "right" if is_right else "left"


def _is_right(point: _Point, start: _Point, end: _Point) -> bool:
    """Whether a point is right of a line as one looks from its start to its end, not on it."""
    return _turn(start, end, point) > _ON_BORDER


def _turn(start: _Point, end: _Point, point: _Point) -> float:
    """Positive right of the line: y runs down the picture."""
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])
