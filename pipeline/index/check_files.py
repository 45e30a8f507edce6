"""What of an index is stored and can be read: its logs, its tables, every value of its files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipeline.index import duck
from pipeline.index.findings import Finding
from pipeline.index.log_entries import LogFile, last_whole, log_files
from pipeline.index.store import Store
from pipeline.tables.schema import TABLES, TableName


@dataclass(frozen=True, slots=True)
class Stored:
    """What is wrong with the files of an index, and the data files that can be read."""

    findings: tuple[Finding, ...]
    paths: Mapping[TableName, list[str]]
    """Of each table as of its last whole version; a table that cannot be read has none."""


def check_files(store: Store) -> Stored:
    """Read all of an index once."""
    findings: list[Finding] = []
    paths: dict[TableName, list[str]] = {}
    with duck.connect(store) as connection:
        for name in TABLES:
            files = log_files(store.filesystem(), f"{store.table_uri(name)}/_delta_log")
            paths[name] = []
            if (version := last_whole(files)) < 0:
                findings += _lost_table(store, name, files)
                continue
            findings += _torn_log(name, files, version)
            try:
                table = DeltaTable(
                    store.table_uri(name),
                    version=version,
                    storage_options=dict(store.storage_options),
                )
            except DeltaError:
                if not any(file.problem for file in files):
                    raise
                continue  # the library stumbles over the log; its files are next, once it is mended
            for file in pa.table(table.get_add_actions(flatten=True)).to_pylist():
                path = f"{store.table_uri(name)}/{file['path']}"
                if problem := _problem(connection, path, file["num_records"]):
                    findings.append(_unreadable(name, file, problem))
                else:
                    paths[name].append(path)
    return Stored(tuple(findings), paths)


def _lost_table(store: Store, name: TableName, files: list[LogFile]) -> Iterator[Finding]:
    if not files and not store.had(name):
        return  # an index that is older than this table
    yield Finding(
        kind="table",
        table=name,
        what="its log cannot be read from the start" if files else "the table is gone",
        what_is_lost=f"all {name} are lost",
        repair=f"it is made anew, without rows; {_way_back(name)}",
    )


_WAYS_BACK: dict[str, str] = {
    "videos": "the next index asks only what windows do not answer",
    "windows": "the next index asks all of it again",
    "events": "events are derived from windows again",
    "segments": "segments are derived from windows again",
    "vectors": "timereel embed makes them again",
    "summaries": "the next index or timereel summarize tells them again",
    "erasures": "the orders to erase that were in it must be given again",
}


def _way_back(name: TableName) -> str:
    return _WAYS_BACK.get(name, "what it told is no longer known")


def _torn_log(name: TableName, files: list[LogFile], version: int) -> Iterator[Finding]:
    """Files of the log that are not whole, and those that nobody can read because of them."""
    for file in files:
        is_later = file.version > version
        if not (file.problem or is_later):
            continue
        if file.is_checkpoint:
            lost = "nothing is lost, the entries are there"
        elif not is_later:
            lost = "nothing is lost, a checkpoint stands for it"
        else:
            lost = "what that commit wrote or removed is lost"
        problem = file.problem or "comes after one that is not whole"
        yield Finding(
            kind="log",
            table=name,
            what=f"{'checkpoint' if file.is_checkpoint else 'log entry'} {file.version} {problem}",
            what_is_lost=lost,
            repair=f"it is set aside; the table reads as its version {version}",
            path=file.path,
        )


def _problem(connection: duckdb.DuckDBPyConnection, path: str, num_rows: int | None) -> str:
    try:
        found = duck.num_readable_rows(connection, path)
    except duckdb.Error as exc:
        return f"cannot be read ({duck.first_line(exc)})"
    if num_rows is not None and found != num_rows:
        return f"holds {found} of {num_rows} rows"
    return ""


def _unreadable(name: TableName, file: Mapping[str, Any], problem: str) -> Finding:
    first, last = file.get("min.camera"), file.get("max.camera")
    cameras = f" of {first}" if first == last else f" of cameras {first} to {last}"
    times = f"{_told(file.get('min.start'))} to {_told(file.get('max.end'))}"
    return Finding(
        kind="file",
        table=name,
        what=f"{file['path']} {problem}",
        what_is_lost=f"{file['num_records']} rows{cameras if first else ''}, {times}, are lost",
        repair=f"it is set aside and taken out of the table; {_way_back(name)}",
        path=file["path"],
    )


def _told(at: Any) -> str:  # noqa: ANN401 - a datetime of the log, if it has one
    return "no known time" if at is None else f"{at.isoformat().replace('+00:00', 'Z')}"
