"""``timereel check --repair``: repairs an index with the files that can still be read.

Files that cannot be read are moved to the folder ``_damaged`` below the index; ``erase`` removes
that folder, as nobody can know what they contain. What is derived from windows is derived
again. Where windows are lost, the video becomes pending, and the next run asks the engine about the
missing part. If a repair is killed, all readers are refused until a repair has finished. A second
repair changes nothing.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any, TypeAlias

import pyarrow as pa

from pipeline.errors import ConfigError, IndexDamagedError
from pipeline.index.check import stored_files
from pipeline.index.check_rows import disagreements
from pipeline.index.commit import JoinFinished
from pipeline.index.durable_commits import synced
from pipeline.index.filters import Where
from pipeline.index.findings import Finding
from pipeline.index.query import Index
from pipeline.index.rejoin import rejoin, times_by_camera
from pipeline.index.replace import all_of, change, equal, is_one_of, on_dates
from pipeline.index.replace import replace as replace_rows
from pipeline.index.runs import list_runs
from pipeline.index.sidecars import remove_linked_damaged
from pipeline.index.store import DAMAGED, REPAIRING, Store
from pipeline.index.store_errors import refuse_closed_index
from pipeline.index.validate import ID_COLUMN
from pipeline.tables.schema import TABLES, TableName

_VIDEOS_AT_ONCE = 200
# The repair of one kind of fault reveals the next: first logs, then files, then duplicate and
# orphaned rows, then the rows they were made from.
_MAX_ROUNDS = 10

Row: TypeAlias = dict[str, Any]
Work: TypeAlias = tuple[str, str]
"""Task and fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """What was found in videos of one task and fingerprint, derived from their windows."""

    tables: Mapping[TableName, pa.Table]
    """Segments, utterances and slides."""
    num_events: Mapping[str, int]
    """By video id, before events are joined with those of other videos."""
    join: JoinFinished
    reach_s: float
    """How far from a video an event may be that is joined with an event of the video."""


Derive: TypeAlias = Callable[[Sequence[Mapping[str, Any]], pa.Table], Derived | None]
"""Rows of ``videos`` of one task and fingerprint, and their windows -> what they show.

None if the windows of these videos cannot be interpreted.
"""


def repair(store: Store, derive: Derive) -> list[Finding]:
    """Repair everything that ``check`` finds.

    Returns:
        The faults that were found and repaired.

    Raises:
        ConfigError: a run is working on the index.
        IndexFormatError: there is no index, or it has a newer version.
        IndexRightsError: this user may not read or write a part of it; nothing was changed.
    """
    if store.is_local:
        refuse_closed_index(store.root, to_write=True)
    repaired: list[Finding] = []
    repair_store = replace(store, is_for_repair=True)
    _refuse_during_a_run(repair_store)
    with _refusing_readers(store):
        for _ in range(_MAX_ROUNDS):
            stored = stored_files(repair_store)
            # Files first, because rows seem to be missing while a file cannot be read.
            findings = stored.findings or disagreements(repair_store, stored)
            if not findings:
                return repaired
            repaired += findings
            _repair_all(repair_store, findings, derive)
    raise AssertionError(f"cannot be repaired: {'; '.join(map(str, findings))}")


def _refuse_during_a_run(store: Store) -> None:
    """Refuse: the unfinished rows of a run look like damage, and a repair would break the run."""
    with suppress(IndexDamagedError):  # the table of runs cannot be read
        for run in list_runs(Index(store)).to_pylist():
            if run["state"] == "running":
                raise ConfigError(
                    f"index at {store.root}: run {run['run_id']} on {run['host']} (process "
                    f"{run['pid']}) is working on it; end that run, then repair"
                )


@contextmanager
def _refusing_readers(store: Store) -> Iterator[None]:
    """Refuse readers during the repair, and after it if it is killed: rows may be missing then."""
    remove_linked_damaged(store)
    filesystem = store.filesystem()
    marker = f"{store.root}/{REPAIRING}"
    filesystem.makedirs(f"{store.root}/{DAMAGED}", exist_ok=True)
    filesystem.pipe_file(marker, b"")
    yield
    filesystem.rm_file(marker)


def _repair_all(store: Store, findings: Sequence[Finding], derive: Derive) -> None:
    by_kind = {
        kind: list(group)
        for kind, group in groupby(sorted(findings, key=lambda f: f.kind), lambda f: f.kind)
    }
    damaged = f"{store.root}/{DAMAGED}/{datetime.now(tz=UTC):%Y%m%dT%H%M%S%f}"
    for finding in reversed(by_kind.get("log", [])):
        # The newest first: entries after a gap are never read.
        _move(store, finding.path, f"{damaged}/{finding.table}/_delta_log")
    for finding in by_kind.get("table", []):
        _move(store, store.table_uri(finding.table), damaged)
        store.create_table(finding.table)
    for name in {finding.table for finding in by_kind.get("file", [])}:
        for finding in by_kind["file"]:
            if finding.table == name:
                folder = finding.path.rpartition("/")[0]
                path = f"{store.table_uri(name)}/{finding.path}"
                _move(store, path, f"{damaged}/{name}/{folder}")
        with synced(store.handle(name)) as table:
            table.repair(dry_run=False)
    if any(lost.table == "events" for kind in ("file", "table") for lost in by_kind.get(kind, [])):
        _forget_zones(store)
    for finding in by_kind.get("doubled", []):
        _keep_one_row(store, finding)
    for finding in by_kind.get("orphaned", []):
        _remove_rows(store, finding.table, ID_COLUMN[finding.table], finding)
    for finding in by_kind.get("unanswered", []):
        _remove_rows(store, "windows", "shard_id", finding)
    _for_each_work(by_kind.get("unanswered", []), partial(_set_pending, store))
    _for_each_work(by_kind.get("underived", []), partial(_derive_again, store, derive))


