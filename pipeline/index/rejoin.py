"""Joins events across files: reads and replaces them in one transaction.

The predicate of the commit covers all rows that were read. If another writer adds, changes or
removes an event of these cameras and times in between, the commit has a conflict and the rows are
read again. So no event is joined with one that no longer exists.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import pyarrow as pa
from deltalake import DeltaTable

from pipeline.index import duck
from pipeline.index.filters import Cameras, Span, Where
from pipeline.index.open_tables import OpenTables
from pipeline.index.replace import (
    Confirm,
    all_of,
    commit,
    conflict_retries,
    equal,
    on_dates,
    unleased,
)
from pipeline.index.snapshot import read_snapshot
from pipeline.index.validate import conform, conform_stored
from pipeline.timebase import days_between

Join: TypeAlias = Callable[[pa.Table], pa.Table]
"""The existing rows of ``events`` -> the rows that replace them."""
Times: TypeAlias = tuple[datetime, datetime]

# The transaction log rounds times down to milliseconds, so rows that end less than that before a
# range are read too.
_LOG_STEP = timedelta(milliseconds=1)
_ID = ("task", "fingerprint", "event_id")


def rejoin(
    index: OpenTables,
    task: str,
    times: Mapping[str, Times],
    reach: timedelta,
    join: Join,
    *,
    confirm: Confirm = unleased,
) -> None:
    """Replace a task's events near the given times of each camera by ``join(rows)``.

    Args:
        index: the open index.
        task: whose events to replace.
        times: per camera the half-open range in which events change.
        reach: how far from that range another event may be joined with one that changes.
        join: called with the rows of every fingerprint that overlap the range extended by
            ``reach``. It is called again with more rows if its changes extend further, or after a
            conflict.
        confirm: that of ``replace``.

    Raises:
        CommitFailedError: other writers changed the same rows at every attempt.
    """
    wide = {
        camera: (start - reach - _LOG_STEP, end + reach + _LOG_STEP)
        for camera, (start, end) in times.items()
    }
    for attempt in conflict_retries():
        with attempt:
            table = index.store.writable("events")
            confirm()
            _rejoin(index, table, task, wide, reach=reach + _LOG_STEP, join=join)


def _rejoin(
    index: OpenTables,
    table: DeltaTable,
    task: str,
    wide: dict[str, Times],
    *,
    reach: timedelta,
    join: Join,
) -> None:
    while True:
        existing = _rows(index, table, task, wide)
        rows = conform("events", join(existing))
        before, after = _by_id(existing), _by_id(rows)
        changed = [
            row
            for key in before.keys() | after.keys()
            if before.get(key) != after.get(key)
            for row in (before.get(key), after.get(key))
            if row
        ]
        if not changed:
            return
        if not _widen(wide, changed, reach):
            break
    days = {day for start, end in wide.values() for day in days_between(start, end)}
    days |= {row["date"] for row in (*before.values(), *after.values())}
    commit(table, "events", rows, all_of(on_dates(days), _overlapping(task, wide)))


def _rows(index: OpenTables, table: DeltaTable, task: str, wide: Mapping[str, Times]) -> pa.Table:
    snapshot = read_snapshot(index.store, "events", table)
    span = Span.parse(min(t[0] for t in wide.values()), max(t[1] for t in wide.values()))
    files = snapshot.matching(span, Cameras(exact=tuple(wide)))
    paths = [snapshot.paths[i] for i in files]
    source = duck.scan(index.store, "events", paths, is_mixed=snapshot.is_mixed)
    rows = index.fetch(f"FROM {source} WHERE {_overlapping(task, wide)}", Where())
    return conform_stored(index.store.root, "events", rows)


def _overlapping(task: str, wide: Mapping[str, Times]) -> str:
    overlaps = " OR ".join(
        all_of(
            equal("camera", camera),
            f"start < '{end.isoformat()}'",
            f"\"end\" > '{start.isoformat()}'",
        )
        for camera, (start, end) in sorted(wide.items())
    )
    return all_of(equal("task", task), overlaps)


def times_by_camera(rows: Iterable[Mapping[str, Any]]) -> dict[str, Times]:
    """By camera, the shortest range that includes all of its rows."""
    times: dict[str, Times] = {}
    for row in rows:
        start, end = times.get(row["camera"], (row["start"], row["end"]))
        times[row["camera"]] = min(start, row["start"]), max(end, row["end"])
    return times


def _by_id(rows: pa.Table) -> dict[tuple[str, ...], dict[str, Any]]:
    return {tuple(row[name] for name in _ID): row for row in rows.to_pylist()}


def _widen(wide: dict[str, Times], changed: list[dict[str, Any]], reach: timedelta) -> bool:
    """Extend the ranges to all changed events, as the events after these may join differently."""
    before = dict(wide)
    for row in changed:
        start, end = wide.get(row["camera"], (row["end"], row["end"]))
        if row["end"] + reach > end or row["end"] <= start:
            wide[row["camera"]] = min(start, row["start"]), max(end, row["end"] + reach)
    return wide != before
