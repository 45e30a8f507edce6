"""Snapshots: the current files of a table, from its transaction log, pruned by statistics."""

import os
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipeline.errors import IndexDamagedError
from pipeline.index.data_files import data_files, data_paths
from pipeline.index.filters import Cameras, Span
from pipeline.index.links import LOG_FOLDER
from pipeline.index.store import (
    GENERATIONS_PROPERTY,
    MIXED_PROPERTY,
    Store,
    columns_of,
    is_marked,
)
from pipeline.index.store_errors import refusing_values
from pipeline.tables.schema import TABLES, TableName
from pipeline.timebase import BoolArray, Int64Array

# The transaction log rounds times down to milliseconds, so a file may end up to this much later.
_LOG_STEP_US = 1000
_LATEST_US = np.iinfo(np.int64).max - _LOG_STEP_US
_EARLIEST_US = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a table; position ``i`` of each field is file ``i``."""

    paths: list[str]
    first_start_us: Int64Array
    last_end_us: Int64Array
    cameras: list[tuple[str | None, str | None]]
    fingerprints: list[tuple[str | None, str | None]]
    is_mixed: bool = False
    """Whether a file may lack declared columns that were added after it was written."""
    has_generations: bool = False
    """Whether a video may have rows of several fingerprints."""

    def matching(self, span: Span, cameras: Cameras) -> list[int]:
        """Positions of the files that can hold a row of these cameras that overlaps ``span``."""
        overlaps: BoolArray = np.ones(len(self.paths), dtype=np.bool_)
        if span.end_us is not None:
            overlaps &= self.first_start_us < span.end_us
        if span.start_us is not None:
            overlaps &= self.last_end_us + _LOG_STEP_US > span.start_us
        bounds = cameras.bounds
        return [
            int(i)
            for i in np.flatnonzero(overlaps)
            if not bounds or any(_overlaps(self.cameras[i], *wanted) for wanted in bounds)
        ]


_EMPTY = Snapshot([], np.empty(0, np.int64), np.empty(0, np.int64), [], [])


def _overlaps(bounds: tuple[str | None, str | None], first: str, last: str) -> bool:
    low, high = bounds
    return (low is None or low <= last) and (high is None or high >= first)


class TableReader:
    """Follows one table: reads only the log entries that are newer than the last snapshot."""

    def __init__(self, store: Store, name: TableName) -> None:
        self._store = store
        self._name = name
        self._handle: DeltaTable | None = None
        self._latest: tuple[int, Snapshot] | None = None

    def latest(self) -> Snapshot:
        """The newest version of the table; complete, even while others write."""
        if self._handle is None and self._name != "videos" and not self._store.holds(self._name):
            self._store.refuse_lost(self._name)
            return _EMPTY  # the index is older than this table
        if self._latest is None or not self._is_newest(self._latest[0]):
            handle = self._refreshed()
            if self._latest is None or self._latest[0] != handle.version():
                self._latest = handle.version(), read_snapshot(self._store, self._name, handle)
        return self._latest[1]

    def _is_newest(self, version: int) -> bool:
        """Whether no newer version exists; two file names tell, as to list the log takes 1 ms.

        The next entry is checked first. Entries are deleted from the oldest on, so if this
        version's entry still exists afterwards, the next one was not deleted.
        """
        log = f"{self._store.table_uri(self._name)}/{LOG_FOLDER}"
        # Not Path.exists(), which raises where this user may not look.
        return (
            self._store.is_local
            and not os.path.exists(f"{log}/{version + 1:020}.json")  # noqa: PTH110
            and os.path.exists(f"{log}/{version:020}.json")  # noqa: PTH110
        )

    def _refreshed(self) -> DeltaTable:
        if self._handle is None:
            self._handle = self._store.handle(self._name)
            return self._handle
        former = self._handle.version()
        checked = self._store.check_log(self._name, former)
        try:
            with refusing_values():
                self._handle.update_incremental()
        except DeltaError:  # the entries after this version were deleted, or the log is damaged
            self._handle = self._reopened(self._handle)
            self._latest = None
        else:
            if self._handle.version() > checked:  # somebody committed in between
                self._store.check_log(self._name, former)
        return self._handle

    def _reopened(self, former: DeltaTable) -> DeltaTable:
        handle = self._store.handle(self._name)
        if handle.version() < former.version() and handle.metadata().id == former.metadata().id:
            raise IndexDamagedError(
                self._store.root, f"{self._name}: log entry {former.version()} is missing"
            )
        return handle


def read_snapshot(store: Store, name: TableName, handle: DeltaTable) -> Snapshot:
    """The files in the table version of the handle."""
    files = data_files(handle)
    return Snapshot(
        paths=data_paths(store, name, files),
        first_start_us=_instants(files, "min.start", _EARLIEST_US),
        last_end_us=_instants(files, "max.end", _LATEST_US),
        cameras=_bounds(files, "camera"),
        fingerprints=_bounds(files, "fingerprint"),
        is_mixed=is_marked(handle, MIXED_PROPERTY)
        or not set(TABLES[name].names) <= set(columns_of(handle)),
        has_generations=is_marked(handle, GENERATIONS_PROPERTY),
    )


def _instants(files: pa.Table, column: str, missing: int) -> Int64Array:
    if column not in files.column_names:
        return np.full(files.num_rows, missing, dtype=np.int64)
    instants = files[column].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    # Not fill_null(): its pa.scalar() imports pandas too.
    filled = [missing if us is None else us for us in instants.to_pylist()]
    return np.array(filled, dtype=np.int64)


def _bounds(files: pa.Table, column: str) -> list[tuple[str | None, str | None]]:
    if f"min.{column}" not in files.column_names:
        return [(None, None)] * files.num_rows
    return list(
        zip(files[f"min.{column}"].to_pylist(), files[f"max.{column}"].to_pylist(), strict=True)
    )
