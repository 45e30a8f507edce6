"""Writes and removes pictures together with the windows that they were shown in."""

from collections.abc import Collection
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.index.filters import Span, Where
from pipeline.index.grouping import chunks, groups, ids_of, is_among
from pipeline.index.query import Index
from pipeline.index.replace import Confirm, all_of, equal, is_one_of, on_dates, replace, unleased
from pipeline.index.validate import conform
from pipeline.tables.schema import EVIDENCE

_COLUMNS = ["date", "task", "fingerprint", "video_id", "shard_id"]


def replace_evidence(
    index: Index, windows: pa.Table, evidence: pa.Table | None, confirm: Confirm = unleased
) -> None:
    """Replace the pictures of the shards in ``windows`` by ``evidence``; None is no picture.

    Without any picture before and after, nothing is committed. ``confirm`` is that of ``replace``.
    """
    evidence = conform("evidence", EVIDENCE.empty_table() if evidence is None else evidence)
    where = Where().is_one_of("shard_id", ids_of(windows, "shard_id"))
    span = Span.parse(pc.min(windows["start"]).as_py(), pc.max(windows["end"]).as_py())
    earlier = index.select_all("evidence", where, span=span, columns=_COLUMNS)
    changed = pa.concat_tables([evidence.select(_COLUMNS), earlier])
    _replace(index, changed, evidence, "shard_id", confirm)


def remove_outdated_evidence(
    index: Index,
    videos: pa.Table,
    replaced: set[str],
    dates: Collection[date],
    *,
    keep: bool,
    confirm: Confirm = unleased,
) -> None:
    """Remove the pictures of earlier answers to finished ``videos``, and of videos they replace.

    Args:
        index: to change.
        videos: rows of ``videos`` of one task.
        replaced: ids of videos that no longer exist.
        dates: on which windows of these may begin.
        keep: whether earlier answers to ``videos`` stay.
        confirm: that of ``replace``.
    """
    where = Where().add("task = ?", videos["task"][0].as_py()).add(on_dates(dates))
    where.is_one_of("video_id", ids_of(videos, "video_id") | replaced)
    rows = index.select_all("evidence", where, columns=_COLUMNS)
    is_outdated = is_among("video_id", replaced)
    if not keep:
        is_outdated |= ~is_among("fingerprint", ids_of(videos, "fingerprint"))
    _replace(index, rows.filter(is_outdated), EVIDENCE.empty_table(), "video_id", confirm)


def _replace(
    index: Index, changed: pa.Table, evidence: pa.Table, column: str, confirm: Confirm
) -> None:
    """Replace the pictures that have the task, fingerprint and ``column`` of ``changed`` rows."""
    for task, of_task in groups(changed, "task"):
        for fingerprint, group in groups(of_task, "fingerprint"):
            for ids, part in chunks(group, column):
                predicate = all_of(
                    on_dates(part["date"].to_pylist()),
                    equal("task", task),
                    equal("fingerprint", fingerprint),
                    is_one_of(column, ids),
                )
                rows = evidence.filter(
                    is_among(column, ids)
                    & (pc.field("task") == task)
                    & (pc.field("fingerprint") == fingerprint)
                )
                replace(index.store, "evidence", rows, predicate, confirm)
