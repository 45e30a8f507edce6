"""Runs the SQL of an untrusted user: one SELECT over the views, without access to anything else."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

import threading

import duckdb
import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.index import duck
from pipeline.index.snapshot_view import SnapshotView
from pipeline.index.store import Store
from pipeline.tables.schema import TABLES, TableName

TIMEOUT_S = 60.0
_MAX_RESULT_BYTES = 2**30
_BATCH_ROWS = 100_000
_LIMITS = {
    "memory_limit": "2GiB",
    # No spilling to disk: the query must not cause this process to write any file.
    "temp_directory": "",
    "enable_external_access": "false",
    "lock_configuration": "true",  # must be set last
}


def run(store: Store, query: str, view: SnapshotView, *, timeout_s: float = TIMEOUT_S) -> pa.Table:
    """The result of one SELECT in a separate database.

    The query can open only current data files. It can change no setting, load no extension and
    read no Python variable. COPY could overwrite those files: as a statement it is refused, since
    it is not a SELECT. Inside a SELECT (``WITH x AS (COPY ...)``) DuckDB refuses it, since it
    allows COPY only at the top level, and the query always runs below that. Result size, time and
    memory are limited, the last two only as far as DuckDB checks them: one call such as
    ``repeat('x', 4000000000)`` exceeds them. So a service for untrusted users should run queries in
    a process with limits of the operating system.

    Raises:
        ConfigError: the query is not one SELECT, has an error, accesses anything else, or exceeds a
            limit.
        IndexDamagedError: a file that the query reads is missing or cannot be read.
    """
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as exc:
        raise ConfigError(f"sql: {exc}") from exc
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise ConfigError("sql: must be exactly one SELECT")
    with duck.connect(store) as connection:
        allowed = view.files("videos")
        for name in store.tables():
            if name in query.lower():
                allowed += view.files(name)
                with duck.naming_damage(connection, allowed):
                    _create_view(connection, name, view.source(name))
        _lock(connection, allowed)
        timer = threading.Timer(timeout_s, connection.interrupt)
        timer.start()
        try:
            with duck.naming_damage(connection, allowed):
                return _fetch(connection, query)
        # An error after the first rows arrives through pyarrow, as one of its exceptions.
        except (duckdb.Error, pa.ArrowException, OSError) as exc:
            if timer.finished.is_set():
                raise ConfigError(
                    f"sql: not finished after {timeout_s:g} s; query a shorter range of time"
                ) from exc
            raise ConfigError(f"sql: {exc}") from exc
        finally:
            timer.cancel()


def _fetch(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    reader = connection.sql(f"FROM query({duck.quote(query)})").to_arrow_reader(_BATCH_ROWS)
    batches, num_bytes = [], 0
    for batch in reader:
        batches.append(batch)
        num_bytes += batch.nbytes
        if num_bytes > _MAX_RESULT_BYTES:
            raise ConfigError(
                f"sql: the result is larger than {_MAX_RESULT_BYTES >> 20} MiB; select fewer "
                "columns or rows, or read the files themselves"
            )
    return pa.Table.from_batches(batches, reader.schema)


def _create_view(connection: duckdb.DuckDBPyConnection, name: TableName, source: str) -> None:
    columns = duck.identifiers(TABLES[name].names)
    connection.execute(f"CREATE VIEW {name} AS SELECT {columns} FROM {source}")


def _lock(connection: duckdb.DuckDBPyConnection, allowed: list[str]) -> None:
    listed = {form for path in allowed for form in (path, duck.pattern(path))}
    connection.execute(f"SET allowed_paths = [{', '.join(map(duck.quote, sorted(listed)))}]")
    for name, value in _LIMITS.items():
        connection.execute(f"SET {name} = {duck.quote(value)}")
