"""One Delta commit: the rows under a predicate become other rows, or nothing happens."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from pipeline.index import duck
from pipeline.index.duck import quote
from pipeline.index.durable_commits import local_folder, synced
from pipeline.index.store import Store, columns_of
from pipeline.tables.schema import TABLES, TableName

if TYPE_CHECKING:
    from tenacity import Retrying

# Two jobs on one archive touch the same dates all the time; each attempt starts afresh.
_ATTEMPTS = 30
# Rows of windows are long: they hold the time of every frame that was looked at.
_ROW_GROUP: dict[TableName, int] = {
    "videos": 32_768,
    "windows": 8_192,
    "events": 32_768,
    "segments": 32_768,
    "vectors": 8_192,
    "summaries": 8_192,
    "runs": 8_192,
    "erasures": 8_192,
}
# Ids, instants and texts that hardly repeat leave the dictionary early: else a reader of one row
# unpacks every value of the row group. And it unpacks whole pages, so those are small.
_DICTIONARY_BYTES = 64 * 1024
_PAGE_BYTES = 64 * 1024
_MAX_LISTED_DATES = 100


def replace(store: Store, name: TableName, rows: pa.Table, predicate: str) -> None:
    """Delete what ``predicate`` selects and add ``rows``, which it must select too; one commit.

    Raises:
        CommitFailedError: others have changed the same rows at each of many attempts.
    """
    for attempt in conflict_retries():
        with attempt:
            # A handle keeps the version it was opened at, and with it what a commit is based on.
            commit(store.handle(name), name, rows, predicate)


def change(store: Store, name: TableName, values: Mapping[str, str], predicate: str) -> None:
    """Give the columns of the rows that ``predicate`` selects these texts; one commit.

    The rows are those that are there at each attempt, so none comes back that others have deleted.

    Raises:
        CommitFailedError: others have changed the same rows at each of many attempts.
    """
    updates = {column: quote(value) for column, value in values.items()}
    for attempt in conflict_retries():
        with attempt:
            table = store.handle(name)
            with _whole(table):
                table.update(
                    updates, predicate=predicate, writer_properties=writer_properties(name)
                )


def commit(table: DeltaTable, name: TableName, rows: pa.Table, predicate: str) -> None:
    """As ``replace``, once, upon the version of the handle; on a local disk it is there to stay.

    Raises:
        CommitFailedError: others have changed such rows since that version.
        IndexDamagedError: a file with rows under the predicate cannot be read.
    """
    with _whole(table):
        if rows.num_rows:
            is_newer = set(columns_of(table)) - set(TABLES[name].names)
            write_deltalake(
                table,
                rows,
                mode="overwrite",
                predicate=predicate,
                # Columns that a newer timereel has added stay null.
                schema_mode="merge" if is_newer else None,
                writer_properties=writer_properties(name),
            )
        else:
            table.delete(predicate, writer_properties=writer_properties(name))


@contextmanager
def _whole(table: DeltaTable) -> Iterator[None]:
    """A commit that is there to stay at the end, or the name of the file that is in its way."""
    try:
        with synced(table):
            yield
    except CommitFailedError:
        raise
    except DeltaError as exc:
        if folder := local_folder(table):
            paths = pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()
            with duckdb.connect(":memory:") as connection:
                duck.refuse_unreadable(connection, [f"{folder}/{path}" for path in paths], exc)
        raise


def conflict_retries() -> "Retrying":
    """Attempts with growing random pauses, while others commit to the same rows."""
    import tenacity  # noqa: PLC0415 - with all of asyncio; who only reads needs neither

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(CommitFailedError),
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=5),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )


def writer_properties(name: TableName) -> WriterProperties:
    """How Parquet files are written."""
    return WriterProperties(
        compression="ZSTD",
        compression_level=3,
        max_row_group_size=_ROW_GROUP[name],
        dictionary_page_size_limit=_DICTIONARY_BYTES,
        data_page_size_limit=_PAGE_BYTES,
    )


def equal(column: str, value: str) -> str:
    """Condition: the column is the value."""
    return f"{column} = {quote(value)}"


def among(column: str, values: Iterable[str]) -> str:
    """Condition: the column is one of the values, of which there must be one."""
    return f"{column} IN ({', '.join(quote(value) for value in sorted(set(values)))})"


def on_dates(dates: Iterable[date]) -> str:
    """Condition that keeps other partitions from being read."""
    days = sorted(set(dates))
    if len(days) > _MAX_LISTED_DATES:
        return f"date >= '{days[0]}' AND date <= '{days[-1]}'"
    return f"date IN ({', '.join(quote(str(day)) for day in days)})"


def both(*conditions: str) -> str:
    """All of the conditions."""
    return " AND ".join(f"({condition})" for condition in conditions)
