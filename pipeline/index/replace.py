"""Makes one Delta commit that replaces the rows under a predicate, or changes nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, TypeAlias

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from pipeline.errors import IndexDamagedError
from pipeline.index import duck
from pipeline.index.data_files import paths_for_commit
from pipeline.index.duck import quote
from pipeline.index.durable_commits import local_folder, synced
from pipeline.index.store import Store, columns_of
from pipeline.tables.schema import TABLES, TableName

if TYPE_CHECKING:
    from tenacity import Retrying

Confirm: TypeAlias = Callable[[], None]
"""Raises an error if the caller may not commit any more, because it has lost its lease."""

# Two jobs on one archive often write to the same dates; each attempt reads the table again.
_ATTEMPTS = 30
# Rows per row group. Rows of windows are long, as they hold the time of every frame, and rows
# of evidence hold pictures.
_ROW_GROUP: dict[TableName, int] = {
    "videos": 32_768,
    "windows": 8_192,
    "events": 32_768,
    "segments": 32_768,
    "vectors": 8_192,
    "summaries": 8_192,
    "runs": 8_192,
    "erasures": 8_192,
    "feedback": 8_192,
    "evidence": 64,
    "utterances": 8_192,
    "slides": 512,
    "alerts": 8_192,
}
# Small, so that columns whose values rarely repeat (ids, times, texts) stop using a dictionary.
# Otherwise a reader of one row unpacks all values of the row group. A reader unpacks whole pages,
# so pages are small too.
_DICTIONARY_BYTES = 64 * 1024
_PAGE_BYTES = 64 * 1024
_MAX_LISTED_DATES = 100


def unleased() -> None:
    """What ``confirm`` is for a caller without a lease."""


def replace(
    store: Store, name: TableName, rows: pa.Table, predicate: str, confirm: Confirm = unleased
) -> None:
    """In one commit, delete the rows that ``predicate`` selects and add ``rows``, which it selects.

    ``confirm`` is called after the version is read on which the commit is based. So a run that has
    taken over the lease is noticed if it committed before, and makes a conflict if it commits now.

    Raises:
        CommitFailedError: other writers changed the same rows at every attempt.
    """
    for attempt in conflict_retries():
        with attempt:
            # A handle keeps its version, on which a commit is based, so each attempt needs a new
            # one.
            table = store.writable(name)
            confirm()
            commit(table, name, rows, predicate)


def change(
    store: Store,
    name: TableName,
    values: Mapping[str, str],
    predicate: str,
    confirm: Confirm = unleased,
) -> None:
    """Set columns of the rows that ``predicate`` selects to these texts; one commit.

    Each attempt selects the rows again, so a row that another writer has deleted does not come
    back. ``confirm`` is that of ``replace``.

    Raises:
        CommitFailedError: other writers changed the same rows at every attempt.
    """
    updates = {column: quote(value) for column, value in values.items()}
    for attempt in conflict_retries():
        with attempt:
            table = store.writable(name)
            confirm()
            with _durable(table):
                table.update(
                    updates, predicate=predicate, writer_properties=writer_properties(name)
                )


def commit(
    table: DeltaTable,
    name: TableName,
    rows: pa.Table,
    predicate: str,
    properties: CommitProperties | None = None,
) -> None:
    """Make one attempt of ``replace``, based on the handle's version, and sync it to a local disk.

    Raises:
        CommitFailedError: another writer has changed such rows since that version.
        IndexDamagedError: a file with rows under the predicate cannot be read.
    """
    with _durable(table):
        if rows.num_rows:
            is_newer = set(columns_of(table)) - set(TABLES[name].names)
            write_deltalake(
                table,
                rows,
                mode="overwrite",
                predicate=predicate,
                # Columns that a newer timereel has added are null.
                schema_mode="merge" if is_newer else None,
                writer_properties=writer_properties(name),
                commit_properties=properties,
            )
        else:
            table.delete(
                predicate,
                writer_properties=writer_properties(name),
                commit_properties=properties,
            )


@contextmanager
def _durable(table: DeltaTable) -> Iterator[None]:
    """Sync the commit that is made inside; if a damaged file prevents it, name that file."""
    paths = paths_for_commit(table)
    try:
        with synced(table):
            yield
    except CommitFailedError:
        raise
    except (DeltaError, IndexDamagedError) as exc:
        if folder := local_folder(table):
            with duckdb.connect(":memory:") as connection:
                duck.refuse_unreadable(connection, [f"{folder}/{path}" for path in paths], exc)
        raise


def conflict_retries() -> "Retrying":
    """Attempts with growing random pauses, while other writers commit to the same rows."""
    import tenacity  # noqa: PLC0415 - it imports asyncio; a reader needs neither

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(CommitFailedError),
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=5),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )


def writer_properties(name: TableName) -> WriterProperties:
    """The settings for writing Parquet files."""
    return WriterProperties(
        compression="ZSTD",
        compression_level=3,
        max_row_group_size=_ROW_GROUP[name],
        dictionary_page_size_limit=_DICTIONARY_BYTES,
        data_page_size_limit=_PAGE_BYTES,
    )


def equal(column: str, value: str) -> str:
    """Condition: the column equals the value."""
    return f"{column} = {quote(value)}"


def is_one_of(column: str, values: Iterable[str]) -> str:
    """Condition: the column is one of the values; there must be at least one value."""
    return f"{column} IN ({', '.join(quote(value) for value in sorted(set(values)))})"


def on_dates(dates: Iterable[date]) -> str:
    """Condition on the partition column, so that other partitions are not read."""
    days = sorted(set(dates))
    if len(days) > _MAX_LISTED_DATES:
        return f"date >= '{days[0]}' AND date <= '{days[-1]}'"
    return f"date IN ({', '.join(quote(str(day)) for day in days)})"


def all_of(*conditions: str) -> str:
    """Condition: all of the conditions hold."""
    return " AND ".join(f"({condition})" for condition in conditions)
