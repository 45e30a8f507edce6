"""Runs the SQL of an untrusted user: one SELECT over the views, in a child process."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from pipeline.errors import ConfigError, TimereelError
from pipeline.index import duck
from pipeline.index.snapshot_view import SnapshotView
from pipeline.index.store import Store
from pipeline.index.tracks import tracks
from pipeline.processes.crash_isolation import ProcessDiedError, in_child_process
from pipeline.processes.memory_limit import memory_limit
from pipeline.processes.watchdog import watchdog
from pipeline.tables.schema import TABLES, ReadTable

TIMEOUT_S = 60.0
_MAX_RESULT_BYTES = 2**29
_MAX_MEMORY_BYTES = 2**31
"""Memory that the child may use beyond what it starts with."""
# In a parsed query: what shows settings and the texts of views, in which absolute paths stand, and
# functions that run a text, in which such a name could hide.
_TELLS_OF_MACHINE = re.compile(
    r'"function_name":"(current_setting|query|query_table|json_execute_serialized_sql|pg_get_\w*'
    r'|(?:duckdb|pragma)_\w*)"|"table_name":"((?:duckdb|pragma|sqlite|pg)_\w*)"'
    r'|"schema_name":"(information_schema|pg_catalog)"',
    re.IGNORECASE,
)
_GRACE_S = 2.0
"""A call of one DuckDB function notices the interrupt only at its end; then the kernel ends it."""
_BATCH_ROWS = 100_000
_LIMITS = {
    "memory_limit": "800 MiB",
    # No spilling to disk: the query must not cause the process to write any file.
    "temp_directory": "",
    "enable_external_access": "false",
    "lock_configuration": "true",  # must be set last
}


@dataclass(frozen=True, slots=True)
class _Bounds:
    timeout_s: float
    max_result_bytes: int


def run(store: Store, query: str, view: SnapshotView, *, timeout_s: float = TIMEOUT_S) -> pa.Table:
    """The result of one SELECT, which a child process runs in a database of its own.

    The query can open only current data files, and does not learn where they lie. It can change no
    setting, load no extension and read no Python variable. COPY could overwrite those files: as a
    statement it is refused, since it is not a SELECT. Inside a SELECT (``WITH x AS (COPY ...)``)
    DuckDB refuses it, since it allows COPY only at the top level, and the query always runs below
    that. The kernel limits time and memory of the child, also inside one function call such as
    ``repeat('x', 4000000000)``.

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
    _refuse_what_tells_of_machine(query)
    views, files = _views(store, query.lower(), view)
    allowed = [*view.files("videos"), *files]
    batches: list[pa.RecordBatch] = []
    schema: pa.Schema | None = None
    bounds = _Bounds(timeout_s, _MAX_RESULT_BYTES)
    try:
        # Closed here: an error that it passed on would keep it, and with it the process, for long.
        with closing(in_child_process(_answers, store, query, allowed, views, bounds)) as child:
            for item in child:
                match item:
                    case pa.Schema():
                        schema = item
                    case pa.RecordBatch():
                        batches.append(item)
                    case Exception():
                        raise item
    except ProcessDiedError as exc:
        raise ConfigError(
            f"sql: needs more than {timeout_s:g} s or {_MAX_MEMORY_BYTES >> 30} GiB of memory; "
            "query less at a time"
        ) from exc
    return pa.Table.from_batches(batches, schema)


def _views(store: Store, query: str, view: SnapshotView) -> tuple[dict[ReadTable, str], list[str]]:
    """A SELECT for each table that the query may name, and the files of these."""
    views: dict[ReadTable, str] = {}
    files: list[str] = []
    for name in store.tables():
        if name in query:
            files += view.files(name)
            columns = duck.identifiers(TABLES[name].names)
            views[name] = f"SELECT {columns} FROM {view.source(name)}"
    if "tracks" in query:
        files += view.files("events")
        views["tracks"] = f"FROM {tracks(view.source('events'), view.source('events'))}"
    return views, files


def _refuse_what_tells_of_machine(query: str) -> None:
    with duckdb.connect(":memory:") as parser:
        [(tree,)] = parser.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
    if tree.startswith('{"error":true'):
        raise ConfigError(f"sql: cannot be checked: {tree}")
    # A quote inside of a text is escaped in JSON, so no text can look like a key.
    if match := _TELLS_OF_MACHINE.search(tree):
        name = match[match.lastindex or 0]
        raise ConfigError(f"sql: {name} could show settings of this machine; ask the tables")


def _answers(
    store: Store,
    query: str,
    allowed: Sequence[str],
    views: Mapping[ReadTable, str],
    bounds: _Bounds,
) -> Iterator[pa.Schema | pa.RecordBatch | Exception]:
    """In the child: the schema, then batches of rows; an error ends them."""
    try:
        with (
            memory_limit(_MAX_MEMORY_BYTES),
            watchdog(bounds.timeout_s + _GRACE_S),
            duck.connect(store) as connection,
        ):
            for name, select in views.items():
                with duck.naming_damage(connection, allowed):
                    connection.execute(f"CREATE VIEW {name} AS {select}")
            _lock(connection, allowed)
            yield from _rows(connection, query, allowed, bounds)
    except TimereelError as exc:
        yield exc
    except (duckdb.OutOfMemoryException, MemoryError):
        # DuckDB's own advice is to change settings, which are locked.
        yield ConfigError(
            f"sql: needs more than {_LIMITS['memory_limit']} of memory; query less at a time"
        )
    except (duckdb.Error, pa.ArrowException, OSError) as exc:
        yield ConfigError(f"sql: {exc}")


def _rows(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    allowed: Sequence[str],
    bounds: _Bounds,
) -> Iterator[pa.Schema | pa.RecordBatch]:
    timer = threading.Timer(bounds.timeout_s, connection.interrupt)
    timer.start()
    try:
        with duck.naming_damage(connection, allowed):
            reader = connection.sql(f"FROM query({duck.quote(query)})").to_arrow_reader(_BATCH_ROWS)
            yield reader.schema
            num_bytes = 0
            for batch in reader:
                num_bytes += batch.nbytes
                if num_bytes > bounds.max_result_bytes:
                    raise ConfigError(
                        f"sql: the result is larger than {bounds.max_result_bytes >> 20} MiB; ask"
                        " for fewer columns or rows, or read the files themselves"
                    )
                yield batch
    # What goes wrong after the first rows comes through pyarrow, as one of its errors.
    except (duckdb.Error, pa.ArrowException, OSError) as exc:
        if timer.finished.is_set():
            raise ConfigError(
                f"sql: not finished after {bounds.timeout_s:g} s; query a shorter range of time"
            ) from exc
        raise
    finally:
        timer.cancel()


def _lock(connection: duckdb.DuckDBPyConnection, allowed: Sequence[str]) -> None:
    listed = {form for path in allowed for form in (path, duck.pattern(path))}
    connection.execute(f"SET allowed_paths = [{', '.join(map(duck.quote, sorted(listed)))}]")
    for name, value in _LIMITS.items():
        connection.execute(f"SET {name} = {duck.quote(value)}")
