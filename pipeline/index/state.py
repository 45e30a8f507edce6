"""What a job must know to go on where another stopped."""

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa

from pipeline.index.filters import Cameras, Span, Where
from pipeline.index.query import Index
from pipeline.schema import TableName

_FINISHED = (
    "video_id",
    "uri",
    "num_bytes",
    "etag",
    "content_id",
    "status",
    "error",
    "camera",
    "start",
    "end",
    "clock",
    "clock_start",
    "clock_correction",
    "task",
    "fingerprint",
)

_FOOTAGE = ("video_id", "uri", "camera", "clock", "footage")

# Older versions wrote ``erased`` also of a file that lies wholly inside others of its camera. No
# one ordered that: the row owns no footage and still has its ``config``, which erasing removes.
_ERASED: dict[TableName, str] = {
    "videos": "status = 'erased' AND NOT (len(footage) = 0 AND overlap_s > 0 AND config <> '')",
    "windows": "status = 'erased'",
}


def finished(index: Index, task: str, fingerprint: str | None = None) -> pa.Table:
    """The videos rows of a task, failed ones too: done is what still has size and etag.

    Columns video_id, uri, num_bytes, etag, content_id, status, error, camera, start, end, clock,
    clock_start, clock_correction, task, fingerprint. Without ``fingerprint`` those of every one.
    """
    where = _of_task(task)
    if fingerprint is not None:
        where.add("fingerprint = ?", fingerprint)
    return index.every("videos", where, columns=_FINISHED)


def windows_of(index: Index, video_ids: Iterable[str], task: str, fingerprint: str) -> pa.Table:
    """All windows of these videos, finished or not, ordered by start, camera and id."""
    where = _of_task(task).add("fingerprint = ?", fingerprint).among("video_id", video_ids)
    return index.every("windows", where)


def footage_near(
    index: Index, cameras: Iterable[str], start: datetime, end: datetime, *, task: str
) -> pa.Table:
    """What files speak for, in looked-at videos that share an instant with ``[start, end)``.

    Columns video_id, uri, camera, clock, footage. Names are not globs here.
    """
    where = _of_task(task).add("status IN ('done', 'partial')")
    exact = Cameras(exact=tuple(cameras))
    return index.select(
        "videos", where, span=Span.parse(start, end), cameras=exact, columns=_FOOTAGE
    )


def rows_near(
    index: Index, table: TableName, camera: str, start: datetime, end: datetime, *, task: str
) -> pa.Table:
    """Rows of exactly this camera and task that share an instant with ``[start, end)``."""
    return index.select(
        table, _of_task(task), span=Span.parse(start, end), cameras=Cameras(exact=(camera,))
    )


def _of_task(task: str) -> Where:
    return Where().add("task = ?", task)


def failed_videos(index: Index, task: str) -> pa.Table:
    """What failed as a whole, under whatever settings; columns as of ``finished``."""
    return index.every("videos", _of_task(task).add("status = 'failed'"), columns=_FINISHED)


def erased_videos(index: Index) -> pa.Table:
    """What was erased as a whole, whatever the task; columns as of ``finished``."""
    return index.every("videos", Where().add(_ERASED["videos"]), columns=_FINISHED)


def cut_ids(index: Index) -> set[str]:
    """Ids of videos of which a part was erased, whatever the task."""
    where = Where().add("status = 'erased'")
    return set(index.every("windows", where, columns=["video_id"])["video_id"].to_pylist())


def erased_ranges(
    index: Index, cameras: Iterable[str], start: datetime, end: datetime
) -> dict[str, list[tuple[datetime, datetime]]]:
    """What was erased of each of exactly these cameras, whatever the video and the task.

    All ranges that share an instant with ``[start, end)``; cameras without any are left out.
    """
    ranges: dict[str, list[tuple[datetime, datetime]]] = {}
    if (exact := Cameras(exact=tuple(cameras))).exact:
        for table, is_erased in _ERASED.items():
            rows = index.every(
                table,
                Where().add(is_erased),
                span=Span.parse(start, end),
                cameras=exact,
                columns=("camera", "start", "end"),
            )
            for row in rows.to_pylist():
                ranges.setdefault(row["camera"], []).append((row["start"], row["end"]))
    return ranges
