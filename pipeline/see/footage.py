"""Routes: which video plays when, its bytes, clips of it and the times of its frames."""

from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from pipeline.index import Index
from pipeline.media import player_clip
from pipeline.plan import packets_for
from pipeline.records import Video
from pipeline.records.speech import HEARD
from pipeline.see import byte_ranges, recordings
from pipeline.see.answers import answer
from pipeline.see.questions import Moment, OfIndex, OfMedia
from pipeline.see.recordings import Recording
from pipeline.see.site import Site
from pipeline.tables.videos import video_of_row
from pipeline.timebase import NS_PER_S, TimeRange, datetime_to_ns, ns_to_datetime, seconds_to_ns

_CLIP_NS = 30 * NS_PER_S
_LEAD_NS = 1 * NS_PER_S
_MOMENT = timedelta(seconds=60)


class Piece(BaseModel):
    """A stretch of one recording that a player can play."""

    video_id: str
    url: str
    content_type: str
    is_native: bool
    """Whether ``url`` is the recording itself, and not a clip of it."""
    zero_s: float
    """Media time at time 0 of ``url``."""
    media_start: float
    media_end: float
    start: datetime
    """UTC at ``media_start``."""


class Playback(BaseModel):
    """What to play, one piece after the other."""

    pieces: list[Piece]


def routes(site: Site) -> APIRouter:
    """The routes of footage."""
    router = APIRouter(tags=["footage"])

    @router.get("/playback", response_model=Playback)
    async def playback(request: Request, asked: Annotated[Moment, Query()]) -> Response:
        """What plays for an event, or from a moment of a camera on."""
        served = site.indexes.get(asked.index)
        stretches = await served.ask(request, partial(_stretches, asked=asked))
        pieces: list[Piece] = []
        for recording, media, start in stretches:
            found = await run_in_threadpool(
                _pieces, site, recording, media, start, native=asked.native
            )
            pieces += found
        for piece in pieces:
            joint = "?" if piece.is_native else "&"
            piece.url += joint + urlencode({"index": served.name})
        return answer(request, {"pieces": [piece.model_dump() for piece in pieces]})

    @router.get("/videos/{video_id}/source", response_class=Response)
    async def source(
        request: Request, video_id: str, asked: Annotated[OfIndex, Query()]
    ) -> Response:
        """The bytes of a recording that a browser can play, whole or in ranges."""
        recording = await _recording(site, request, asked.index, video_id)
        closing = ExitStack()
        try:
            file, kind = await run_in_threadpool(recordings.opened, recording, site.access, closing)
        except BaseException:
            closing.close()
            raise
        etag = f'"{video_id}-{recording.source.num_bytes}"'
        return byte_ranges.answer(file, closing, request.headers, kind=kind, etag=etag)

    @router.get("/videos/{video_id}/clip.mp4", response_class=Response)
    async def clip(request: Request, video_id: str, asked: Annotated[OfMedia, Query()]) -> Response:
        """The exact frames of a stretch as H.264; X-Clip-Start has the media second of time 0."""
        recording = await _recording(site, request, asked.index, video_id)
        video, packets = await run_in_threadpool(site.probed.of, recording)
        pts = player_clip.frames_in(video, packets, TimeRange(asked.start_ns, asked.end_ns))
        needed = packets_for(packets, pts)
        items = site.children.run(player_clip.clip, video, needed, pts.tolist(), site.access)
        headers = {"X-Clip-Start": f"{video.media_ns(int(pts[0])) / NS_PER_S:.9f}"}
        return StreamingResponse(
            site.children.stream(items), headers=headers, media_type="video/mp4"
        )

    @router.get("/videos/{video_id}/frames")
    async def frames(
        request: Request, video_id: str, asked: Annotated[OfMedia, Query()]
    ) -> Response:
        """Media seconds of the frames on screen in a stretch, to step from frame to frame."""
        recording = await _recording(site, request, asked.index, video_id)
        video, packets = await run_in_threadpool(site.probed.of, recording)
        pts = player_clip.frames_in(video, packets, TimeRange(asked.start_ns, asked.end_ns))
        return answer(request, {"media_s": [video.media_ns(int(p)) / NS_PER_S for p in pts]})

    return router


