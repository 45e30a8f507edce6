"""Routes: what the tables hold, as JSON."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from pipeline.index import Index, QueryOptions, camera_figures, list_runs
from pipeline.index.filters import Where
from pipeline.records import upright_size
from pipeline.see import lanes
from pipeline.see.answers import answer, rows_of
from pipeline.see.questions import (
    InRange,
    Lanes,
    ListOfEvents,
    ListOfRows,
    ListOfVideos,
    OfIndex,
    Words,
)
from pipeline.see.site import Site

_EVENT = (
    "event_id", "camera", "start", "end", "label", "text", "confidence", "verdict", "video_id",
    "uri", "media_start", "media_end",
)  # fmt: skip
_VIDEO = (
    "video_id", "camera", "start", "end", "status", "uri", "codec", "width", "height", "rotation",
    "video_s", "num_events", "num_windows_analysed", "num_windows_quiet", "num_windows_failed",
    "warnings", "error", "indexed_at",
)  # fmt: skip
_WINDOW = ("window_id", "start", "end", "status", "frame_s", "markers", "completion", "error")
_SIZE = ("video_id", "width", "height", "rotation")
_MAX_WINDOWS = 50
_RUN = (
    "run_id", "state", "start", "end", "heartbeat_at", "num_videos_done", "num_videos_failed",
    "num_windows", "exit_code",
)  # fmt: skip
_MAX_COVERAGE_ROWS = 20_000


def routes(site: Site) -> APIRouter:
    """The routes of rows."""
    router = APIRouter(tags=["rows"])

    @router.get("/about")
    async def about(request: Request) -> Response:
        """The indexes of this server, and what may be done here."""
        return answer(
            request,
            {"indexes": list(site.indexes.by_name), "zone": site.zone, "read_only": site.read_only},
        )

    @router.get("/cameras")
    async def cameras(request: Request, asked: Annotated[OfIndex, Query()]) -> Response:
        """Each camera with its first and last footage and how many videos, failures and events."""
        found = await site.indexes.get(asked.index).ask(request, camera_figures)
        return answer(request, {"cameras": rows_of(found)})

    @router.get("/events")
    async def events(request: Request, asked: Annotated[ListOfEvents, Query()]) -> Response:
        """Events that overlap a range, with what people said about them."""
        found = await site.indexes.get(asked.index).ask(request, partial(_events, asked=asked))
        return answer(request, {"events": found})

    @router.get("/events/{event_id}")
    async def event(
        request: Request, event_id: str, asked: Annotated[OfIndex, Query()]
    ) -> Response:
        """One event with its receipt: files, frames, markers, model, prompt, settings."""
        found = await site.indexes.get(asked.index).ask(request, partial(_event, event_id=event_id))
        if found is None:
            raise HTTPException(404, "the index has no such event")
        return answer(request, found)

    @router.get("/lanes")
    async def lane(request: Request, asked: Annotated[Lanes, Query()]) -> Response:
        """What a timeline draws: events or their number per bin, and the coverage of each bin."""
        found = await site.indexes.get(asked.index).ask(request, partial(lanes.lanes, asked=asked))
        return answer(request, found)

    @router.get("/overview")
    async def overview(request: Request, asked: Annotated[Lanes, Query()]) -> Response:
        """All cameras together as one lane, and the labels, the most frequent first."""
        found = await site.indexes.get(asked.index).ask(request, partial(lanes.whole, asked=asked))
        return answer(request, found)

    @router.get("/count")
    async def count(request: Request, asked: Annotated[Lanes, Query()]) -> Response:
        """How many events overlap a range."""
        found = await site.indexes.get(asked.index).ask(
            request, partial(lanes.number_of, asked=asked)
        )
        return answer(request, {"num_events": found})

    _more(router, site)
    return router


def _more(router: APIRouter, site: Site) -> None:
    @router.get("/coverage")
    async def coverage(request: Request, asked: Annotated[InRange, Query()]) -> Response:
        """The state of each moment of each camera, as exact ranges."""
        found = await site.indexes.get(asked.index).ask(request, partial(_coverage, asked=asked))
        return answer(request, {"coverage": found})

    @router.get("/videos")
    async def videos(request: Request, asked: Annotated[ListOfVideos, Query()]) -> Response:
        """Recordings, and what became of each."""
        found = await site.indexes.get(asked.index).ask(request, partial(_videos, asked=asked))
        return answer(request, {"videos": found})

    @router.get("/summaries")
    async def summaries(request: Request, asked: Annotated[ListOfRows, Query()]) -> Response:
        """Chapters, and summaries of videos and days."""
        found = await site.indexes.get(asked.index).ask(
            request,
            lambda index: index.summaries(
                asked.start, asked.end, camera=asked.camera or None, limit=asked.limit
            ),
        )
        return answer(request, {"summaries": rows_of(found)})

    @router.get("/runs")
    async def runs(request: Request, asked: Annotated[OfIndex, Query()]) -> Response:
        """The last runs, newest first."""
        found = await site.indexes.get(asked.index).ask(request, list_runs)
        return answer(request, {"runs": rows_of(found.select(_RUN).slice(0, 100))})

    @router.get("/search")
    async def search(request: Request, asked: Annotated[Words, Query()]) -> Response:
        """What was seen, said or shown on pages with all of these words, the best first."""
        found = await site.indexes.get(asked.index).ask(request, partial(_search, asked=asked))
        return answer(request, {"hits": rows_of(found)})


def _events(index: Index, asked: ListOfEvents) -> list[dict[str, Any]]:
    options: QueryOptions = {
        "columns": _EVENT,
        "limit": asked.limit,
        "order_by": asked.order_by,
        "descending": asked.descending,
    }
    found = index.events(asked.start, asked.end, **(asked.options | options))
    return with_reviews(index, rows_of(found))


def with_reviews(index: Index, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each event with ``review``: the newest statement about it, or None."""
    said = rows_of(index.reviews([event["event_id"] for event in events])) if events else []
    newest = {row["event_id"]: row for row in said if row["verdict"] != "open"}
    return [event | {"review": newest.get(event["event_id"])} for event in events]


