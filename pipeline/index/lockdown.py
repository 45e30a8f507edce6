"""SQL of a stranger: one SELECT, over the views, and nothing else within reach."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Callable

import duckdb
import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.index import duck
from pipeline.index.filters import ALL, ALWAYS, Cameras, Span
from pipeline.index.store import Store
from pipeline.schema import TABLES, TableName

Files = Callable[[TableName, Span, Cameras], list[str]]
Source = Callable[[TableName, Span, Cameras], str]


def run(store: Store, query: str, files: Files, source: Source) -> pa.Table:
    """The result of one SELECT in a database of its own.

    Only current data files may be opened, no setting changed, no extension loaded, no Python
    variable read. A SELECT cannot write; COPY could, over those very files, so it is refused by
    its kind.

    Raises:
        ConfigError: the query is not one SELECT, has an error, or reaches for something else.
    """
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as exc:
        raise ConfigError(f"sql: {exc}") from exc
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise ConfigError("sql: must be exactly one SELECT")
    with duck.connect(store) as connection:
        allowed = []
        for name in TABLES:
            if name in query.lower():
                _create_view(connection, name, source(name, ALWAYS, ALL))
                allowed += files(name, ALWAYS, ALL)
                if name == "windows":
                    allowed += files("videos", ALWAYS, ALL)
        _lock(connection, allowed)
        try:
            return duck.fetch(connection, query)
        except duckdb.Error as exc:
            raise ConfigError(f"sql: {exc}") from exc


def _create_view(connection: duckdb.DuckDBPyConnection, name: TableName, source: str) -> None:
    connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {source}")


def _lock(connection: duckdb.DuckDBPyConnection, allowed: list[str]) -> None:
    listed = {form for path in allowed for form in (path, duck.pattern(path))}
    connection.execute(f"SET allowed_paths = [{', '.join(map(duck.quote, sorted(listed)))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