async def _recording(site: Site, request: Request, index: str, video_id: str) -> Recording:
    found = await site.indexes.get(index).ask(request, partial(recordings.find, video_id=video_id))
    if found is None:
        raise HTTPException(404, "the index has no such video, or nothing of it can be played")
    return found


_Stretch = tuple[Recording, TimeRange, datetime]


def _stretches(index: Index, asked: Moment) -> list[_Stretch]:
    """The recordings to play, the media time in each, and UTC at the start of that."""
    if asked.event:
        event = index.event(asked.event)
        if event is None:
            raise HTTPException(404, "the index has no such event")
        parts: list[Any] = event["parts"]
    else:
        assert asked.at is not None  # noqa: S101 - checked when it was parsed
        parts = parts_at(index, asked.camera, asked.at)
    stretches = []
    for part in parts:
        recording = recordings.find(index, part["video_id"])
        if recording is None:
            raise HTTPException(410, "this recording was erased, or never could be played")
        media = TimeRange(*(seconds_to_ns(part[name]) for name in ("media_start", "media_end")))
        stretches.append((recording, media, part["start"]))
    return stretches


def parts_at(index: Index, camera: str, at: datetime) -> list[dict[str, Any]]:
    """What a camera recorded from a moment on, a minute at most.

    Raises:
        HTTPException: 404, it recorded nothing then that can be played.
    """
    parts = []
    # One row for each task of a video: what looked knows its pictures better than what listened.
    rows = index.videos(at, at + _MOMENT, camera=camera).to_pylist()
    playable = [
        row for row in rows if row["status"] != "erased" and row["clock_start_ns"] is not None
    ]
    playable.sort(key=lambda row: row["task"] != HEARD)
    for row in {row["video_id"]: row for row in playable}.values():
        video = video_of_row(row, (TimeRange(0, 1),))
        for footage in row["footage"]:
            start, end = max(footage["start"], at), min(footage["end"], at + _MOMENT)
            if start < end:
                media = video.media(TimeRange(datetime_to_ns(start), datetime_to_ns(end)))
                parts.append(
                    {
                        "video_id": row["video_id"],
                        "start": start,
                        "media_start": media.start_ns / NS_PER_S,
                        "media_end": media.end_ns / NS_PER_S,
                    }
                )
    if not parts:
        raise HTTPException(404, "there is no footage of this camera at that time")
    return sorted(parts, key=lambda part: part["start"])


def _pieces(
    site: Site, recording: Recording, media: TimeRange, start: datetime, *, native: bool
) -> list[Piece]:
    base = f"/api/v1/videos/{recording.video_id}"
    piece = partial(Piece, video_id=recording.video_id)
    if native and recording.native_kind:
        with ExitStack() as closing:
            recordings.opened(recording, site.access, closing)
        return [
            piece(
                url=f"{base}/source",
                content_type=recording.native_kind,
                is_native=True,
                zero_s=0.0,
                media_start=media.start_ns / NS_PER_S,
                media_end=media.end_ns / NS_PER_S,
                start=start,
            )
        ]
    video, packets = site.probed.of(recording)
    found = []
    for from_ns in range(media.start_ns, media.end_ns, _CLIP_NS):
        until_ns = min(from_ns + _CLIP_NS, media.end_ns)
        is_first, is_last = from_ns == media.start_ns, until_ns == media.end_ns
        low_ns = max(from_ns - _LEAD_NS, 0) if is_first else from_ns
        high_ns = until_ns + _LEAD_NS if is_last else until_ns
        first = int(player_clip.frames_in(video, packets, TimeRange(low_ns, high_ns))[0])
        found.append(
            piece(
                url=f"{base}/clip.mp4?start_ns={low_ns}&end_ns={high_ns}",
                content_type=player_clip.CONTENT_TYPE,
                is_native=False,
                zero_s=video.media_ns(first) / NS_PER_S,
                media_start=from_ns / NS_PER_S,
                media_end=until_ns / NS_PER_S,
                start=_at(video, start, media.start_ns, from_ns),
            )
        )
    return found


def _at(video: Video, start: datetime, start_ns: int, media_ns: int) -> datetime:
    """UTC of a media time, counted from a moment that is known in both."""
    passed_ns = video.correction.elapsed_ns(media_ns - start_ns)
    return ns_to_datetime(datetime_to_ns(start) + passed_ns)
