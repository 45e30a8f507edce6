"""Reads from the index what was erased, which no job shows to a model again."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipeline.index.filters import Cameras, Span, Where
from pipeline.index.query import Index
from pipeline.records import Video
from pipeline.tables.schema import TableName
from pipeline.timebase import TimeRange, datetime_to_ns, ns_to_datetime

# Older versions also wrote ``erased`` for a file of which others show all that was not erased. No
# user ordered that: such a row still has its ``config``, which erasing removes. What was erased of
# it stands in ``windows``.
ERASED: dict[TableName, str] = {
    "videos": "status = 'erased' AND NOT (overlap_s > 0 AND config <> '' AND erased IS NULL)",
    "windows": "status = 'erased'",
}
"""Rows about what was erased."""

_REMEMBERED = (
    *("video_id", "content_id", "uri", "camera", "status", "start", "end"),
    *("clock_start_ns", "clock_correction", "erased"),
)


def erased_videos(index: Index, content_ids: Iterable[str] | None = None) -> pa.Table:
    """Videos that were erased completely, of any task; of these contents, or all.

    Columns video_id, content_id, camera.
    """
    where = Where().add(ERASED["videos"])
    if content_ids is not None:
        where.is_one_of("content_id", content_ids)
    return index.select_all("videos", where, columns=["video_id", "content_id", "camera"])


def partly_erased_ids(index: Index) -> set[str]:
    """Ids of videos of which a part was erased, of any task."""
    where = Where().add("status = 'erased'")
    remembered = index.select_all("videos", Where().add("len(erased) > 0"), columns=["video_id"])
    marked = index.select_all("windows", where, columns=["video_id"])
    return {*marked["video_id"].to_pylist(), *remembered["video_id"].to_pylist()}


def erased_ranges(
    index: Index, cameras: Iterable[str], start: datetime, end: datetime
) -> dict[str, list[tuple[datetime, datetime, str]]]:
    """By exact camera name, the erased ranges of any video and task that overlap ``[start, end)``.

    Each with the id of its video. Cameras without such a range are omitted.
    """
    ranges: dict[str, list[tuple[datetime, datetime, str]]] = {}
    if (exact := Cameras(exact=tuple(cameras))).exact:
        for table, is_erased in ERASED.items():
            footage = ("footage",) if table == "videos" else ()
            rows = index.select_all(
                table,
                Where().add(is_erased),
                span=Span.parse(start, end),
                cameras=exact,
                columns=("camera", "start", "end", "video_id", *footage),
            )
            for row in rows.to_pylist():
                # Of a video what it showed: neither its gaps, nor what it left to other files.
                shown = row["footage"] if footage else [row]
                ranges.setdefault(row["camera"], []).extend(
                    (part["start"], part["end"], row["video_id"]) for part in shown
                )
    return ranges


@dataclass(frozen=True, slots=True)
class ErasedPart:
    """A part of a video that was erased, and of which row of ``videos``."""

    span: TimeRange
    """Media time."""
    video_id: str
    is_moved: bool
    """Whether that was the same file at another time."""


def erased_media(index: Index, videos: Sequence[Video]) -> dict[str, list[ErasedPart]]:
    """By video id, what was erased of these videos, wherever their clocks have put it.

    ``videos`` remembers it of each content, and of what a file held before it grew or was repaired,
    if that began at the same time. Windows have it under the ids that a content had before its
    start or the clock of its camera was corrected, and in an index of an older timereel.
    """
    either = [
        Where().is_one_of("content_id", {video.content_id for video in videos}),
        Where().is_one_of("uri", {video.uri for video in videos}),
    ]
    where = Where.any_of(either).add(f"(status <> 'erased' OR {ERASED['videos']})")
    rows = index.select_all("videos", where, columns=_REMEMBERED).to_pylist()
    ids = {video.video_id for video in videos}
    windows = _erased_windows(
        index, [row for row in rows if row["video_id"] not in ids or row["erased"] is None]
    )
    of_content, of_file = defaultdict(list), defaultdict(list)
    for row in rows:
        spans = [TimeRange(part["start_ns"], part["end_ns"]) for part in row["erased"] or ()]
        if row["status"] != "erased":
            all_spans = spans + windows.get(row["video_id"], [])
            of_content[row["content_id"], row["camera"]].append((row, all_spans))
        clock = row["clock_start_ns"], row["clock_correction"]
        of_file[row["uri"], row["camera"], *clock].append((row, spans))
    erased: dict[str, list[ErasedPart]] = {}
    for video in videos:
        erased[video.video_id] = [
            ErasedPart(
                span=span,
                video_id=row["video_id"],
                is_moved=row["uri"] == video.uri and row["video_id"] != video.video_id,
            )
            for row, spans in of_content[video.content_id, video.camera]
            for span in spans
        ]
        clock = video.start_ns, str(video.correction)
        for row, spans in of_file[video.uri, video.camera, *clock]:
            is_whole = row["status"] == "erased"
            erased[video.video_id] += [
                ErasedPart(span=span, video_id=row["video_id"], is_moved=False)
                for span in ([video.media(_utc(row))] if is_whole else spans)
            ]
    return erased


def _utc(row: Mapping[str, Any]) -> TimeRange:
    return TimeRange(datetime_to_ns(row["start"]), datetime_to_ns(row["end"]))


def _erased_windows(
    index: Index, videos: Sequence[Mapping[str, Any]]
) -> dict[str, list[TimeRange]]:
    """By id, the erased windows of videos, in media time."""
    if not videos:
        return {}
    spans = list(map(_utc, videos))
    start, end = min(span.start_ns for span in spans), max(span.end_ns for span in spans)
    where = Where().add("status = 'erased' AND media_start_ns IS NOT NULL")
    rows = index.select_all(
        "windows",
        where.is_one_of("video_id", {row["video_id"] for row in videos}),
        span=Span.parse(ns_to_datetime(start), ns_to_datetime(end)),
        cameras=Cameras(exact=tuple({row["camera"] for row in videos})),
        columns=["video_id", "media_start_ns", "media_end_ns"],
    )
    erased: dict[str, list[TimeRange]] = defaultdict(list)
    for row in rows.to_pylist():
        erased[row["video_id"]].append(TimeRange(row["media_start_ns"], row["media_end_ns"]))
    return erased
