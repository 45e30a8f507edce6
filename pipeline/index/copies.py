"""Remembers which files are copies of indexed videos, so that later runs need not read them."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from pipeline.index.filters import Where
from pipeline.index.grouping import chunks
from pipeline.index.query import Index
from pipeline.index.replace import Confirm, all_of, equal, is_one_of, on_dates, replace
from pipeline.index.resume_state import CameraRange
from pipeline.index.validate import conform_stored
from pipeline.records import Video
from pipeline.tables.schema import TABLES
from pipeline.tables.video_items import COPY


def record_copies(
    index: Index,
    copies: Iterable[Video],
    near: CameraRange,
    *,
    task: str,
    fingerprint: str,
    confirm: Confirm,
) -> None:
    """Add files to ``copies`` of the finished videos that have the same ids.

    Args:
        index: that holds the videos.
        copies: as the files were probed; all of them ``near``.
        near: the cameras and the range of the files.
        task: only rows of this task change.
        fingerprint: likewise.
        confirm: that of ``replace``.
    """
    by_id: dict[str, list[Video]] = {}
    for video in copies:
        by_id.setdefault(video.video_id, []).append(video)
    where = Where().add("task = ? AND fingerprint = ?", task, fingerprint)
    rows = index.select_all("videos", where.is_one_of("video_id", by_id), **near.bounds)
    changed = [
        row | {"copies": _with(row["copies"] or [], by_id[row["video_id"]])}
        for row in rows.to_pylist()
    ]
    table = pa.Table.from_pylist(changed, schema=TABLES["videos"])
    for video_ids, part in chunks(conform_stored(index.store.root, "videos", table), "video_id"):
        predicate = all_of(
            on_dates(part["date"].to_pylist()),
            equal("task", task),
            equal("fingerprint", fingerprint),
            is_one_of("video_id", video_ids),
        )
        replace(index.store, "videos", part, predicate, confirm)


def _with(known: Iterable[dict[str, Any]], copies: Iterable[Video]) -> list[dict[str, Any]]:
    """The newest state of each file, in the order of their names."""
    by_uri = {row["uri"]: row for row in (*known, *map(COPY.row, copies))}
    return [by_uri[uri] for uri in sorted(by_uri)]
