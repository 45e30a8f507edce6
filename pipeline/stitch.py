"""stitch: observations become events, across windows, shards and a camera's files. Pure.

Within one window nothing is joined: there the engine has seen both and called them two. Across a
border the same label with the same identifying fields goes on if the pause is no longer than
``max_gap_ns``; each event has at most one successor.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from pipeline.records import Box, Event, Observation, Part, Verdict, Video, make_id
from pipeline.timebase import TimeRange

# Of an event's parts, the one that changed most speaks for it.
_VERDICTS: tuple[Verdict | None, ...] = (None, "confirmed", "moved", "split")

_Key = tuple[str, tuple[tuple[str, str], ...]]


def events_of_video(
    video: Video,
    observations: Iterable[Observation],
    *,
    task: str,
    identity_fields: Collection[str],
    max_gap_ns: int,
) -> list[Event]:
    """Join one video's observations; ordered by start."""
    events = [_single(video, one, task) for one in observations]
    return _join(events, identity_fields=identity_fields, max_gap_ns=max_gap_ns, across_files=False)


def join_files(
    events: Iterable[Event], *, identity_fields: Collection[str], max_gap_ns: int
) -> list[Event]:
    """Join the events of consecutive files of one camera; ordered by start.

    Two events of one file are never joined here: within a file that has been decided.
    """
    return _join(events, identity_fields=identity_fields, max_gap_ns=max_gap_ns, across_files=True)


def without_videos(event: Event, video_ids: Collection[str]) -> Event | None:
    """What remains of ``event`` when some of its files are indexed anew; None if nothing."""
    parts = tuple(part for part in event.parts if part.video_id not in video_ids)
    if not parts:
        return None
    if len(parts) == len(event.parts):
        return event
    span = TimeRange(parts[0].span.start_ns, max(part.span.end_ns for part in parts))
    return replace(
        event,
        span=span,
        parts=parts,
        boxes=tuple(box for box in event.boxes if span.start_ns <= box.at_ns < span.end_ns),
    )


def _join(
    events: Iterable[Event],
    *,
    identity_fields: Collection[str],
    max_gap_ns: int,
    across_files: bool,
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
        followers = [
            i for i in candidates if _may_follow(joined[i], event, across_files=across_files)
        ]
        if followers:
            nearest = max(followers, key=lambda i: joined[i].span.end_ns)
            joined[nearest] = _merged(joined[nearest], event)
        else:
            candidates.append(len(joined))
            joined.append(event)
    return joined


def _may_follow(first: Event, then: Event, *, across_files: bool) -> bool:
    if across_files:
        return first.parts[-1].video_id != then.parts[0].video_id
    return first.window_ids[-1] != then.window_ids[0]


def _merged(first: Event, then: Event) -> Event:
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
    )


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


def _single(video: Video, one: Observation, task: str) -> Event:
    span = video.utc(one.span)
    return Event(
        event_id=make_id(video.video_id, task, one.window_id, one.span, one.label, one.fields),
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
