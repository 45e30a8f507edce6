"""``timereel check --repair``: an index is made whole again out of what can still be read.

What cannot be read is set aside in ``_damaged``, below the index; ``erase`` removes that folder, as
nobody can tell what is in it. Events and segments are derived from windows again. Where windows are
lost, the video becomes pending, and the next run asks what is missing. Killed at any point, the
index refuses to be read until the same call has ended; doing it twice changes nothing more.
"""

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
from pipeline.index.commit import JoinFinished, times_by_camera
from pipeline.index.durable_commits import synced
from pipeline.index.filters import Where
from pipeline.index.findings import Finding
from pipeline.index.query import Index
from pipeline.index.rejoin import rejoin
from pipeline.index.replace import among, both, change, equal, on_dates
from pipeline.index.replace import replace as replace_rows
from pipeline.index.runs import list_runs
from pipeline.index.store import DAMAGED, REPAIRING, Store
from pipeline.index.validate import ID_COLUMN
from pipeline.tables.schema import TABLES, TableName

_VIDEOS_AT_ONCE = 200
# What is mended in one round shows what is wrong beneath: first logs, then files, then rows that
# are doubled or orphaned, then what they came from.
_MAX_ROUNDS = 10

Row: TypeAlias = dict[str, Any]
Work: TypeAlias = tuple[str, str]
"""Task and fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """What some videos of one task and fingerprint show, made of their windows."""

    segments: pa.Table
    num_events: Mapping[str, int]
    """Of each video alone, by its id."""
    num_segments: Mapping[str, int]
    join: JoinFinished
    reach_s: float
    """How far from a video an event may be that is joined with one of it."""


Derive: TypeAlias = Callable[[Sequence[Mapping[str, Any]], pa.Table], Derived | None]
"""Rows of ``videos`` of one task and fingerprint, their windows -> None where it cannot be told."""


def repair(store: Store, derive: Derive) -> list[Finding]:
    """Mend all that ``check`` finds.

    Returns:
        What was found, and is so no more.

    Raises:
        ConfigError: a run is at work on the index.
        IndexFormatError: there is no index, or it is of a newer version.
    """
    mended: list[Finding] = []
    mending = replace(store, is_mending=True)
    _refuse_beside_a_run(mending)
    with _refusing_readers(store):
        for _ in range(_MAX_ROUNDS):
            stored = stored_files(mending)
            # The files first: what cannot be read would be missed by the rows of others.
            found = stored.findings or disagreements(mending, stored.paths)
            if not found:
                return mended
            mended += found
            _mend(mending, found, derive)
    raise AssertionError(f"cannot be mended: {'; '.join(map(str, found))}")


def _refuse_beside_a_run(store: Store) -> None:
    """What it commits would be taken for damage, and the repair for damage by it."""
    with suppress(IndexDamagedError):  # then nobody can tell
        for run in list_runs(Index(store)).to_pylist():
            if run["state"] == "running":
                raise ConfigError(
                    f"index at {store.root}: run {run['run_id']} on {run['host']} (process "
                    f"{run['pid']}) is at work on it; end it, then repair"
                )


@contextmanager
def _refusing_readers(store: Store) -> Iterator[None]:
    """Half mended, an index would read as one with fewer rows; so it stays if this is killed."""
    filesystem = store.filesystem()
    mark = f"{store.root}/{REPAIRING}"
    filesystem.makedirs(f"{store.root}/{DAMAGED}", exist_ok=True)
    filesystem.pipe_file(mark, b"")
    yield
    filesystem.rm_file(mark)


def _mend(store: Store, found: Sequence[Finding], derive: Derive) -> None:
    of_kind = {
        kind: list(alike)
        for kind, alike in groupby(sorted(found, key=lambda one: one.kind), lambda one: one.kind)
    }
    aside = f"{store.root}/{DAMAGED}/{datetime.now(tz=UTC):%Y%m%dT%H%M%S%f}"
    for finding in reversed(of_kind.get("log", [])):
        # From the newest on: what comes after a gap is never read.
        _set_aside(store, finding.path, f"{aside}/{finding.table}/_delta_log")
    for finding in of_kind.get("table", []):
        _set_aside(store, store.table_uri(finding.table), aside)
        store.create_table(finding.table)
    for name in {finding.table for finding in of_kind.get("file", [])}:
        for finding in of_kind["file"]:
            if finding.table == name:
                folder = finding.path.rpartition("/")[0]
                path = f"{store.table_uri(name)}/{finding.path}"
                _set_aside(store, path, f"{aside}/{name}/{folder}")
        with synced(store.handle(name)) as table:
            table.repair(dry_run=False)
    for finding in of_kind.get("doubled", []):
        _keep_one(store, finding)
    for finding in of_kind.get("orphaned", []):
        _drop(store, finding.table, ID_COLUMN[finding.table], finding)
    for finding in of_kind.get("unanswered", []):
        _drop(store, "windows", "shard_id", finding)
    _each_work(of_kind.get("unanswered", []), partial(_ask_again, store))
    _each_work(of_kind.get("underived", []), partial(_derive_again, store, derive))


def _set_aside(store: Store, path: str, folder: str) -> None:
    filesystem = store.filesystem()
    if filesystem.exists(path):
        filesystem.makedirs(folder, exist_ok=True)
        filesystem.mv(path, f"{folder}/{path.rpartition('/')[2]}", recursive=True)


def _keep_one(store: Store, finding: Finding) -> None:
    """The newest, or the one that has most to tell."""
    rows = _rows(store, finding.table, ID_COLUMN[finding.table], finding.ids, finding.work)
    best = max(rows, key=lambda row: (row.get("indexed_at"), len(row.get("parts", ())), str(row)))
    _replace(store, finding.table, ID_COLUMN[finding.table], rows, [best])


def _drop(store: Store, name: TableName, column: str, finding: Finding) -> None:
    _replace(store, name, column, _rows(store, name, column, finding.ids, finding.work), [])


def _each_work(findings: Iterable[Finding], mend: Callable[[list[str], Work], None]) -> None:
    """Videos of one task and fingerprint together, not too many at once."""
    for work in sorted({finding.work for finding in findings}):
        video_ids = sorted({one.video[0] for one in findings if one.work == work})
        for first in range(0, len(video_ids), _VIDEOS_AT_ONCE):
            mend(video_ids[first : first + _VIDEOS_AT_ONCE], work)


def _ask_again(store: Store, video_ids: Sequence[str], work: Work) -> None:
    """Answers that are there stay; the next run makes the videos whole again."""
    if rows := _rows(store, "videos", "video_id", video_ids, work):
        change(store, "videos", {"status": "pending"}, _these("video_id", rows))


def _derive_again(store: Store, derive: Derive, video_ids: Sequence[str], work: Work) -> None:
    index = Index(store)
    rows = _rows(store, "videos", "video_id", video_ids, work)
    windows = index.every("windows", _of_work(work).among("video_id", video_ids))
    if (derived := derive(rows, windows)) is None:
        _ask_again(store, video_ids, work)
        return
    videos = pa.Table.from_pylist(rows, schema=TABLES["videos"])
    reach, done = timedelta(seconds=derived.reach_s), set(video_ids)
    near = times_by_camera(videos)
    rejoin(store, work[0], near, reach, lambda held: derived.join(held, done, set()))
    held = _rows(store, "segments", "video_id", video_ids, work)
    _replace(store, "segments", "video_id", [*held, *rows], derived.segments.to_pylist())
    counted = [
        row
        | {
            "num_events": derived.num_events.get(row["video_id"], 0),
            "num_segments": derived.num_segments.get(row["video_id"], 0),
        }
        for row in rows
    ]
    if counted != rows:
        _replace(store, "videos", "video_id", rows, counted)


def _of_work(work: Work) -> Where:
    return Where().add("task = ? AND fingerprint = ?", *work)


def _rows(store: Store, name: TableName, column: str, ids: Iterable[str], work: Work) -> list[Row]:
    found = Index(store).every(name, _of_work(work).among(column, ids))
    rows: list[Row] = found.to_pylist()
    return rows


def _replace(
    store: Store, name: TableName, column: str, rows: Sequence[Row], others: Sequence[Row]
) -> None:
    """Put ``others`` in place of rows of one task and fingerprint, by the ids of a column."""
    if rows:
        table = pa.Table.from_pylist(list(others), schema=TABLES[name])
        replace_rows(store, name, table, _these(column, [*rows, *others]))


def _these(column: str, rows: Sequence[Row]) -> str:
    """Condition: rows of the same dates, task and fingerprint with one of the ids."""
    return both(
        on_dates(row["date"] for row in rows),
        *(equal(same, rows[0][same]) for same in ("task", "fingerprint")),
        among(column, (row[column] for row in rows)),
    )
