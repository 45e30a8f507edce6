"""stitch: joins observations into events, across windows, shards and a camera's files. Pure.

Two observations of one window are never joined: the engine saw both and reported two. Across a
border an event continues if the next observation has the same label and the same identity fields,
and begins at most ``max_gap_ns`` after its end. Each event has at most one successor.

Free text can separate events too (``matching_fields``): if both events have the text, at least half
of the words of the shorter text must occur in the other. So the next slide is another event, while
one slide that a model reads a little differently in each window is one event.

With ``tracked`` each event is about one object and has its boxes over time. Two events with boxes
are joined only if they are about the same object: the first box of the later event must overlap the
last box of the earlier one, or the place where that box would be by then at its last speed, with an
intersection over union of at least ``MIN_IOU``. This is the rule of SORT (Bewley et al., "Simple
Online and Realtime Tracking", 2016) with the last two boxes instead of a Kalman filter. If several
events could continue, the one with the greatest overlap does.
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
"""Least intersection over union of one object in consecutive pictures, as in SORT."""

# A word of letters or digits; in scripts without spaces (Chinese, Japanese) each character.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")

_Fields = tuple[tuple[str, str], ...]
_Key = tuple[str, _Fields]
_Identity = tuple[str, TimeRange, str, _Fields]


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
    """The events of one video, ordered by start."""
    counts: Counter[_Identity] = Counter()
    events: list[Event] = []
    for observation in observations:
        identity = (
            observation.window_id,
            observation.span,
            observation.label,
            observation.fields,
        )
        # Equal observations of a window are different events (two people enter together), so all
        # but the first have their number in the id.
        number = (counts[identity],) if counts[identity] else ()
        event_id = make_id(video.video_id, task, *identity, *number)
        events.append(_single(video, observation, event_id))
        counts[identity] += 1
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
    """The events of one camera, joined across its files and ordered by start.

    Two events of one file are never joined here, since ``events_of_video`` has decided about them.
    The result depends only on the set of ``pieces``, not on what was joined before.
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
    # Positions in `joined` of the events that may still continue, by label and identity fields.
    open_events: dict[_Key, list[int]] = {}
    for event in sorted(events, key=lambda e: (e.span, e.label, e.event_id)):
        key = (event.label, tuple(f for f in event.fields if f[0] in identity_fields))
        candidates = open_events.setdefault(key, [])
        candidates[:] = [
            i for i in candidates if event.span.start_ns - joined[i].span.end_ns <= max_gap_ns
        ]
        overlaps = {
            i: overlap
            for i in candidates
            if _may_follow(joined[i], event, across_files=across_files)
            and _do_match(joined[i], event, matching_fields)
            and (overlap := _overlap(joined[i], event) if tracked else 0.0) is not None
        }
        if overlaps:
            best = max(overlaps, key=lambda i: (overlaps[i], joined[i].span.end_ns))
            joined[best] = merged(joined[best], event)
        else:
            candidates.append(len(joined))
            joined.append(event)
    return joined


def _may_follow(first: Event, second: Event, *, across_files: bool) -> bool:
    if across_files:
        return first.parts[-1].video_id != second.parts[0].video_id
    return first.window_ids[-1] != second.window_ids[0]


def _do_match(first: Event, second: Event, names: Collection[str]) -> bool:
    fields_of_both = dict(first.fields), dict(second.fields)
    for name in names:
        words = [set(_WORD.findall(fields.get(name, "").casefold())) for fields in fields_of_both]
        shorter = min(map(len, words))
        if shorter and 2 * len(words[0] & words[1]) < shorter:
            return False
    return True


def _overlap(first: Event, second: Event) -> float | None:
    """The overlap of the boxes at the border: None if of two objects, 0 if one has no boxes."""
    sizes = [(event.picture_width, event.picture_height) for event in (first, second)]
    if sizes[0] != sizes[1] and None not in (*sizes[0], *sizes[1]):
        return None  # pixels of pictures of different sizes
    if not first.boxes or not second.boxes:
        return 0.0
    last, next_box = first.boxes[-1], second.boxes[0]
    overlap = _iou(last, next_box)
    if len(first.boxes) > 1:
        overlap = max(overlap, _iou(_extrapolated(first.boxes[-2], last, next_box.at_ns), next_box))
    return overlap if overlap >= MIN_IOU else None


def _extrapolated(previous: Box, last: Box, at_ns: int) -> Box:
    """Where a box would be at ``at_ns`` if each side moved on as from ``previous`` to ``last``."""
    step_ns = last.at_ns - previous.at_ns
    factor = (at_ns - last.at_ns) / step_ns if step_ns > 0 else 0
    return Box(
        at_ns=at_ns,
        x0=last.x0 + factor * (last.x0 - previous.x0),
        y0=last.y0 + factor * (last.y0 - previous.y0),
        x1=last.x1 + factor * (last.x1 - previous.x1),
        y1=last.y1 + factor * (last.y1 - previous.y1),
    )


def _iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    areas = sum((box.x1 - box.x0) * (box.y1 - box.y0) for box in (first, second))
    return intersection / (areas - intersection)


def _as_stored(event: Event) -> Event:
    """The event with the precision of a table, so that storing it does not change how it joins."""
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


def _single(video: Video, observation: Observation, event_id: str) -> Event:
    span = video.utc(observation.span)
    width, height = video.upright_size
    return Event(
        event_id=event_id,
        camera=video.camera,
        span=span,
        label=observation.label,
        text=observation.text,
        confidence=observation.confidence,
        verdict=observation.verdict,
        boxes=tuple(
            Box(at_ns=video.utc_ns(box.at_ns), x0=box.x0, y0=box.y0, x1=box.x1, y1=box.y1)
            for box in observation.boxes
        ),
        fields=observation.fields,
        parts=(Part(video_id=video.video_id, uri=video.uri, span=span, media=observation.span),),
        window_ids=(observation.window_id,),
        picture_width=width,
        picture_height=height,
    )
