"""Routes: pictures of events and cameras.

The picture of an event is the one that was kept, or else made from its recording. That of a camera
is there to draw zones into: a large one from the recording, or else the last that was kept.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from pipeline.errors import SourceError, UnreachableError
from pipeline.index import Index, erased_ranges, evidence_of, remembered
from pipeline.index.filters import Cameras, Where
from pipeline.index.store import Store
from pipeline.media import WEBP_WIDTH, player_clip
from pipeline.plan import packets_for
from pipeline.records import make_id
from pipeline.see import recordings
from pipeline.see.footage import parts_at
from pipeline.see.questions import OfCamera, OfIndex
from pipeline.see.recordings import Recording
from pipeline.see.site import Site
from pipeline.timebase import TimeRange, seconds_to_ns

# Short, because a browser does not hear of what is erased.
_HEADERS = {"Cache-Control": "private, max-age=60"}
_LARGE_WIDTH = 1280


def routes(site: Site) -> APIRouter:
    """The routes of pictures."""
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
            make = partial(_made, site, recording, sum(media) / 2)
            found = await run_in_threadpool(remembered, store, name, make)
        return Response(found, headers=_HEADERS, media_type="image/webp")

    @router.get("/cameras/picture.webp", response_class=Response)
    async def camera_picture(request: Request, asked: Annotated[OfCamera, Query()]) -> Response:
        """What a camera saw at a moment, upright and large; else the last that was kept of it."""
        served = site.indexes.get(asked.index)
        try:
            recording, media_s = await served.ask(request, partial(_footage, asked=asked))
            found = await run_in_threadpool(_made, site, recording, media_s, _LARGE_WIDTH)
        except (HTTPException, SourceError, UnreachableError):
            found = await served.ask(request, partial(_last_kept, camera=asked.camera))
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


def _footage(index: Index, asked: OfCamera) -> tuple[Recording, float]:
    """The recording of a moment, and its media second."""
    [first, *_] = parts_at(index, asked.camera, asked.at)
    if _is_erased(index, asked.camera, first["start"], first["start"]):
        raise HTTPException(404, "this footage is erased")
    recording = recordings.find(index, first["video_id"])
    if recording is None:
        raise HTTPException(404, "nothing of this recording can be played")
    return recording, first["media_start"]


def _last_kept(index: Index, camera: str) -> bytes:
    """The newest picture that was kept of a camera."""
    of, newest = Cameras(exact=(camera,)), 'ORDER BY "at" DESC, evidence_id LIMIT 1'
    # Its bytes in a second question: the first one would read those of all pictures.
    named = index.select(
        "evidence", Where(), cameras=of, order=newest, columns=("at", "evidence_id")
    )
    for row in named.to_pylist():
        if not _is_erased(index, camera, row["at"], row["at"]):
            is_it = Where().add("evidence_id = ?", row["evidence_id"])
            picture: bytes = index.select("evidence", is_it, cameras=of)["webp"][0].as_py()
            return picture
    raise HTTPException(404, "there is no picture of this camera")


def _is_erased(index: Index, camera: str, start: datetime, end: datetime) -> bool:
    """Whether a part of this time was erased, also by an order that is not yet carried out."""
    end = max(end, start + timedelta(microseconds=1))
    states = index.coverage(start, end, camera=camera)["state"].to_pylist()
    return "erased" in states or bool(erased_ranges(index, [camera], start, end).get(camera))


def _made(site: Site, recording: Recording, media_s: float, max_width: int = WEBP_WIDTH) -> bytes:
    video, packets = site.probed.of(recording)
    at_ns = seconds_to_ns(media_s)
    [pts, *_] = player_clip.frames_in(video, packets, TimeRange(at_ns, at_ns + 1)).tolist()
    needed = packets_for(packets, [pts])
    pictures: list[bytes] = list(
        site.children.run(player_clip.still, video, needed, pts, site.access, max_width)
    )
    if not pictures:
        raise HTTPException(404, "this frame cannot be decoded")
    return pictures[0]
