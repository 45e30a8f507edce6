"""Routes: what people say about events. A statement is added; none is changed, nor is an event."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from pipeline.index import Index, write_feedback
from pipeline.records import Feedback
from pipeline.see.answers import answer, rows_of
from pipeline.see.questions import Statement
from pipeline.see.site import Site
from pipeline.timebase import TimeRange, datetime_to_ns

_DEFAULT_BY = "page"


def routes(site: Site) -> APIRouter:
    """The routes of review."""
    router = APIRouter(tags=["review"])

    @router.post("/feedback", status_code=201)
    async def feedback(request: Request, said: Statement) -> Response:
        """Confirm, reject or correct an event, take that back, or add one that was missed."""
        served = site.indexes.get(said.index)
        written = await served.ask(request, lambda index: _write(index, said))
        return answer(request, written, 201)

    return router


def _write(index: Index, said: Statement) -> dict[str, Any]:
    statement = _missed(index, said) if said.verdict == "missed" else _about_event(index, said)
    write_feedback(index.store, [statement])
    [row] = rows_of(index.reviews([statement.event_id]))
    return row


def _about_event(index: Index, said: Statement) -> Feedback:
    event = index.event(said.event_id)
    if event is None:
        raise HTTPException(404, "the index has no such event")
    is_corrected = said.verdict == "corrected"
    if is_corrected and said.label is None and said.start is None and said.end is None:
        raise HTTPException(422, "a correction changes the label, the start or the end")
    was = TimeRange(datetime_to_ns(event["start"]), datetime_to_ns(event["end"]))
    start = said.start if is_corrected and said.start else event["start"]
    end = said.end if is_corrected and said.end else event["end"]
    return Feedback(
        event_id=said.event_id,
        verdict=said.verdict,
        camera=event["camera"],
        label=said.label if is_corrected and said.label else event["label"],
        span=_span(start, end),
        was_label=event["label"],
        was_span=was,
        task=event["task"],
        fingerprint=event["fingerprint"],
        video_id=event["video_id"],
        uri=event["uri"],
        note=said.note,
        said_by=said.said_by or _DEFAULT_BY,
        said_at=datetime.now(tz=UTC),
    )


def _missed(index: Index, said: Statement) -> Feedback:
    if not (said.camera and said.label and said.start and said.end):
        raise HTTPException(422, "a missed event has a camera, a label, a start and an end")
    span = _span(said.start, said.end)
    if said.camera not in index.known_cameras():
        raise HTTPException(404, "the index has no such camera")
    columns = ["video_id", "uri", "task", "fingerprint", "status"]
    shown = index.videos(said.start, said.end, camera=said.camera, columns=columns).to_pylist()
    if not shown:
        raise HTTPException(422, "there is no footage of this camera at that time")
    video = shown[0]
    return Feedback.missed(
        camera=said.camera,
        label=said.label,
        span=span,
        task=video["task"],
        said_by=said.said_by or _DEFAULT_BY,
        said_at=datetime.now(tz=UTC),
        fingerprint=video["fingerprint"],
        video_id=video["video_id"],
        uri=video["uri"],
        note=said.note,
    )


def _span(start: datetime, end: datetime) -> TimeRange:
    if end <= start:
        raise HTTPException(422, "the end must be after the start")
    return TimeRange(datetime_to_ns(start), datetime_to_ns(end))
