"""The table ``videos``: every file once for each task and settings, and what became of it.

The row is the done marker: it is written after everything else of its video.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import partial
from typing import Any

import pyarrow as pa

from pipeline.records import (
    Deck,
    DeckPage,
    Source,
    Video,
    VideoStatus,
    WindowResult,
    make_id,
)
from pipeline.tables.columns import Column, Columns, Row, list_of
from pipeline.tables.shared import (
    INT32,
    INT64,
    PROVENANCE,
    SECONDS,
    STRING,
    STRINGS,
    TIME,
    Provenance,
    file_columns,
    instant,
    range_columns,
    seconds,
)
from pipeline.tables.video_items import COPY, DECK_PAGE, MEDIA_SPAN, SPAN, YIELDED, YieldedUtc
from pipeline.timebase import NS_PER_US, ClockCorrection, TimeRange


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedVideo:
    """The record behind a row: a video, and what was done with it."""

    video: Video
    status: VideoStatus
    num_shards: int
    results: Sequence[WindowResult]
    num_events: int = 0
    num_segments: int = 0
    num_utterances: int = 0
    zones_id: str = ""
    num_slides: int = 0
    error: str | None = None
    """Why it is not done; None if that is what its windows say."""

    @property
    def utc(self) -> TimeRange:
        """When it was recorded."""
        return self.video.utc(self.video.span)

    def count(self, status: str) -> int:
        """How many of its windows have this status."""
        return sum(result.status == status for result in self.results)

    def total(self, name: str) -> Any:  # noqa: ANN401
        """The sum of a figure of its windows."""
        return sum(getattr(result, name) for result in self.results)


def _has_clock_jumps(row: Row) -> bool:
    said: bool | None = row["has_clock_jumps"]
    if said is None:
        return any(warning.startswith("the clock of ") for warning in row["warnings"])
    return said


def _footage(indexed: IndexedVideo) -> list[dict[str, Any]]:
    return [SPAN.row(indexed.video.utc(owned)) for owned in indexed.video.owned]


def _yielded(indexed: IndexedVideo) -> list[dict[str, Any]]:
    video = indexed.video
    return [YIELDED.row(YieldedUtc(video.utc(given.span), given)) for given in video.yielded]


def _error(indexed: IndexedVideo) -> str:
    if indexed.error is not None:
        return indexed.error
    return next((result.error for result in indexed.results if result.status == "failed"), "")


COLUMNS: Columns[IndexedVideo] = Columns(
    "Every file once for each task and settings, and what became of it; written last, when "
    "everything else of the video is in.",
    [
        *range_columns(camera="video.camera", utc="utc"),
        Column(
            "status",
            STRING,
            "`done`, `partial`, `failed`, `erased`, `superseded` (other files speak for all of its "
            "time) or `pending` (the next run goes on with it).",
            path="status",
        ),
        *file_columns(video_id="video.video_id", uri="video.uri"),
        Column("num_bytes", INT64, "Size of the file.", path="video.num_bytes"),
        Column("etag", STRING, "Changes when the content may have.", path="video.etag"),
        Column(
            "content_id",
            STRING,
            "Hash of the packets of the video stream: equal for copies.",
            path="video.content_id",
        ),
        Column(
            "clock",
            STRING,
            "What says when it began; docs/clocks.md explains each.",
            path="video.clock",
        ),
        Column(
            "clock_start",
            TIME,
            "UTC of media time 0: `start` is that and the time of the first frame.",
            to_row=lambda indexed: instant(indexed.video.start_ns),
        ),
        Column(
            "clock_start_ns",
            INT64,
            "`clock_start` to the nanosecond, so that events can be made of windows again as they "
            "were; null in rows of an older timereel and of failed files.",
            path="video.start_ns",
            nullable=True,
        ),
        Column(
            "origin_pts",
            INT64,
            "The tick that is media time 0; null as `clock_start_ns` is.",
            path="video.origin_pts",
            nullable=True,
        ),
        Column(
            "clock_correction",
            STRING,
            "What was added to the camera's clock, and to the time since; empty if nothing.",
            path="video.correction",
            to_row=lambda indexed: str(indexed.video.correction),
            from_row=lambda row: ClockCorrection.parse(row["clock_correction"]),
        ),
        Column("codec", STRING, "Codec of the video stream.", path="video.codec"),
        Column("width", INT32, "Coded width in pixels, before `rotation`.", path="video.width"),
        Column("height", INT32, "Coded height in pixels, before `rotation`.", path="video.height"),
        Column(
            "rotation",
            INT32,
            "Degrees counter-clockwise that make the picture upright.",
            path="video.rotation",
        ),
        Column(
            "time_base",
            STRING,
            "Seconds of one tick, as a fraction.",
            path="video.time_base",
            to_row=lambda indexed: str(indexed.video.time_base),
            from_row=lambda row: Fraction(row["time_base"]),
        ),
        Column("num_frames", INT64, "Frames in the file.", path="video.num_frames"),
        Column(
            "video_s",
            SECONDS,
            "Seconds of footage that this file speaks for.",
            to_row=lambda indexed: seconds(sum(own.duration_ns for own in indexed.video.owned)),
        ),
        Column(
            "overlap_s",
            SECONDS,
            "Seconds of footage that other files of the camera speak for.",
            to_row=lambda indexed: seconds(
                sum(given.span.duration_ns for given in indexed.video.yielded)
            ),
        ),
        Column(
            "footage",
            pa.list_(SPAN.struct),
            "Where a frame is on screen and this file speaks for it; what lies between is no "
            "footage, which is not the same as nothing seen.",
            to_row=_footage,
            items=SPAN,
        ),
        Column(
            "yielded",
            pa.list_(YIELDED.struct),
            "The rest of its footage, ascending; null in rows of an older timereel.",
            to_row=_yielded,
            nullable=True,
            items=YIELDED,
        ),
        Column("num_shards", INT32, "Units of decoding it was cut into.", path="num_shards"),
        Column(
            "num_windows_analysed",
            INT32,
            "Windows that the model answered.",
            to_row=lambda indexed: indexed.count("analysed"),
        ),
        Column(
            "num_windows_quiet",
            INT32,
            "Windows in which nothing changes.",
            to_row=lambda indexed: indexed.count("quiet"),
        ),
        Column(
            "num_windows_failed",
            INT32,
            "Windows without an answer.",
            to_row=lambda indexed: indexed.count("failed"),
        ),
        Column("num_events", INT32, "Events that it shows.", path="num_events"),
        Column("num_segments", INT32, "Captions of it.", path="num_segments"),
        Column(
            "num_utterances",
            INT32,
            "Utterances in it; null in rows of an older timereel and of failed files.",
            path="num_utterances",
            nullable=True,
        ),
        Column(
            "num_slides",
            INT32,
            "Showings of pages in it; null in rows of an older timereel and of failed files.",
            path="num_slides",
            nullable=True,
        ),
        Column(
            "num_prompt_tokens",
            INT64,
            "Tokens of all prompts.",
            to_row=lambda indexed: indexed.total("num_prompt_tokens"),
        ),
        Column(
            "num_output_tokens",
            INT64,
            "Tokens of all answers.",
            to_row=lambda indexed: indexed.total("num_output_tokens"),
        ),
        Column(
            "decode_cpu_s",
            SECONDS,
            "CPU seconds of decoding.",
            to_row=lambda indexed: indexed.total("decode_cpu_s"),
        ),
        Column(
            "engine_s",
            SECONDS,
            "Its share of the seconds in which engines were busy.",
            to_row=lambda indexed: indexed.total("engine_s"),
        ),
        Column(
            "warnings",
            STRINGS,
            "What is odd about the file, though it can be read.",
            path="video.warnings",
        ),
        Column(
            "has_clock_jumps",
            pa.bool_(),
            "Whether its clock starts again or leaps, so that packets are placed by their order; "
            "null in rows of an older timereel, whose `warnings` say it.",
            path="video.has_clock_jumps",
            from_row=_has_clock_jumps,
            nullable=True,
        ),
        Column("error", STRING, "Why it, or its first failed window, failed.", to_row=_error),
        *PROVENANCE,
        Column("config", STRING, "All settings of the run, as JSON."),
        Column("indexed_at", TIME, "When the row was made."),
        Column(
            "zones_id",
            STRING,
            "Names the zones of its camera; where they change, its events are derived again.",
            path="zones_id",
            nullable=True,
        ),
        Column(
            "copies",
            pa.list_(COPY.struct),
            "Other files with the same content, camera and start, which later runs skip unread: "
            "copies, and the same file under a new name or a new time of change.",
            to_row=lambda _: [],
            nullable=True,
            items=COPY,
        ),
        Column(
            "deck_uri",
            STRING,
            "The slides beside it, where slides are looked for; empty if there are none.",
            path="video.deck.uri",
            from_row=lambda row: row["deck_uri"] or "",
            nullable=True,
        ),
        Column(
            "deck_etag",
            STRING,
            "Changes when the deck may have; its pages are found anew then.",
            path="video.deck.etag",
            from_row=lambda row: row["deck_etag"] or "",
            nullable=True,
        ),
        list_of(
            "deck_pages",
            DECK_PAGE,
            "All pages of the deck, shown or not; null once a part of the video was erased.",
            path="video.deck.pages",
            makers={"": DeckPage},
            nullable=True,
        ),
        list_of(
            "erased",
            MEDIA_SPAN,
            "Media time that orders have erased, also where another file speaks for it now; null "
            "in rows of an older timereel. A file with the status `erased` was erased as a whole.",
            path="video.erased",
            makers={"": TimeRange},
            nullable=True,
        ),
    ],
)


def video_row(indexed: IndexedVideo, *, provenance: Provenance, at: datetime) -> dict[str, Any]:
    """Row of ``videos``, as of ``at``."""
    return COLUMNS.row(indexed, **provenance.columns(), config=provenance.config, indexed_at=at)


def failed_video_row(
    source: Source, error: str, *, provenance: Provenance, at: datetime
) -> dict[str, Any]:
    """Row of ``videos`` for a source that could not be probed: known by its URI alone."""
    start = instant(source.start_ns or 0)
    return {
        **COLUMNS.empty_row(),
        "date": start.date(),
        "camera": source.camera,
        "start": start,
        "end": instant((source.start_ns or 0) + NS_PER_US),
        "status": "failed",
        "video_id": make_id("failed", source.uri),
        "uri": source.uri,
        "num_bytes": source.num_bytes,
        "etag": source.etag,
        "clock": source.clock,
        "clock_start": start,
        "yielded": [],
        "error": error,
        **provenance.columns(),
        "config": provenance.config,
        "indexed_at": at,
    }


def video_error(results: Sequence[WindowResult]) -> str:
    """Why a video counts as failed: it has windows, and none has an answer; else ""."""
    if any(result.status != "failed" for result in results):
        return ""
    return results[0].error if results else ""


def videos_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows of ``videos``."""
    return pa.Table.from_pylist(list(rows), schema=COLUMNS.schema)


def video_of_row(row: Row, footage: tuple[TimeRange, ...]) -> Video:
    """The video as its row has it, with ``footage`` in media time.

    It is what reading answers needs, and has nothing of packets.
    """
    make = partial(Video, footage=footage, stream_index=0, num_keyframes=0)
    video: Video = COLUMNS.reader({"video": make, "video.deck": Deck}, "video")(row)
    return video
