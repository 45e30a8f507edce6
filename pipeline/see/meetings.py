"""Routes: what is said in recordings, and which pages they show meanwhile."""

import base64
import binascii
from functools import partial
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, HTTPException, Query, Request, Response

from pipeline.index import Index
from pipeline.index.filters import Where
from pipeline.meetings.pages import with_pages
from pipeline.see.answers import answer, rows_of
from pipeline.see.questions import OfIndex, Transcript
from pipeline.see.site import Site

_UTTERANCE = (
    *("utterance_id", "video_id", "camera", "start", "end"),
    *("speaker", "language", "text", "words"),
)
_SLIDE = (
    *("slide_id", "video_id", "camera", "start", "end"),
    *("page", "text", "deck_page", "deck_text"),
)
_TOPIC = ("utterance_id", "topic_page", "topic_deck_page", "topic_reason")
_MAX_SLIDES = 500
# Short, because a browser does not hear of what is erased.
_HEADERS = {"Cache-Control": "private, max-age=60"}


def routes(site: Site) -> APIRouter:
    """The routes of meetings."""
    router = APIRouter(tags=["rows"])

    @router.get("/transcript")
    async def transcript(request: Request, asked: Annotated[Transcript, Query()]) -> Response:
        """What is said in a range, with the time of each word, and the pages that are shown."""
        found = await site.indexes.get(asked.index).ask(request, partial(_transcript, asked=asked))
        return answer(request, found)

    @router.get("/topics")
    async def topics(request: Request, asked: Annotated[Transcript, Query()]) -> Response:
        """Of the same utterances those that speak of another page than is shown; takes longer."""
        found = await site.indexes.get(asked.index).ask(request, partial(_topics, asked=asked))
        return answer(request, {"topics": rows_of(found)})

    @router.get("/slides/{slide_id}/picture.webp", response_class=Response)
    async def picture(
        request: Request, slide_id: str, asked: Annotated[OfIndex, Query()]
    ) -> Response:
        """The page as it stood in the end, small and grey."""
        served = site.indexes.get(asked.index)
        webp = await served.ask(request, partial(_picture, slide_id=slide_id))
        if webp is None:
            raise HTTPException(404, "the index has no picture of such a page")
        return Response(webp, headers=_HEADERS, media_type="image/webp")

    return router


def _transcript(index: Index, asked: Transcript) -> dict[str, Any]:
    camera = asked.camera or None
    said = index.utterances(
        asked.start, asked.end, camera=camera, columns=_UTTERANCE, limit=asked.limit
    )
    slides = index.slides(
        asked.start, asked.end, camera=camera, columns=_SLIDE, limit=min(asked.limit, _MAX_SLIDES)
    )
    return {"utterances": rows_of(said), "slides": rows_of(slides)}


def _topics(index: Index, asked: Transcript) -> pa.Table:
    said = index.utterances(asked.start, asked.end, camera=asked.camera or None, limit=asked.limit)
    told = with_pages(index, said).select(_TOPIC)
    return told.filter(pc.field("topic_reason").is_valid())


def _picture(index: Index, slide_id: str) -> bytes | None:
    """The picture of a slide; None if there is none, or an index of somebody else has no WebP."""
    where = Where().add("slide_id = ?", slide_id)
    for row in index.select("slides", where, columns=["picture"]).to_pylist():
        try:
            webp = base64.b64decode(row["picture"], validate=True)
        except binascii.Error:
            return None
        return webp if webp[:4] == b"RIFF" and webp[8:12] == b"WEBP" else None
    return None
