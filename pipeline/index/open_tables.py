"""The tables of an open index: SELECTs over them, each from one consistent snapshot."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

import duckdb
import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.index import duck, query_filters
from pipeline.index.filters import ALL, ALWAYS, Cameras, Span, Where
from pipeline.index.interruption import Interruption, interruptible
from pipeline.index.snapshot import TableReader
from pipeline.index.snapshot_view import SnapshotView
from pipeline.index.store import Store
from pipeline.index.stored_rows import as_declared
from pipeline.index.tracks import read_source
from pipeline.tables.schema import READ, TABLES, ReadTable, TableName


class OpenTables:
    """What every question to an index is made of; see ``Index`` for the questions of people."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._interruption: Interruption | None = None
        self._readers = {name: TableReader(store, name) for name in TABLES}
        self._readers["videos"].latest()  # raises now, not at the first query, if there is no index

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._interruption:
            self._interruption.refuse_if_asked()
        return self._database

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        # Made at the first query: a database costs more than reading the log, and a caller that
        # only lists files needs none.
        return duck.connect(self.store)

    def fetch(self, sql: str, where: Where) -> pa.Table:
        """The rows of a SELECT over what ``source`` gives, with the values of ``where``."""
        return duck.fetch(self._connection, sql, where)

    @contextmanager
    def interruptible(self) -> Iterator[Callable[[], None]]:
        """A context; its value, called from any thread, ends the query inside, or else the next.

        Raises:
            InterruptedQueryError: a query inside was ended.
        """
        with interruptible(self._database) as interruption:
            self._interruption = interruption
            try:
                yield interruption.interrupt
            finally:
                self._interruption = None

    def select(
        self,
        table: ReadTable,
        where: Where,
        *,
        span: Span = ALWAYS,
        cameras: Cameras = ALL,
        order: str | None = None,
        columns: Iterable[str] | None = None,
    ) -> pa.Table:
        """Rows that meet a condition; of each video and task, only the newest fingerprint's."""
        return self._select(
            table,
            self.source(table, span, cameras),
            where.also(Where().overlaps(span).of(cameras)),
            order=order,
            columns=columns,
        )

    def select_all(
        self,
        table: ReadTable,
        where: Where,
        *,
        span: Span = ALWAYS,
        cameras: Cameras = ALL,
        order: str | None = None,
        columns: Iterable[str] | None = None,
    ) -> pa.Table:
        """Rows of every fingerprint that meet a condition, including stale rows."""
        where = where.also(Where().overlaps(span).of(cameras))
        source = read_source(self._view().scan, self.fetch, table, span, cameras)
        return self._select(table, source, where, order=order, columns=columns)

    def select_from_files(
        self,
        files: list[str],
        table: TableName,
        where: Where,
        *,
        columns: Iterable[str] | None = None,
    ) -> pa.Table:
        """Rows of every fingerprint that meet a condition, only from these ``files`` of a table."""
        source = self._view().scan_of(table, files)
        return self._select(table, source, where, columns=columns)

    def join(
        self,
        table: TableName,
        where: Where,
        sql: str,
        values: Iterable[object] = (),
        *,
        span: Span = ALWAYS,
        cameras: Cameras = ALL,
        **others: pa.Table,
    ) -> pa.Table:
        """The result of a SELECT over ``existing``: rows of a table, of every fingerprint.

        Args:
            table: its rows stay in DuckDB, so there may be many.
            where: the condition for rows to be in ``existing``.
            sql: the SELECT; it may also read ``others`` by their names.
            values: one for each ``?`` in ``sql``.
            span: files without rows in this range are not read; ``where`` still has to say it.
            cameras: likewise.
            others: Arrow tables, which may be large.
        """
        existing = f"SELECT * FROM {self._view().scan(table, span, cameras)} WHERE {where.sql}"
        for name, rows in others.items():
            self._connection.register(name, rows)
        try:
            return duck.fetch(
                self._connection,
                f"WITH existing AS NOT MATERIALIZED ({existing}) {sql}",
                where.also(Where(values=list(values))),
            )
        finally:
            for name in others:
                self._connection.unregister(name)

    def _select(
        self,
        table: ReadTable,
        source: str,
        where: Where,
        *,
        order: str | None = None,
        columns: Iterable[str] | None,
    ) -> pa.Table:
        schema = READ[table]
        names = schema.names if columns is None else list(columns)
        if unknown := sorted(set(names) - set(schema.names)):
            raise ConfigError(
                f"{table} have no column {unknown}; they have {', '.join(schema.names)}"
            )
        rows = duck.fetch(
            self._connection,
            f"SELECT {duck.identifiers(names)} FROM {source} WHERE {where.sql} "
            + (query_filters.order(table, {}) if order is None else order),
            where,
        )
        return as_declared(self.store.root, table, rows)

    def source(
        self,
        table: ReadTable,
        span: Span = ALWAYS,
        cameras: Cameras = ALL,
    ) -> str:
        """A table for a FROM clause, from the files that can hold such rows, without stale rows."""
        return read_source(self._view().source, self.fetch, table, span, cameras)

    def source_of_files(self, table: TableName, files: list[str]) -> str:
        """A table for a FROM clause, from exactly these files, including stale rows."""
        return self._view().scan_of(table, files)

    @property
    def has_generations(self) -> bool:
        """Whether a video may have rows of several fingerprints (``index --keep``)."""
        return self._readers["videos"].latest().has_generations

    def _view(self) -> SnapshotView:
        return SnapshotView(self.store, self._readers)
