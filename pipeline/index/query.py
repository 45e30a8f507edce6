"""Asking an index: rows by time range, camera, label and text; coverage; SQL."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Unpack

import duckdb
import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.index import coverage, duck, histogram, query_filters, sql_sandbox
from pipeline.index.filters import ALL, ALWAYS, Cameras, Names, Span, When, Where, as_list
from pipeline.index.query_filters import Asked
from pipeline.index.scope import Scope
from pipeline.index.snapshot import TableReader
from pipeline.index.snapshot_view import SnapshotView
from pipeline.index.store import Store
from pipeline.tables.schema import TABLES, TableName

# A video that is not done yet has windows alone.
_NAMING: tuple[TableName, ...] = ("videos", "windows")


class Index:
    """One index, open for reading; not for several threads at once.

    A range is ``[start, end)`` and finds what shares an instant with it: an event that began
    before counts, one that ends exactly at ``start`` or starts exactly at ``end`` does not.
    Times are datetimes or ISO 8601 texts, UTC where they name no zone. A camera may be a glob.
    Rows come ordered by start, camera and id, with the declared types.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._readers = {name: TableReader(store, name) for name in TABLES}
        self._readers["videos"].latest()  # refuses what is no index now, not at the first question

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        # At the first question: a database costs more than reading the log, and who only asks for
        # files needs none.
        return duck.connect(self.store)

    def events(self, start: When = None, end: When = None, **asked: Unpack[Asked]) -> pa.Table:
        """What happened; ``text`` is looked for in the text."""
        return self.rows("events", start, end, **asked)

    def segments(self, start: When = None, end: When = None, **asked: Unpack[Asked]) -> pa.Table:
        """Timestamped texts; ``text`` is looked for in them."""
        return self.rows("segments", start, end, **asked)

    def summaries(self, start: When = None, end: When = None, **asked: Unpack[Asked]) -> pa.Table:
        """Chapters, videos and days as texts; ``text`` is looked for in them."""
        return self.rows("summaries", start, end, **asked)

    def windows(self, start: When = None, end: When = None, **asked: Unpack[Asked]) -> pa.Table:
        """What was looked at, with the receipts; ``text`` is looked for in the completion."""
        return self.rows("windows", start, end, **asked)

    def videos(self, start: When = None, end: When = None, **asked: Unpack[Asked]) -> pa.Table:
        """The indexed and the failed files; ``text`` is looked for in the uri."""
        return self.rows("videos", start, end, **asked)

    def rows(
        self, table: TableName, start: When = None, end: When = None, **asked: Unpack[Asked]
    ) -> pa.Table:
        """The rows of a table that share an instant with ``[start, end)`` and are what is asked.

        Raises:
            ConfigError: an unknown column, a label or confidence where there are none, a wrong time
                or limit.
        """
        found = self.every if asked.get("fingerprint") else self.select
        return found(
            table,
            query_filters.conditions(table, asked),
            span=Span.parse(start, end),
            cameras=self.cameras(asked.get("camera")),
            order=query_filters.order(table, asked),
            columns=asked.get("columns"),
        )

    def distinct(
        self,
        table: TableName,
        names: Iterable[str],
        start: When = None,
        end: When = None,
        **asked: Unpack[Asked],
    ) -> pa.Table:
        """The different values, in the columns of these names, of the rows that ``rows`` finds."""
        span, cameras = Span.parse(start, end), self.cameras(asked.get("camera"))
        where = query_filters.conditions(table, asked).also(Where().overlaps(span).of(cameras))
        source = self.source(table, span, cameras)
        return duck.fetch(
            self._connection,
            f"SELECT DISTINCT {duck.identifiers(names)} FROM {source} WHERE {where.sql}",
            where,
        )

    def coverage(
        self, start: When = None, end: When = None, *, camera: Names = None, task: Names = None
    ) -> pa.Table:
        """What is known about each moment: see ``pipeline.index.coverage``.

        Columns camera, start, end, state. Per camera the rows touch, differ from their
        neighbours and sum to the range exactly; an open end is the camera's first or last footage.
        """
        standing = self.every("erasures", Where().add("state = 'ordered'"), order="")
        return coverage.table(
            self._connection,
            self._view().source,
            span=Span.parse(start, end),
            cameras=self.cameras(camera),
            tasks=as_list(task),
            ordered=[Scope.of_order(row) for row in standing.to_pylist()],
        )

    def by_date(
        self, table: TableName, start: When = None, end: When = None, **asked: Unpack[Asked]
    ) -> Iterator[tuple[str, pa.Table]]:
        """What ``rows`` finds, a UTC date of the start at a time: its name, and the rows.

        Where there is nothing: once, named "none", without rows.
        """
        span, cameras = Span.parse(start, end), self.cameras(asked.get("camera"))
        where = query_filters.conditions(table, asked)
        overlap = where.also(Where().overlaps(span).of(cameras))
        source = self.source(table, span, cameras)
        days = duck.fetch(
            self._connection,
            f"SELECT DISTINCT date::VARCHAR AS date FROM {source} WHERE {overlap.sql} ORDER BY 1",
            overlap,
        )["date"].to_pylist()
        for day in days:
            of_day = where.also(Where().add("date = ?::DATE", day))
            yield day, self.select(table, of_day, span=span, cameras=cameras)
        if not days:
            yield "none", TABLES[table].empty_table()

    def histogram(
        self,
        start: When,
        end: When,
        *,
        every: timedelta = timedelta(hours=1),
        table: TableName = "events",
        **asked: Unpack[Asked],
    ) -> pa.Table:
        """How many rows there are in each step of a range: see ``pipeline.index.histogram``.

        Columns start, end, num_rows; ``num_rows`` is what a query of that step alone finds,
        without a limit.
        """
        span, cameras = Span.parse(start, end), self.cameras(asked.get("camera"))
        where = query_filters.conditions(table, asked).also(Where().overlaps(span).of(cameras))
        source = self.source(table, span, cameras)
        return histogram.table(self._connection, source, where, span, every)

    def files(
        self, table: TableName, start: When = None, end: When = None, *, camera: Names = None
    ) -> list[str]:
        """The Parquet files that hold these rows now, for engines that read files themselves.

        Never list the folder instead: it also holds what was replaced.
        """
        return self._view().files(table, Span.parse(start, end), self.cameras(camera))

    def sql(self, query: str, *, timeout_s: float = sql_sandbox.TIMEOUT_S) -> pa.Table:
        """The result of one SELECT over the views events, segments, windows, videos, summaries.

        Raises:
            ConfigError: anything but a SELECT, an error in it, a reach for anything else, or no
                result in time.
        """
        return sql_sandbox.run(self.store, query, self._view(), timeout_s=timeout_s)

    def cameras(self, names: Names) -> Cameras:
        """The cameras that a user means: a name that the index knows is that camera alone.

        Only other names are globs. Recorders write names such as ``cam[1]``.
        """
        asked = Cameras.parse(names)
        return Cameras.parse(names, self._known("camera", asked.globs, Cameras(exact=asked.globs)))

    def known_cameras(self) -> set[str]:
        """The names of all cameras."""
        found: set[str] = set()
        for table in _NAMING:
            source = self._view().scan(table)
            names = duck.fetch(self._connection, f"SELECT DISTINCT camera FROM {source}")
            found.update(names["camera"].to_pylist())
        return found

    def known_videos(self, names: Iterable[str]) -> set[str]:
        """Which of these names are ids or uris of videos."""
        wanted = tuple(names)
        return self._known("video_id", wanted) | self._known("uri", wanted)

    def _known(self, column: str, names: tuple[str, ...], cameras: Cameras = ALL) -> set[str]:
        known: set[str] = set()
        for table in _NAMING if names else ():
            where = Where().among(column, names)
            known.update(
                self.every(table, where, cameras=cameras, columns=[column])[column].to_pylist()
            )
        return known

    def select(
        self,
        table: TableName,
        where: Where,
        *,
        span: Span = ALWAYS,
        cameras: Cameras = ALL,
        order: str | None = None,
        columns: Iterable[str] | None = None,
    ) -> pa.Table:
        """Rows under any condition; of each video and task, those of the newest fingerprint."""
        return self._select(
            table,
            self.source(table, span, cameras),
            where.also(Where().overlaps(span).of(cameras)),
            order=order,
            columns=columns,
        )

    def every(
        self,
        table: TableName,
        where: Where,
        *,
        span: Span = ALWAYS,
        cameras: Cameras = ALL,
        order: str | None = None,
        columns: Iterable[str] | None = None,
    ) -> pa.Table:
        """Rows whatever their fingerprint, stale ones too."""
        where = where.also(Where().overlaps(span).of(cameras))
        source = self._view().scan(table, span, cameras)
        return self._select(table, source, where, order=order, columns=columns)

    def within(
        self,
        files: list[str],
        table: TableName,
        where: Where,
        *,
        columns: Iterable[str] | None = None,
    ) -> pa.Table:
        """Rows of a table out of exactly these of its ``files``, whatever their fingerprint."""
        source = self._view().scan_of(table, files)
        return self._select(table, source, where, columns=columns)

    def asked(
        self,
        table: TableName,
        where: Where,
        sql: str,
        values: Iterable[object] = (),
        **given: pa.Table,
    ) -> pa.Table:
        """The result of a SELECT over ``held``, rows of a table whatever their fingerprint.

        Args:
            table: its rows do not come into Python, however many there are.
            where: which of its rows are ``held``.
            sql: also over the ``given`` tables, by their names.
            values: for each ``?`` in ``sql``.
            given: may be long.
        """
        held = f"SELECT * FROM {self._view().scan(table)} WHERE {where.sql}"
        for name, rows in given.items():
            self._connection.register(name, rows)
        try:
            return duck.fetch(
                self._connection,
                f"WITH held AS NOT MATERIALIZED ({held}) {sql}",
                where.also(Where(values=list(values))),
            )
        finally:
            for name in given:
                self._connection.unregister(name)

    def _select(
        self,
        table: TableName,
        source: str,
        where: Where,
        *,
        order: str | None = None,
        columns: Iterable[str] | None,
    ) -> pa.Table:
        schema = TABLES[table]
        names = schema.names if columns is None else list(columns)
        if unknown := sorted(set(names) - set(schema.names)):
            raise ConfigError(
                f"{table} have no column {unknown}; they have {', '.join(schema.names)}"
            )
        found = duck.fetch(
            self._connection,
            f"SELECT {duck.identifiers(names)} FROM {source} WHERE {where.sql} "
            + (query_filters.order(table, {}) if order is None else order),
            where,
        )
        return found.cast(pa.schema([schema.field(name) for name in names]))

    def source(
        self,
        table: TableName,
        span: Span = ALWAYS,
        cameras: Cameras = ALL,
    ) -> str:
        """A table in a FROM clause, out of the files that can matter, without stale rows."""
        return self._view().source(table, span, cameras)

    def _view(self) -> SnapshotView:
        return SnapshotView(self.store, self._readers)


def open_index(uri: str | Path, storage_options: Mapping[str, str] | None = None) -> Index:
    """The index in a folder: local, ``s3://``, ``gs://`` or ``az://``.

    Storage options are those of delta-rs (``AWS_ENDPOINT_URL`` ...); what is not given comes from
    the usual environment.

    Raises:
        IndexFormatError: there is no index, or it was written by a newer timereel.
    """
    return Index(Store.at(uri, storage_options))
