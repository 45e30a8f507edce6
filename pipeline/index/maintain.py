"""Keeping an index small and fast; safe beside running writers and readers."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, pairwise

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from deltalake import DeltaTable, write_deltalake

from pipeline.errors import IndexFormatError, IndexFullError
from pipeline.index import duck
from pipeline.index.durable_commits import synced
from pipeline.index.log_cleanup import clean_log
from pipeline.index.replace import conflict_retries, on_dates, writer_properties
from pipeline.index.store import MIXED_PROPERTY, Store, columns_of, is_marked
from pipeline.index.validate import conform
from pipeline.tables.schema import TABLES, TableName

log = structlog.get_logger()

SETTLED = timedelta(hours=1)
RETENTION = timedelta(days=7)
# Each heartbeat of each run is a version of `runs`, and nobody needs one of those for longer.
_RETENTION_OF_RUNS = timedelta(hours=1)
TARGET_FILE_BYTES = 128 * 1024 * 1024


def compact(
    store: Store, *, settled: timedelta = SETTLED, target_file_bytes: int = TARGET_FILE_BYTES
) -> dict[TableName, int]:
    """Rewrite each date that is scattered, and settled: no file of it is younger than that.

    The library's own compaction does not keep rows sorted by camera and start, and a commit that
    others cannot tell from a change of data would bring deleted rows back. This one counts as a
    change: whoever wrote to the date meanwhile makes it, or is made to, try again. A date is held
    in memory while it is sorted.

    Returns:
        How many dates of each table were rewritten; a second call finds none.
    """
    rewritten: dict[TableName, int] = {}
    for name in store.tables():
        due = _due_dates(store.handle(name), settled, target_file_bytes)
        for day in due:
            _rewrite(store, name, day, target_file_bytes)
        if due:
            with synced(store.handle(name)) as table:
                table.create_checkpoint()
        rewritten[name] = len(due)
    return rewritten


def vacuum(store: Store, *, retention: timedelta = RETENTION) -> dict[TableName, int]:
    """Remove files and log entries that no version younger than ``retention`` needs.

    Nothing is written before the files are gone: this is what makes room on a full disk.

    Files of commits that never came to be are removed at that age, too. Keep it above the longest
    job and the longest reader: what they have begun with would be gone.

    Returns:
        How many data files of each table were removed.
    """
    kept = dict.fromkeys(store.tables(), retention)
    if "runs" in kept:
        kept["runs"] = min(retention, _RETENTION_OF_RUNS)
    removed = {name: _remove_files(store, name, kept[name]) for name in kept}
    for name in kept:
        try:
            clean_log(store, name, before=datetime.now(tz=UTC) - kept[name])
        except IndexFullError as exc:
            # What was removed may be too little for a checkpoint, but for what shall be written.
            log.warning("the log stays as long as it is, until the next vacuum", error=str(exc))
    return removed


def _remove_files(store: Store, name: TableName, kept: timedelta) -> int:
    # Listed only: to remove them the table library would write into its log first.
    paths = store.handle(name).vacuum(
        retention_hours=int(kept / timedelta(hours=1)),
        dry_run=True,
        enforce_retention_duration=False,
        full=True,
    )
    filesystem = store.filesystem()
    removed = [f"{store.table_uri(name)}/{path}" for path in paths]
    # An object store takes many names in one request; on a disk another vacuum may be first.
    for some in removed if store.is_local else filter(None, [removed]):
        with suppress(FileNotFoundError):
            filesystem.rm(some)
    return len(paths)


@dataclass(frozen=True, slots=True)
class _File:
    day: date
    first_camera: str
    last_camera: str
    num_bytes: int
    modified_ms: int


def _due_dates(table: DeltaTable, settled: timedelta, target_file_bytes: int) -> list[date]:
    latest_ms = int((datetime.now(tz=UTC) - settled).timestamp() * 1000)
    return [
        day
        for day, files in groupby(_files(table), key=lambda file: file.day)
        if _is_due(list(files), latest_ms, target_file_bytes)
    ]


def _files(table: DeltaTable) -> Iterator[_File]:
    """By date and camera."""
    listed = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    files = (
        _File(
            day=file["partition.date"],
            first_camera=file.get("min.camera") or "",
            last_camera=file.get("max.camera") or "",
            num_bytes=file["size_bytes"],
            modified_ms=file["modification_time"],
        )
        for file in listed
    )
    return iter(sorted(files, key=lambda f: (f.day, f.first_camera, f.last_camera)))


def _is_due(files: Sequence[_File], latest_ms: int, target_file_bytes: int) -> bool:
    if len(files) == 1 or max(file.modified_ms for file in files) > latest_ms:
        return False
    # What this module writes is none of these: cameras apart, and files half full on average.
    are_mixed = any(first.last_camera > then.first_camera for first, then in pairwise(files))
    are_small = sum(file.num_bytes for file in files) < len(files) * target_file_bytes / 2
    return are_mixed or are_small


def _rewrite(store: Store, name: TableName, day: date, target_file_bytes: int) -> None:
    for attempt in conflict_retries():
        with attempt:
            table = store.handle(name)
            if unknown := set(columns_of(table)) - set(TABLES[name].names):
                raise IndexFormatError(
                    f"index at {store.root}: {name} has columns {sorted(unknown)} of a newer "
                    "timereel, which would be lost; compact it with that one"
                )
            is_mixed = is_marked(table, MIXED_PROPERTY)
            files = pa.table(table.get_add_actions(flatten=True))
            files = files.filter(pc.field("partition.date") == day)
            paths = [f"{store.table_uri(name)}/{path}" for path in files["path"].to_pylist()]
            with duck.connect(store) as connection:
                rows = duck.fetch(
                    connection, f"FROM {duck.scan(store, name, paths, is_mixed=is_mixed)}"
                )
            rows = conform(name, rows.select(TABLES[name].names).cast(TABLES[name]))
            if rows.num_rows:
                # The handle that was read: a commit in between is a conflict, never a loss. Synced
                # before any vacuum can take what was there before.
                with synced(table):
                    write_deltalake(
                        table,
                        rows,
                        mode="overwrite",
                        predicate=on_dates([day]),
                        target_file_size=target_file_bytes,
                        writer_properties=writer_properties(name),
                    )
