"""Route: the picture of an event, the one that was kept or else one made from its recording."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from pipeline.index import Index, erased_ranges, evidence_of, remembered
from pipeline.index.store import Store
from pipeline.media import player_clip
from pipeline.plan import packets_for
from pipeline.records import make_id
from pipeline.see import recordings
from pipeline.see.questions import OfIndex
from pipeline.see.recordings import Recording
from pipeline.see.site import Site
from pipeline.timebase import TimeRange, seconds_to_ns

# Short, because a browser does not hear of what is erased.
_HEADERS = {"Cache-Control": "private, max-age=60"}


def routes(site: Site) -> APIRouter:
    """The route of pictures."""
    router = APIRouter(tags=["footage"])

    @router.get("/events/{event_id}/picture.webp", response_class=Response)
    async def picture(
        request: Request, event_id: str, asked: Annotated[OfIndex, Query()]
    ) -> Response:
        """The picture that was kept of an event; of an older index the frame in its middle."""
        served = site.indexes.get(asked.index)
        found = await served.ask(request, partial(_found, event_id=event_id))
        if not isinstance(found, bytes):
            event, recording, store = found
            media = (event["media_start"], event["media_end"])
            name = make_id(event_id, event["fingerprint"], recording.video_id, media)
            make = partial(_made, site, recording, event)
            found = await run_in_threadpool(remembered, store, name, make)
        return Response(found, headers=_HEADERS, media_type="image/webp")

    return router


def _found(index: Index, event_id: str) -> bytes | tuple[Mapping[str, Any], Recording, Store]:
    """The picture that was kept; else the event, its recording and the store to remember one of."""
    event = index.event(event_id)
    if event is None:
        raise HTTPException(404, "the index has no such event")
    kept = evidence_of(index, [event]).get(event_id)
    if kept:
        picture: bytes = kept["webp"]
        return picture
    if _is_erased(index, event["camera"], event["start"], event["end"]):
        raise HTTPException(404, "this footage is erased")
    recording = recordings.find(index, event["video_id"])
    if recording is None:
        raise HTTPException(404, "the index has no such video, or nothing of it can be played")
    return event, recording, index.store


def _is_erased(index: Index, camera: str, start: datetime, end: datetime) -> bool:
    """Whether a part of this time was erased, also by an order that is not yet carried out."""
    end = max(end, start + timedelta(microseconds=1))
    states = index.coverage(start, end, camera=camera)["state"].to_pylist()
    return "erased" in states or bool(erased_ranges(index, [camera], start, end).get(camera))


def _made(site: Site, recording: Recording, event: Mapping[str, Any]) -> bytes:
    video, packets = site.probed.of(recording)
    middle_ns = seconds_to_ns((event["media_start"] + event["media_end"]) / 2)
    [pts, *_] = player_clip.frames_in(video, packets, TimeRange(middle_ns, middle_ns + 1)).tolist()
    needed = packets_for(packets, [pts])
    pictures: list[bytes] = list(
        site.children.run(player_clip.still, video, needed, pts, site.access)
    )
    if not pictures:
        raise HTTPException(404, "the frame of this event cannot be decoded")
    return pictures[0]
