"""Events are derived: what joins them is read and replaced in one transaction.

The predicate of the commit is what was read. Whoever adds, changes or removes an event of these
cameras and times in between makes it read again, so no writer joins with what is no longer there.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from pipeline.index import duck
from pipeline.index.filters import Cameras, Span
from pipeline.index.replace import both, commit, conflict_retries, equal, on_dates
from pipeline.index.snapshot import read_snapshot
from pipeline.index.store import Store
from pipeline.index.validate import conform
from pipeline.tables.schema import TABLES
from pipeline.timebase import days_between

Join: TypeAlias = Callable[[pa.Table], pa.Table]
"""Rows of ``events`` as they are -> the rows that shall stand in their place."""
Times: TypeAlias = tuple[datetime, datetime]

# The log keeps times cut to milliseconds: what ends less than that before a range is read as well.
_LOG_STEP = timedelta(milliseconds=1)
_ID = ("task", "fingerprint", "event_id")


def rejoin(
    store: Store, task: str, near: Mapping[str, Times], reach: timedelta, join: Join
) -> None:
    """Put ``join(rows)`` in place of a task's events near the given times of each camera.

    Args:
        store: the index.
        task: whose events.
        near: per camera the half-open range in which events change.
        reach: how far from there another event may be joined with one that changes.
        join: called with the rows of every fingerprint that overlap the range and its reach; once
            more with more rows where what it changes reaches further, or after a conflict.

    Raises:
        CommitFailedError: others have changed the same rows at each of many attempts.
    """
    wide = {
        camera: (start - reach - _LOG_STEP, end + reach + _LOG_STEP)
        for camera, (start, end) in near.items()
    }
    with duck.connect(store) as connection:
        for attempt in conflict_retries():
            with attempt:
                _rejoin(store, connection, task, wide, reach=reach + _LOG_STEP, join=join)


def _rejoin(
    store: Store,
    connection: duckdb.DuckDBPyConnection,
    task: str,
    wide: dict[str, Times],
    *,
    reach: timedelta,
    join: Join,
) -> None:
    table = store.handle("events")
    while True:
        held = _rows(store, connection, table, task, wide)
        rows = conform("events", join(held))
        before, after = _by_id(held), _by_id(rows)
        touched = [
            row
            for key in before.keys() | after.keys()
            if before.get(key) != after.get(key)
            for row in (before.get(key), after.get(key))
            if row
        ]
        if not touched:
            return
        if not _widen(wide, touched, reach):
            break
    days = {day for start, end in wide.values() for day in days_between(start, end)}
    days |= {row["date"] for row in (*before.values(), *after.values())}
    commit(table, "events", rows, both(on_dates(days), _overlapping(task, wide)))


def _rows(
    store: Store,
    connection: duckdb.DuckDBPyConnection,
    table: DeltaTable,
    task: str,
    wide: Mapping[str, Times],
) -> pa.Table:
    snapshot = read_snapshot(store, "events", table)
    span = Span.parse(min(t[0] for t in wide.values()), max(t[1] for t in wide.values()))
    files = snapshot.matching(span, Cameras(exact=tuple(wide)))
    # A file of before a column was added lacks it, whether the table is marked so or not.
    source = duck.scan(store, "events", [snapshot.paths[i] for i in files], is_mixed=True)
    found = duck.fetch(connection, f"FROM {source} WHERE {_overlapping(task, wide)}")
    schema = TABLES["events"]
    return found.select(schema.names).cast(schema)


def _overlapping(task: str, wide: Mapping[str, Times]) -> str:
    near = " OR ".join(
        both(
            equal("camera", camera),
            f"start < '{end.isoformat()}'",
            f"\"end\" > '{start.isoformat()}'",
        )
        for camera, (start, end) in sorted(wide.items())
    )
    return both(equal("task", task), near)


def _by_id(rows: pa.Table) -> dict[tuple[str, ...], dict[str, Any]]:
    return {tuple(row[name] for name in _ID): row for row in rows.to_pylist()}


def _widen(wide: dict[str, Times], touched: list[dict[str, Any]], reach: timedelta) -> bool:
    """Take in what changed beyond the range: what follows there may be joined in another way."""
    before = dict(wide)
    for row in touched:
        start, end = wide.get(row["camera"], (row["end"], row["end"]))
        if row["end"] + reach > end or row["end"] <= start:
            wide[row["camera"]] = min(start, row["start"]), max(end, row["end"] + reach)
    return wide != before