def _forget_zones(store: Store) -> None:
    """Let the next run derive again what zones tell: nobody knows what of it was in lost events."""
    change(store, "videos", {"zones_id": "lost"}, "zones_id <> ''")


def _move(store: Store, path: str, folder: str) -> None:
    filesystem = store.filesystem()
    if os.path.lexists(path) if store.is_local else filesystem.exists(path):
        filesystem.makedirs(folder, exist_ok=True)
        filesystem.mv(path, f"{folder}/{path.rpartition('/')[2]}", recursive=True)


def _keep_one_row(store: Store, finding: Finding) -> None:
    """Remove all rows of an id except the newest one, or the one with most parts."""
    rows = _rows(store, finding.table, ID_COLUMN[finding.table], finding.ids, finding.work)
    best = max(rows, key=lambda row: (row.get("indexed_at"), len(row.get("parts", ())), str(row)))
    _replace(store, finding.table, ID_COLUMN[finding.table], rows, [best])


def _remove_rows(store: Store, name: TableName, column: str, finding: Finding) -> None:
    _replace(store, name, column, _rows(store, name, column, finding.ids, finding.work), [])


def _for_each_work(
    findings: Iterable[Finding], repair_videos: Callable[[list[str], Work], None]
) -> None:
    """Call ``repair_videos`` for each task and fingerprint, with a limited number of videos."""
    for work in sorted({finding.work for finding in findings}):
        video_ids = sorted({finding.video[0] for finding in findings if finding.work == work})
        for first in range(0, len(video_ids), _VIDEOS_AT_ONCE):
            repair_videos(video_ids[first : first + _VIDEOS_AT_ONCE], work)


def _set_pending(store: Store, video_ids: Sequence[str], work: Work) -> None:
    """Set the videos to pending; their windows stay, and the next run completes them."""
    if rows := _rows(store, "videos", "video_id", video_ids, work):
        change(store, "videos", {"status": "pending"}, _having_ids("video_id", rows))


def _derive_again(store: Store, derive: Derive, video_ids: Sequence[str], work: Work) -> None:
    index = Index(store)
    rows = _rows(store, "videos", "video_id", video_ids, work)
    windows = index.select_all("windows", _of_work(work).is_one_of("video_id", video_ids))
    if (derived := derive(rows, windows)) is None:
        _set_pending(store, video_ids, work)
        return
    reach, done = timedelta(seconds=derived.reach_s), set(video_ids)
    times = times_by_camera(rows)
    rejoin(index, work[0], times, reach, lambda existing: derived.join(existing, done, set()))
    counts = {"num_events": derived.num_events}
    for name, made in derived.tables.items():
        held = _rows(store, name, "video_id", video_ids, work)
        _replace(store, name, "video_id", [*held, *rows], made.to_pylist())
        counts[f"num_{name}"] = Counter(made["video_id"].to_pylist())
    counted = [
        row | {column: counted.get(row["video_id"], 0) for column, counted in counts.items()}
        for row in rows
    ]
    if counted != rows:
        _replace(store, "videos", "video_id", rows, counted)


def _of_work(work: Work) -> Where:
    return Where().add("task = ? AND fingerprint = ?", *work)


def _rows(store: Store, name: TableName, column: str, ids: Iterable[str], work: Work) -> list[Row]:
    rows: list[Row] = (
        Index(store).select_all(name, _of_work(work).is_one_of(column, ids)).to_pylist()
    )
    return rows


def _replace(
    store: Store, name: TableName, column: str, rows: Sequence[Row], others: Sequence[Row]
) -> None:
    """Replace rows of one task and fingerprint by ``others``, selected by the ids in a column."""
    if rows:
        table = pa.Table.from_pylist(list(others), schema=TABLES[name])
        replace_rows(store, name, table, _having_ids(column, [*rows, *others]))


def _having_ids(column: str, rows: Sequence[Row]) -> str:
    """Condition: rows of the same dates, task and fingerprint, with one of the ids."""
    return all_of(
        on_dates(row["date"] for row in rows),
        *(equal(name, rows[0][name]) for name in ("task", "fingerprint")),
        is_one_of(column, (row[column] for row in rows)),
    )
