"""stitch: observations become events, across windows, shards and a camera's files. Pure.

Within one window nothing is joined: there the engine has seen both and called them two. Across a
border the same label with the same identifying fields goes on if the pause is no longer than
``max_gap_ns``; each event has at most one successor.

Free text can tell things apart as well (``matching_fields``): where both events have it, at least
half of the words of the shorter must stand in the other, so that the next slide is another event
though a model reads the same slide a little differently in each window.

Where events are tracks (``tracked``: each is about one object and has its boxes over time), two
that both have boxes must also be the same object: the later one's first box overlaps where the
earlier one's object was last seen, or where it would be by then at its last speed, with an
intersection over union of at least ``MIN_IOU``. That is the rule of SORT (Bewley et al., "Simple
Online and Realtime Tracking", 2016), with the last two boxes in place of a Kalman filter. Of
several, the one that overlaps most is continued.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np

from pipeline.records import Box, Event, Observation, Part, Video, make_id
from pipeline.records.pieces import merged
from pipeline.timebase import NS_PER_US, TimeRange

MIN_IOU = 0.3
"""SORT's least intersection over union of one object in consecutive pictures."""

# A word of letters or digits; where a script has no spaces (Chinese, Japanese), each character.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")

_Fields = tuple[tuple[str, str], ...]
_Key = tuple[str, _Fields]
_Told = tuple[str, TimeRange, str, _Fields]


def events_of_video(
    video: Video,
    observations: Iterable[Observation],
    *,
    task: str,
    identity_fields: Collection[str],
    max_gap_ns: int,
    matching_fields: Collection[str] = (),
    tracked: bool = False,
) -> list[Event]:
    """Join one video's observations; ordered by start."""
    told: Counter[_Told] = Counter()
    events: list[Event] = []
    for one in observations:
        what = (one.window_id, one.span, one.label, one.fields)
        # Two may enter as one: what a window tells twice are two events, each with its own id.
        copy = (told[what],) if told[what] else ()
        events.append(_single(video, one, make_id(video.video_id, task, *what, *copy)))
        told[what] += 1
    joined = _join(
        events,
        identity_fields=identity_fields,
        max_gap_ns=max_gap_ns,
        across_files=False,
        matching_fields=matching_fields,
        tracked=tracked,
    )
    return [_as_stored(event) for event in joined]


def join_files(
    pieces: Iterable[Event],
    *,
    identity_fields: Collection[str],
    max_gap_ns: int,
    matching_fields: Collection[str] = (),
    tracked: bool = False,
) -> list[Event]:
    """Join what consecutive files of one camera show; ordered by start.

    Two events of one file are never joined here: within a file that has been decided. Which events
    come out depends on the set of ``pieces`` alone, not on what was joined before.
    """
    return _join(
        (piece for event in pieces for piece in event.pieces),
        identity_fields=identity_fields,
        max_gap_ns=max_gap_ns,
        across_files=True,
        matching_fields=matching_fields,
        tracked=tracked,
    )


def _join(
    events: Iterable[Event],
    *,
    identity_fields: Collection[str],
    max_gap_ns: int,
    across_files: bool,
    matching_fields: Collection[str],
    tracked: bool,
) -> list[Event]:
    joined: list[Event] = []
    # Indices into `joined` of the events that may still go on, per label and identity.
    going_on: dict[_Key, list[int]] = {}
    for event in sorted(events, key=lambda e: (e.span, e.label, e.event_id)):
        key = (event.label, tuple(f for f in event.fields if f[0] in identity_fields))
        candidates = going_on.setdefault(key, [])
        candidates[:] = [
            i for i in candidates if event.span.start_ns - joined[i].span.end_ns <= max_gap_ns
        ]
        followers = {
            i: overlap
            for i in candidates
            if _may_follow(joined[i], event, across_files=across_files)
            and _do_match(joined[i], event, matching_fields)
            and (overlap := _overlap(joined[i], event) if tracked else 0.0) is not None
        }
        if followers:
            nearest = max(followers, key=lambda i: (followers[i], joined[i].span.end_ns))
            joined[nearest] = merged(joined[nearest], event)
        else:
            candidates.append(len(joined))
            joined.append(event)
    return joined


def _may_follow(first: Event, then: Event, *, across_files: bool) -> bool:
    if across_files:
        return first.parts[-1].video_id != then.parts[0].video_id
    return first.window_ids[-1] != then.window_ids[0]


def _do_match(first: Event, then: Event, names: Collection[str]) -> bool:
    one, other = dict(first.fields), dict(then.fields)
    for name in names:
        words = [set(_WORD.findall(fields.get(name, "").casefold())) for fields in (one, other)]
        shorter = min(map(len, words))
        if shorter and 2 * len(words[0] & words[1]) < shorter:
            return False
    return True


def _overlap(first: Event, then: Event) -> float | None:
    """How well the boxes at the border fit; None if they are of two objects, 0 if one has none."""
    if not first.boxes or not then.boxes:
        return 0.0
    last, found = first.boxes[-1], then.boxes[0]
    overlap = _iou(last, found)
    if len(first.boxes) > 1:
        overlap = max(overlap, _iou(_moved(first.boxes[-2], last, found.at_ns), found))
    return overlap if overlap >= MIN_IOU else None


def _moved(before: Box, last: Box, at_ns: int) -> Box:
    """Where a box would be at ``at_ns`` if each of its sides went on as from ``before``."""
    share = (at_ns - last.at_ns) / (last.at_ns - before.at_ns) if last.at_ns > before.at_ns else 0
    return Box(
        at_ns=at_ns,
        x0=last.x0 + share * (last.x0 - before.x0),
        y0=last.y0 + share * (last.y0 - before.y0),
        x1=last.x1 + share * (last.x1 - before.x1),
        y1=last.y1 + share * (last.y1 - before.y1),
    )


def _iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    areas = sum((box.x1 - box.x0) * (box.y1 - box.y0) for box in (one, other))
    return both / (areas - both)


def _as_stored(event: Event) -> Event:
    """The event as a table holds it, so that it joins the same before and after it was stored."""
    [part] = event.parts
    span = event.span.in_microseconds()
    return replace(
        event,
        span=span,
        confidence=None if event.confidence is None else _float32(event.confidence),
        boxes=tuple(
            Box(
                at_ns=box.at_ns // NS_PER_US * NS_PER_US,
                x0=_float32(box.x0),
                y0=_float32(box.y0),
                x1=_float32(box.x1),
                y1=_float32(box.y1),
            )
            for box in event.boxes
        ),
        parts=(replace(part, span=span, media=part.media.in_microseconds()),),
    )


def _float32(value: float) -> float:
    return float(np.float32(value))


def _single(video: Video, one: Observation, event_id: str) -> Event:
    span = video.utc(one.span)
    return Event(
        event_id=event_id,
        camera=video.camera,
        span=span,
        label=one.label,
        text=one.text,
        confidence=one.confidence,
        verdict=one.verdict,
        boxes=tuple(
            Box(at_ns=video.utc_ns(b.at_ns), x0=b.x0, y0=b.y0, x1=b.x1, y1=b.y1) for b in one.boxes
        ),
        fields=one.fields,
        parts=(Part(video_id=video.video_id, uri=video.uri, span=span, media=one.span),),
        window_ids=(one.window_id,),
    )
