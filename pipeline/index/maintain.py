"""Keeping an index small and fast; safe beside running writers and readers."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake

from pipeline.index import duck
from pipeline.index.replace import conflict_retries, on_dates, writer_properties
from pipeline.index.store import Store
from pipeline.index.strict import conform
from pipeline.schema import TABLES, TableName

SETTLED = timedelta(hours=1)
RETENTION_HOURS = 7 * 24


def compact(store: Store, *, settled: timedelta = SETTLED) -> int:
    """Rewrite each date that has several files, none of them younger than ``settled``, as one.

    The library's own compaction does not keep rows sorted by camera and start, and a commit that
    others cannot tell from a change of data would bring deleted rows back. This one counts as a
    change: whoever wrote to the date meanwhile makes it, or is made to, try again.

    Returns:
        Number of (table, date) that were rewritten.
    """
    rewritten = 0
    for name in TABLES:
        for day in _dates_to_compact(store.handle(name), settled):
            _rewrite(store, name, day)
            rewritten += 1
        store.handle(name).create_checkpoint()
    return rewritten


def vacuum(store: Store, *, retention_hours: int = RETENTION_HOURS) -> int:
    """Remove files that no version younger than ``retention_hours`` needs, orphans included.

    Keep it above the longest job and the longest reader: theirs are removed too.

    Returns:
        Number of removed files.
    """
    return sum(
        len(
            store.handle(name).vacuum(
                retention_hours=retention_hours,
                dry_run=False,
                enforce_retention_duration=False,
                full=True,
            )
        )
        for name in TABLES
    )


def _dates_to_compact(table: DeltaTable, settled: timedelta) -> list[date]:
    files = pa.table(table.get_add_actions(flatten=True))
    if not files.num_rows:
        return []
    by_date = files.group_by("partition.date").aggregate(
        [("path", "count"), ("modification_time", "max")]
    )
    latest_ms = int((datetime.now(tz=UTC) - settled).timestamp() * 1000)
    due = (pc.field("path_count") > 1) & (pc.field("modification_time_max") <= latest_ms)
    return sorted(by_date.filter(due)["partition.date"].to_pylist())


def _rewrite(store: Store, name: TableName, day: date) -> None:
    for attempt in conflict_retries():
        with attempt:
            table = store.handle(name)
            files = pa.table(table.get_add_actions(flatten=True))
            files = files.filter(pc.field("partition.date") == day)
            paths = [f"{store.table_uri(name)}/{path}" for path in files["path"].to_pylist()]
            with duck.connect(store) as connection:
                rows = duck.fetch(connection, f"FROM {duck.scan(store, name, paths)}")
            rows = conform(name, rows.select(TABLES[name].names).cast(TABLES[name]))
            if rows.num_rows:
                # The handle that was read: a commit in between is a conflict, never a loss.
                write_deltalake(
                    table,
                    rows,
                    mode="overwrite",
                    predicate=on_dates([day]),
                    writer_properties=writer_properties(name),
                )
