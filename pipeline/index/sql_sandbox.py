"""SQL of a stranger: one SELECT, over the views, and nothing else within reach."""

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
    # No spilling: a file that this process writes is a file out of the query's reach, or is none.
    "temp_directory": "",
    "enable_external_access": "false",
    "lock_configuration": "true",  # the last one
}


def run(store: Store, query: str, look: SnapshotView, *, timeout_s: float = TIMEOUT_S) -> pa.Table:
    """The result of one SELECT in a database of its own.

    Only current data files may be opened, no setting changed, no extension loaded, no Python
    variable read. COPY could write over those very files; it is refused by its kind, and inside of
    a SELECT (WITH x AS (COPY ...)) because DuckDB allows that at the top alone, where none of the
    query is. Result, time and memory are bounded, the last two as far as DuckDB minds them: one
    call such as repeat('x', 4000000000) is beyond that, so whoever lets strangers ask should do
    it in a process that has limits of its own.

    Raises:
        ConfigError: the query is not one SELECT, has an error, reaches for something else, or
            takes more than it may.
        IndexDamagedError: a file that it reads is gone or cannot be read.
    """
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as exc:
        raise ConfigError(f"sql: {exc}") from exc
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise ConfigError("sql: must be exactly one SELECT")
    with duck.connect(store) as connection:
        allowed = look.files("videos")
        for name in store.tables():
            if name in query.lower():
                allowed += look.files(name)
                with duck.naming_damage(connection, allowed):
                    _create_view(connection, name, look.source(name))
        _lock(connection, allowed)
        alarm = threading.Timer(timeout_s, connection.interrupt)
        alarm.start()
        try:
            with duck.naming_damage(connection, allowed):
                return _fetch(connection, query)
        # What goes wrong after the first rows comes through pyarrow, as one of its errors.
        except (duckdb.Error, pa.ArrowException, OSError) as exc:
            if alarm.finished.is_set():
                raise ConfigError(
                    f"sql: not done after {timeout_s:g} s; ask for a shorter range of time"
                ) from exc
            raise ConfigError(f"sql: {exc}") from exc
        finally:
            alarm.cancel()


def _fetch(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    reader = connection.sql(f"FROM query({duck.quote(query)})").to_arrow_reader(_BATCH_ROWS)
    batches, num_bytes = [], 0
    for batch in reader:
        batches.append(batch)
        num_bytes += batch.nbytes
        if num_bytes > _MAX_RESULT_BYTES:
            raise ConfigError(
                f"sql: the result is larger than {_MAX_RESULT_BYTES >> 20} MiB; ask for fewer "
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
