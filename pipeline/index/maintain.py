"""Keeps an index small and fast; safe while writers and readers run."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path

import pyarrow.compute as pc
import structlog
from deltalake import DeltaTable, write_deltalake

from pipeline.errors import IndexDamagedError, IndexFormatError, IndexFullError
from pipeline.index import duck
from pipeline.index.data_files import data_files, data_paths
from pipeline.index.durable_commits import synced
from pipeline.index.links import ODD_FILE, odd_files
from pipeline.index.log_cleanup import clean_log
from pipeline.index.replace import conflict_retries, on_dates, writer_properties
from pipeline.index.store import MIXED_PROPERTY, Store, columns_of, is_marked
from pipeline.index.store_errors import named_if_unwritable
from pipeline.index.validate import conform_stored
from pipeline.tables.schema import TABLES, TableName

log = structlog.get_logger()

MIN_AGE = timedelta(hours=1)
RETENTION = timedelta(days=7)
# Each heartbeat of a run is a version of `runs`, and no reader needs one of these for longer.
_RETENTION_OF_RUNS = timedelta(hours=1)
TARGET_FILE_BYTES = 128 * 1024 * 1024


def compact(
    store: Store, *, min_age: timedelta = MIN_AGE, target_file_bytes: int = TARGET_FILE_BYTES
) -> dict[TableName, int]:
    """Rewrite each date with many small or mixed files, unless a file is younger than ``min_age``.

    The library's own compaction does not keep rows sorted by camera and start. Its commit also does
    not count as a change of data, so a concurrent writer could bring deleted rows back. The commit
    made here counts as a change: if another writer changes the same date, one of the two has a
    conflict and tries again. A date is in memory while it is sorted.

    Returns:
        The number of rewritten dates of each table; a second call rewrites none.
    """
    rewritten: dict[TableName, int] = {}
    for name in store.tables():
        dates = _scattered_dates(store.handle(name), min_age, target_file_bytes)
        for day in dates:
            _rewrite(store, name, day, target_file_bytes)
        if dates:
            with synced(store.handle(name)) as table:
                table.create_checkpoint()
        rewritten[name] = len(dates)
    return rewritten


def vacuum(store: Store, *, retention: timedelta = RETENTION) -> dict[TableName, int]:
    """Remove files and log entries that no version younger than ``retention`` needs.

    Files are removed before anything is written, so that this makes room on a full disk. Files of
    failed commits are removed at the same age. ``retention`` must be longer than the longest job
    and the longest reader, because they still need the files of the version they began with.

    Returns:
        The number of removed data files of each table.
    """
    retentions = dict.fromkeys(store.tables(), retention)
    if "runs" in retentions:
        retentions["runs"] = min(retention, _RETENTION_OF_RUNS)
    with named_if_unwritable(store.root):
        removed = {name: _remove_files(store, name, retentions[name]) for name in retentions}
        for name in retentions:
            try:
                clean_log(store, name, before=datetime.now(tz=UTC) - retentions[name])
            except IndexFullError as exc:
                # The freed space may be too small for a checkpoint, but enough for other writes.
                log.warning("the log cannot be shortened before the next vacuum", error=str(exc))
    return removed


def _remove_files(store: Store, name: TableName, retention: timedelta) -> int:
    if store.is_local and (links := odd_files(Path(store.table_uri(name)))):
        raise IndexDamagedError(store.root, f"{links[0]} {ODD_FILE}")  # the library would list it
    # A dry run only lists files: to remove them the library would first write to its log.
    paths = store.handle(name).vacuum(
        retention_hours=int(retention / timedelta(hours=1)),
        dry_run=True,
        enforce_retention_duration=False,
        full=True,
    )
    filesystem = store.filesystem()
    files = [f"{store.table_uri(name)}/{path}" for path in paths]
    # An object store removes many files in one request. On a disk another vacuum may be faster.
    for one_or_all in files if store.is_local else filter(None, [files]):
        with suppress(FileNotFoundError):
            filesystem.rm(one_or_all)
    return len(paths)


@dataclass(frozen=True, slots=True)
class _File:
    day: date
    first_camera: str
    last_camera: str
    num_bytes: int
    modified_ms: int


def _scattered_dates(table: DeltaTable, min_age: timedelta, target_file_bytes: int) -> list[date]:
    latest_ms = int((datetime.now(tz=UTC) - min_age).timestamp() * 1000)
    return [
        day
        for day, files in groupby(_files(table), key=lambda file: file.day)
        if _is_scattered(list(files), latest_ms, target_file_bytes)
    ]


def _files(table: DeltaTable) -> Iterator[_File]:
    """The files of a table, sorted by date and camera."""
    actions = data_files(table).to_pylist()
    files = (
        _File(
            day=file["partition.date"],
            first_camera=file.get("min.camera") or "",
            last_camera=file.get("max.camera") or "",
            num_bytes=file["size_bytes"],
            modified_ms=file["modification_time"],
        )
        for file in actions
    )
    return iter(sorted(files, key=lambda f: (f.day, f.first_camera, f.last_camera)))


def _is_scattered(files: Sequence[_File], latest_ms: int, target_file_bytes: int) -> bool:
    if len(files) == 1 or max(file.modified_ms for file in files) > latest_ms:
        return False
    # Files that this module wrote meet neither condition: their cameras do not overlap, and on
    # average they have at least half of the target size.
    are_mixed = any(file.last_camera > after.first_camera for file, after in pairwise(files))
    are_small = sum(file.num_bytes for file in files) < len(files) * target_file_bytes / 2
    return are_mixed or are_small


def _rewrite(store: Store, name: TableName, day: date, target_file_bytes: int) -> None:
    for attempt in conflict_retries():
        with attempt:
            table = store.writable(name)
            if unknown := set(columns_of(table)) - set(TABLES[name].names):
                raise IndexFormatError(
                    f"index at {store.root}: {name} has columns {sorted(unknown)} of a newer "
                    "timereel, which would be lost; compact it with that version"
                )
            is_mixed = is_marked(table, MIXED_PROPERTY)
            files = data_files(table).filter(pc.field("partition.date") == day)
            paths = data_paths(store, name, files)
            with duck.connect(store) as connection:
                rows = duck.fetch(
                    connection, f"FROM {duck.scan(store, name, paths, is_mixed=is_mixed)}"
                )
            rows = conform_stored(store.root, name, rows)
            if rows.num_rows:
                # Commit with the handle that was read: then a commit in between is a conflict, and
                # never a loss. Sync before any vacuum can remove the former files.
                with synced(table):
                    write_deltalake(
                        table,
                        rows,
                        mode="overwrite",
                        predicate=on_dates([day]),
                        target_file_size=target_file_bytes,
                        writer_properties=writer_properties(name),
                    )
