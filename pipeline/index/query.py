"""Queries an index: rows by time range, camera, label and text; coverage; SQL."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Unpack

import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.index import coverage, duck, feedback, histogram, query_filters, sql_sandbox
from pipeline.index.coverage import Kind, Swept
from pipeline.index.filters import ALL, ALWAYS, Cameras, Names, Span, When, Where, list_names
from pipeline.index.open_tables import OpenTables
from pipeline.index.query_filters import QueryOptions
from pipeline.index.scope import Scope
from pipeline.index.store import Store
from pipeline.tables.schema import ReadTable, TableName

# An unfinished video may have windows but no row in ``videos``.
_NAMING: tuple[TableName, ...] = ("videos", "windows")


class Index(OpenTables):
    """One index, open for reading; not for several threads at once.

    A range is ``[start, end)`` and finds every row that overlaps it. An event that began before
    ``start`` counts; one that ends exactly at ``start`` or starts exactly at ``end`` does not.
    Times are datetimes or ISO 8601 texts, UTC if they name no zone. A camera may be a glob. Rows
    are ordered by start, camera and id, and have the declared types.
    """

    def events(
        self, start: When = None, end: When = None, **options: Unpack[QueryOptions]
    ) -> pa.Table:
        """Events; ``text`` is searched in their text."""
        return self.rows("events", start, end, **options)

    def tracks(
        self, start: When = None, end: When = None, **options: Unpack[QueryOptions]
    ) -> pa.Table:
        """Where objects were: events with boxes, with their paths and what zones tell of them."""
        return self.rows("tracks", start, end, **options)

    def segments(
        self, start: When = None, end: When = None, **options: Unpack[QueryOptions]
    ) -> pa.Table:
        """Timestamped texts; ``text`` is searched in them."""
        return self.rows("segments", start, end, **options)

    def utterances(
        self, start: When = None, end: When = None, **options: Unpack[QueryOptions]
    ) -> pa.Table:
        """What is said, with the time of each word; ``text`` is searched in it."""
        return self.rows("utterances", start, end, **options)

    def slides(
        self, start: When = None, end: When = None, **options: Unpack[QueryOptions]
    ) -> pa.Table:
        """Pages that were shown; ``text`` is searched in their words, and in those of the deck."""
        return self.rows("slides", start, end, **options)

    def summaries(
        self, start: When = None, end: When = None, **options: Unpack[QueryOptions]
    ) -> pa.Table:
        """Summaries of chapters, videos and days; ``text`` is searched in them."""
        return self.rows("summaries", start, end, **options)

    def windows(
        self, start: When = None, end: When = None, **options: Unpack[QueryOptions]
    ) -> pa.Table:
        """Windows with their provenance; ``text`` is searched in the completion."""
        return self.rows("windows", start, end, **options)

    def videos(
        self, start: When = None, end: When = None, **options: Unpack[QueryOptions]
    ) -> pa.Table:
        """Indexed and failed files; ``text`` is searched in the uri."""
        return self.rows("videos", start, end, **options)

    def rows(
        self,
        table: ReadTable,
        start: When = None,
        end: When = None,
        **options: Unpack[QueryOptions],
    ) -> pa.Table:
        """The rows of a table that overlap ``[start, end)`` and meet the options.

        Raises:
            ConfigError: a column is unknown, the table has no label or confidence, or a time or
                limit is invalid.
        """
        select = self.select_all if options.get("fingerprint") else self.select
        return select(
            table,
            self.conditions(table, options),
            span=Span.parse(start, end),
            cameras=self.cameras(options.get("camera")),
            order=query_filters.order(table, options),
            columns=options.get("columns"),
        )

    def event(self, event_id: str, *, at: When = None) -> dict[str, Any] | None:
        """The row of one event, or None; ``at``, an instant in it, spares reading other dates."""
        start_us = Span.parse(at, None).start_us
        span = ALWAYS if start_us is None else Span(start_us, start_us + 1)
        found = self.select("events", Where().add("event_id = ?", event_id), span=span).to_pylist()
        return found[0] if found else None

    def reviews(self, event_ids: Iterable[str] | None = None) -> pa.Table:
        """The newest statement of a person about each of these events, or any; by ``said_at``."""
        where = Where() if event_ids is None else Where().is_one_of("event_id", event_ids)
        source = feedback.newest(self._view().scan("feedback"))
        return self._select(
            "feedback", source, where, order="ORDER BY said_at, feedback_id", columns=None
        )

    def distinct(
        self,
        table: ReadTable,
        names: Iterable[str],
        start: When = None,
        end: When = None,
        **options: Unpack[QueryOptions],
    ) -> pa.Table:
        """The distinct values in the named columns of the rows that ``rows`` finds."""
        span, cameras = Span.parse(start, end), self.cameras(options.get("camera"))
        where = self.conditions(table, options).also(Where().overlaps(span).of(cameras))
        source = self.source(table, span, cameras)
        return self.fetch(
            f"SELECT DISTINCT {duck.identifiers(names)} FROM {source} WHERE {where.sql}", where
        )

    def coverage(
        self,
        start: When = None,
        end: When = None,
        *,
        camera: Names = None,
        task: Names = None,
        kind: Kind | None = None,
    ) -> pa.Table:
        """The state of each moment: see ``pipeline.index.coverage``.

        ``kind`` is ``seen`` or ``heard``: what was looked at, or what was listened to.

        Columns camera, start, end, state. The rows of a camera touch, differ from their neighbours
        and add up to the range exactly. An open end is the camera's first or last footage.
        """
        return coverage.table(self.swept_coverage(Span.parse(start, end), camera, task, kind=kind))

    def swept_coverage(
        self,
        span: Span,
        camera: Names = None,
        task: Names = None,
        *,
        kind: Kind | None = None,
    ) -> Iterator[Swept]:
        """The same as arrays, camera by camera: see ``pipeline.index.coverage.by_camera``."""
        open_orders = self.select_all("erasures", Where().add("state = 'ordered'"), order="")
        return coverage.by_camera(
            self._connection,
            self._view().source,
            span=span,
            cameras=self.cameras(camera),
            tasks=list_names(task),
            kind=kind,
            ordered=[Scope.of_order(row) for row in open_orders.to_pylist()],
        )

    def histogram(
        self,
        start: When,
        end: When,
        *,
        every: timedelta = timedelta(hours=1),
        table: ReadTable = "events",
        **options: Unpack[QueryOptions],
    ) -> pa.Table:
        """The number of rows in each step of a range: see ``pipeline.index.histogram``.

        Columns start, end, num_rows; ``num_rows`` is the number of rows that a query of that step
        alone finds without a limit.
        """
        span, cameras = Span.parse(start, end), self.cameras(options.get("camera"))
        where = self.conditions(table, options).also(Where().overlaps(span).of(cameras))
        source = self.source(table, span, cameras)
        return histogram.table(self._connection, source, where, span, every)

    def files(
        self, table: TableName, start: When = None, end: When = None, *, camera: Names = None
    ) -> list[str]:
        """The Parquet files that hold these rows now, for engines that read files themselves.

        Never list the folder instead: it also contains replaced files.
        """
        return self._view().files(table, Span.parse(start, end), self.cameras(camera))

    def sql(self, query: str, *, timeout_s: float = sql_sandbox.TIMEOUT_S) -> pa.Table:
        """The result of one SELECT over the views events, segments, utterances, windows and others.

        Raises:
            ConfigError: the query is not one SELECT, has an error, accesses anything else, or does
                not finish in time.
        """
        return sql_sandbox.run(self.store, query, self._view(), timeout_s=timeout_s)

    def cameras(self, names: Names) -> Cameras:
        """The cameras that a user means; a name that the index knows means only that camera.

        Only other names are globs, because recorders write names such as ``cam[1]``.
        """
        globs = Cameras.parse(names).globs
        return Cameras.parse(names, self._known("camera", globs, Cameras(exact=globs)))

    def known_cameras(self) -> set[str]:
        """The names of all cameras."""
        cameras: set[str] = set()
        for table in _NAMING:
            source = self._view().scan(table)
            names = duck.fetch(self._connection, f"SELECT DISTINCT camera FROM {source}")
            cameras.update(names["camera"].to_pylist())
        return cameras

    def known_videos(self, names: Iterable[str]) -> set[str]:
        """Which of these names are ids or uris of videos."""
        wanted = tuple(names)
        return self._known("video_id", wanted) | self._known("uri", wanted)

    def _known(self, column: str, names: tuple[str, ...], cameras: Cameras = ALL) -> set[str]:
        known: set[str] = set()
        for table in _NAMING if names else ():
            where = Where().is_one_of(column, names)
            known.update(
                self.select_all(table, where, cameras=cameras, columns=[column])[column].to_pylist()
            )
        return known

    def conditions(self, table: ReadTable, options: QueryOptions) -> Where:
        """The conditions of all options except range, camera and limit.

        Raises:
            ConfigError: the table has no such column, or a value is unknown or out of range.
        """
        where = query_filters.conditions(table, options)
        if (review := options.get("review")) is not None:
            if table != "events":
                raise ConfigError(f"review: people say something about events, not about {table}")
            where = where.also(feedback.reviewed_as(review, self.source("feedback")))
        return where


def open_index(uri: str | Path, storage_options: Mapping[str, str] | None = None) -> Index:
    """The index in a folder: local, ``s3://``, ``gs://`` or ``az://``.

    Storage options are those of delta-rs, such as ``AWS_ENDPOINT_URL``; others come from the usual
    environment variables.

    Raises:
        IndexFormatError: there is no index, or it was written by a newer timereel.
    """
    return Index(Store.at(uri, storage_options))
