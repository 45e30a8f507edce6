"""DuckDB reads the data files: connections, and tables as exact lists of files."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from pipeline.errors import IndexDamagedError
from pipeline.index.filters import Where
from pipeline.index.store import Store
from pipeline.index.store_errors import refuse_closed
from pipeline.tables.schema import TABLES, TableName

_TYPES = {
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
    pa.string(): "VARCHAR",
    pa.float64(): "DOUBLE",
    pa.float32(): "FLOAT",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.binary(): "BLOB",
    pa.bool_(): "BOOLEAN",
}
_SETTINGS = {
    "TimeZone": "UTC",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "parquet_metadata_cache": "true",
    "enable_progress_bar": "false",  # otherwise python -c prints it to stdout
}

_FILES = re.compile(r"'((?:[^']|'')*\.parquet)'")

# Errors in the query or of the machine, not in a file.
_QUERY_ERRORS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.InterruptException,
    duckdb.NotSupportedError,
    duckdb.OutOfMemoryException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
    duckdb.PermissionException,
)

# Data files do not store the date; only their path has it, and the last folder of that.
_WITH_DATE = (
    "CAST(regexp_extract(filename, '.*/date=([0-9-]+)/', 1) AS DATE) AS date, * EXCLUDE (filename)"
)


def connect(store: Store) -> duckdb.DuckDBPyConnection:
    """A database in memory that can read the files of the index and downloads no extension."""
    connection = duckdb.connect(":memory:")
    for name, value in _SETTINGS.items():
        connection.execute(f"SET {name} = {quote(value)}")
    if not store.is_local:
        connection.register_filesystem(store.filesystem())
    return connection


def quote(text: str) -> str:
    """The text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifiers(columns: Iterable[str], prefix: str = "") -> str:
    """Column names for a SELECT; ``end`` is a keyword, so all are quoted."""
    return ", ".join(f'{prefix}"{column}"' for column in columns)


def scan(store: Store, name: TableName, paths: Sequence[str], *, is_mixed: bool = False) -> str:
    """A table for a FROM clause, from exactly these files, with at least its declared columns.

    With ``is_mixed`` some files may lack columns that were added later; these are null.
    """
    if not paths:
        return _without_rows(TABLES[name])
    files = ", ".join(quote(pattern(path)) for path in paths)
    if is_mixed:
        return (
            f"(SELECT {_WITH_DATE} FROM read_parquet([{files}], union_by_name = true, "
            "hive_partitioning = false, filename = true) "
            f"UNION ALL BY NAME FROM {_without_rows(TABLES[name])})"
        )
    if "=" in store.root:  # DuckDB would read that folder as a partition column
        return (
            f"(SELECT {_WITH_DATE} FROM "
            f"read_parquet([{files}], hive_partitioning = false, filename = true))"
        )
    # Without a SELECT: to bind every column twice takes a tenth of the time of a small query.
    return f"read_parquet([{files}], hive_partitioning = true, hive_types = {{'date': 'DATE'}})"


def _without_rows(schema: pa.Schema) -> str:
    # Not a registered Arrow table: for that DuckDB imports pandas, a third of a query's time.
    columns = (f'NULL::{_type(field.type)} AS "{field.name}"' for field in schema)
    return f"(SELECT {', '.join(columns)} WHERE false)"


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_type(kind.value_type)}[]"
    if pa.types.is_map(kind):
        return f"MAP({_type(kind.key_type)}, {_type(kind.item_type)})"
    if pa.types.is_struct(kind):
        fields = (f'"{field.name}" {_type(field.type)}' for field in kind)
        return f"STRUCT({', '.join(fields)})"
    return _TYPES[kind]


def pattern(path: str) -> str:
    """The glob that matches exactly this path, because DuckDB reads every path as a glob."""
    return path.replace("*", "[*]").replace("?", "[?]")


def fetch(connection: duckdb.DuckDBPyConnection, sql: str, where: Where | None = None) -> pa.Table:
    """The rows of a query, as Arrow.

    Raises:
        IndexDamagedError: a file that the query reads is missing or cannot be read.
    """
    with naming_damage(connection, files_in(sql)):
        return connection.sql(sql, params=where.values if where else None).to_arrow_table()


def files_in(sql: str) -> Iterator[str]:
    """The files that a query reads, from the text that ``scan`` wrote."""
    for quoted in _FILES.findall(sql):
        yield quoted.replace("''", "'").replace("[*]", "*").replace("[?]", "?")


def num_readable_rows(connection: duckdb.DuckDBPyConnection, path: str) -> int:
    """Read every value of a Parquet file, and return its number of rows.

    Raises:
        duckdb.Error: the file is missing, or a part of it cannot be read.
        IndexRightsError: this user may not read it.
    """
    file = f"read_parquet({quote(pattern(path))}, hive_partitioning = false)"
    sql = f"SELECT count(*), bit_xor(hash(file)) FROM {file} AS file"
    try:
        [(num_rows, _)] = connection.execute(sql).fetchall()
    except duckdb.Error as exc:
        refuse_closed(path, exc)
        raise
    return int(num_rows)


@contextmanager
def naming_damage(connection: duckdb.DuckDBPyConnection, paths: Iterable[str]) -> Iterator[None]:
    """If an error occurs and one of the files cannot be read, raise IndexDamagedError instead."""
    try:
        yield
    except _QUERY_ERRORS:
        raise
    # An error after the first rows arrives through pyarrow, as one of its exceptions.
    except (duckdb.Error, pa.ArrowException, OSError) as exc:
        refuse_unreadable(connection, paths, exc)
        raise


def refuse_unreadable(
    connection: duckdb.DuckDBPyConnection, paths: Iterable[str], exc: Exception
) -> None:
    """Raise IndexDamagedError for the first file that cannot be read, because of ``exc``."""
    for path in paths:
        # A new database: one that has read a damaged file may refuse all further queries.
        with connection.cursor() if "://" in path else duckdb.connect(":memory:") as fresh:
            if problem := unreadable(fresh, path):
                root = path.rsplit("/", 3)[0]
                what = f"{path.removeprefix(root + '/')}: {problem}"
                raise IndexDamagedError(root, what) from exc


def unreadable(connection: duckdb.DuckDBPyConnection, path: str) -> str:
    """Why a Parquet file cannot be read; "" if it can be read, or memory is too short to tell."""
    try:
        num_readable_rows(connection, path)
    except duckdb.OutOfMemoryException:
        return ""
    except duckdb.Error as exc:
        return first_line(exc)
    return ""


def first_line(exc: Exception) -> str:
    """The first line of a library's error message, which omits the details."""
    return str(exc).strip().partition("\n")[0]