def _event(index: Index, event_id: str) -> dict[str, Any] | None:
    found = index.select("events", Where().add("event_id = ?", event_id))
    if not found.num_rows:
        return None
    [event] = with_reviews(index, rows_of(found.slice(0, 1)))
    windows = index.windows(
        found["start"][0].as_py(),
        found["end"][0].as_py(),
        camera=event["camera"],
        columns=_WINDOW,
        limit=_MAX_WINDOWS,
    )
    shown = set(event.pop("window_ids"))
    event.pop("pieces")
    return event | {
        "boxes": _in_shares(index, event),
        "windows": [row for row in rows_of(windows) if row["window_id"] in shown],
    }


def _in_shares(index: Index, event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The boxes of an event in shares of the picture: a clip of it may have another size."""
    parts: list[dict[str, Any]] = event["parts"] if event["boxes"] else []
    sizes = {}
    if parts:
        where = Where().is_one_of("video_id", [part["video_id"] for part in parts])
        for row in index.select("videos", where, columns=_SIZE).to_pylist():
            size = upright_size(row["width"], row["height"], row["rotation"])
            sizes[row["video_id"]] = size
    found = []
    for box in event["boxes"] if sizes else ():
        part = next((one for one in parts if one["start"] <= box["at"] < one["end"]), parts[0])
        width, height = sizes.get(part["video_id"], (0, 0))
        if width and height:
            of = {"x0": width, "x1": width, "y0": height, "y1": height}
            shares = {name: round(box[name] / size, 4) for name, size in of.items()}
            found.append({"at": box["at"]} | shares)
    return found


def _coverage(index: Index, asked: InRange) -> list[dict[str, Any]]:
    found = index.coverage(asked.start, asked.end, camera=asked.camera or None)
    if found.num_rows > _MAX_COVERAGE_ROWS:
        raise HTTPException(422, f"{found.num_rows} ranges; ask for fewer cameras or less time")
    return rows_of(found)


def _videos(index: Index, asked: ListOfVideos) -> list[dict[str, Any]]:
    if not asked.status:
        found = index.videos(
            asked.start,
            asked.end,
            camera=asked.camera or None,
            columns=_VIDEO,
            limit=asked.limit,
        )
        return rows_of(found)
    # Files whose time is not known have no place in a range.
    where = Where().is_one_of("status", asked.status).of(index.cameras(asked.camera or None))
    found = index.select(
        "videos", where, columns=_VIDEO, order=f'ORDER BY "start", video_id LIMIT {asked.limit}'
    )
    return rows_of(found)


def _search(index: Index, asked: Words) -> Any:  # noqa: ANN401 - a table
    from pipeline.index.search import by_words  # noqa: PLC0415 - needs the extra `search`

    return by_words(
        index,
        asked.words,
        asked.start,
        asked.end,
        camera=asked.camera or None,
        within=asked.within,
        limit=asked.limit,
    )
