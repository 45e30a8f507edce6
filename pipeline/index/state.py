"""What a job must know to go on where another stopped."""

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa

from pipeline.index.filters import Cameras, Span, Where
from pipeline.index.query import Index
from pipeline.schema import EVENTS

_FINISHED = (
    "video_id",
    "uri",
    "num_bytes",
    "etag",
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


def finished(index: Index, task: str, fingerprint: str | None = None) -> pa.Table:
    """The videos rows of a task, failed ones too: done is what still has size and etag.

    Columns video_id, uri, num_bytes, etag, status, error, camera, start, end, clock, clock_start,
    clock_correction, task, fingerprint. Without ``fingerprint`` those of every one.
    """
    where = _of_task(task)
    if fingerprint is not None:
        where.add("fingerprint = ?", fingerprint)
    return index.select("videos", where, columns=_FINISHED)


def windows_of(index: Index, video_ids: Iterable[str], task: str, fingerprint: str) -> pa.Table:
    """All windows of these videos, finished or not, ordered by start, camera and id."""
    where = _of_task(task).add("fingerprint = ?", fingerprint).among("video_id", video_ids)
    return index.every_window(where)


def events_near(
    index: Index,
    cameras: Iterable[str],
    start: datetime,
    end: datetime,
    *,
    task: str,
    fingerprint: str | None = None,
) -> pa.Table:
    """Events of exactly these cameras that share an instant with ``[start, end)``.

    For joining events over the border of two files: widen the range by the gap that may be
    bridged, as an event that ends exactly at ``start`` does not count. Names are not globs here.
    Without ``fingerprint`` those of every one.
    """
    if not (exact := Cameras(exact=tuple(cameras))).exact:
        return EVENTS.empty_table()
    where = _of_task(task)
    if fingerprint is not None:
        where.add("fingerprint = ?", fingerprint)
    return index.select("events", where, span=Span.parse(start, end), cameras=exact)


def _of_task(task: str) -> Where:
    return Where().add("task = ?", task)
