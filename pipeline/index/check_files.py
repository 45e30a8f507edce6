"""Checks that an index can be read: its transaction logs, its tables, every value of its files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake.exceptions import DeltaError

from pipeline.errors import IndexDamagedError
from pipeline.index import duck
from pipeline.index.data_files import named_files
from pipeline.index.findings import Finding
from pipeline.index.links import LOG_FOLDER, ODD_FILE, odd_files
from pipeline.index.log_entries import LogFile, last_readable_version, log_files
from pipeline.index.store import Store
from pipeline.index.store_errors import refuse_closed
from pipeline.index.stored_rows import oddity
from pipeline.tables.schema import TABLES, TableName

_BATCH_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Stored:
    """The faults of the files of an index, and the data files that can be read."""

    findings: tuple[Finding, ...]
    paths: Mapping[TableName, list[str]]
    """By table, of its last complete version; a table that cannot be read has none."""
    mixed: frozenset[TableName]
    """Tables with a file that lacks a declared column, or has it with another type."""


def check_files(store: Store) -> Stored:
    """Read every file of an index once."""
    findings: list[Finding] = []
    paths: dict[TableName, list[str]] = {}
    mixed: set[TableName] = set()
    with duck.connect(store) as connection:
        for name in TABLES:
            paths[name] = []
            if store.is_local and (links := odd_files(Path(store.table_uri(name)))):
                findings += [_link(store, name, link) for link in links]
                continue  # once they are gone, the table is read
            files = log_files(store.filesystem(), f"{store.table_uri(name)}/{LOG_FOLDER}")
            version, actions = _readable(store, name, files)
            if version < 0:
                if files or store.had(name):  # else the index is older than this table
                    findings.append(
                        _no_table(
                            name,
                            "its log cannot be read from the start"
                            if files
                            else "the table is gone",
                        )
                    )
                continue
            findings += _torn_log(name, files, version)
            declared = _types(connection.sql(f"FROM {duck.scan(store, name, [])}"))
            for file in actions:
                path = f"{store.table_uri(name)}/{file['path']}"
                try:
                    rows = connection.sql(f"FROM {duck.scan(store, name, [path])}")
                    if not declared.items() <= _types(rows).items():
                        mixed.add(name)
                        source = duck.scan(store, name, [path], is_mixed=True)
                        rows = connection.sql(f"FROM {source}")
                    problem = _problem(name, rows, file["num_records"])
                except (duckdb.Error, pa.ArrowException, OSError) as exc:
                    refuse_closed(path, exc)
                    problem = f"cannot be read ({duck.first_line(exc)})"
                if problem:
                    findings.append(_unreadable(name, file, problem))
                else:
                    paths[name].append(path)
    return Stored(tuple(findings), paths, frozenset(mixed))


def _readable(
    store: Store, name: TableName, files: Sequence[LogFile]
) -> tuple[int, list[dict[str, Any]]]:
    """The newest version that can be read, and its data files; -1 if none can.

    The table library may refuse an entry in which nothing else is wrong to see.
    """
    version = last_readable_version(files)
    while version >= 0:
        try:
            return version, named_files(store.table_at(name, version)).to_pylist()
        except (DeltaError, IndexDamagedError):
            version -= 1
    return -1, []


def _link(store: Store, name: TableName, link: str) -> Finding:
    return Finding(
        kind="log",
        table=name,
        what=f"{link} {ODD_FILE}",
        what_is_lost="what it leads to is no part of the index",
        repair="the link is moved to _damaged",
        path=f"{store.root}/{link}",
    )


def _no_table(name: TableName, what: str) -> Finding:
    return Finding(
        kind="table",
        table=name,
        what=what,
        what_is_lost=f"all {name} are lost",
        repair=f"a new table without rows is made; {_remedy(name)}",
    )


_REMEDIES: dict[str, str] = {
    "videos": "the next run asks the engine only about footage without windows",
    "windows": "the next run asks the engine about all of that footage again",
    "events": "events are derived from windows again",
    "segments": "segments are derived from windows again",
    "utterances": "utterances are derived from windows again",
    "slides": "slides are derived from windows again",
    "vectors": "timereel embed makes them again",
    "summaries": "the next run or timereel summarize writes them again",
    "evidence": "the pictures of that time can be made from the recordings on demand",
    "erasures": "the orders to erase that were in it must be given again",
}


def _remedy(name: TableName) -> str:
    return _REMEDIES.get(name, "its rows cannot be restored")


def _torn_log(name: TableName, files: list[LogFile], version: int) -> Iterator[Finding]:
    """Log files that are damaged, and later ones that cannot be read because of those."""
    for file in files:
        is_later = file.version > version
        if not (file.problem or is_later):
            continue
        if file.is_checkpoint:
            lost = "nothing is lost, as the log entries exist"
        elif not is_later:
            lost = "nothing is lost, as a checkpoint includes it"
        else:
            lost = "the changes of that commit are lost"
        problem = file.problem or "comes after a damaged one, or is refused by the table library"
        yield Finding(
            kind="log",
            table=name,
            what=f"{'checkpoint' if file.is_checkpoint else 'log entry'} {file.version} {problem}",
            what_is_lost=lost,
            repair=f"it is moved to _damaged; the table is read as version {version}",
            path=file.path,
        )


def _types(rows: duckdb.DuckDBPyRelation) -> dict[str, str]:
    return dict(zip(rows.columns, map(str, rows.types), strict=True))


def _problem(name: TableName, rows: duckdb.DuckDBPyRelation, num_rows: int | None) -> str:
    """Read every value of a file, whose log says how many rows it holds; "" if nothing is wrong."""
    num_read = 0
    for batch in rows.to_arrow_reader(_BATCH_ROWS):
        num_read += batch.num_rows
        declared = pa.Table.from_batches([batch]).select(TABLES[name].names)
        if problem := oddity(name, declared):
            return f"holds rows that are no rows of timereel ({problem})"
    if num_rows is not None and num_read != num_rows:
        return f"holds {num_read} of {num_rows} rows"
    return ""


def _unreadable(name: TableName, file: Mapping[str, Any], problem: str) -> Finding:
    first, last = file.get("min.camera"), file.get("max.camera")
    cameras = f" of {first}" if first == last else f" of cameras {first} to {last}"
    times = f"{_iso(file.get('min.start'))} to {_iso(file.get('max.end'))}"
    return Finding(
        kind="file",
        table=name,
        what=f"{file['path']} {problem}",
        what_is_lost=f"{file['num_records']} rows{cameras if first else ''}, {times}, are lost",
        repair=f"it is moved to _damaged and removed from the table; {_remedy(name)}",
        path=file["path"],
    )


def _iso(at: Any) -> str:  # noqa: ANN401 - a datetime of the log, if it has one
    return "an unknown time" if at is None else f"{at.isoformat().replace('+00:00', 'Z')}"
