"""The rows of a table, one UTC date at a time: as many as memory holds at once."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Iterator
from typing import Unpack

import pyarrow as pa

from pipeline.index.filters import Span, When, Where
from pipeline.index.query import Index
from pipeline.index.query_filters import QueryOptions
from pipeline.tables.schema import READ, ReadTable


def rows_by_date(
    index: Index,
    table: ReadTable,
    start: When = None,
    end: When = None,
    **options: Unpack[QueryOptions],
) -> Iterator[tuple[str, pa.Table]]:
    """The rows that ``Index.rows`` finds, by UTC date of their start: its name, and its rows.

    If there are no rows, yields the name "none" once, with an empty table.
    """
    span, cameras = Span.parse(start, end), index.cameras(options.get("camera"))
    where = index.conditions(table, options)
    overlap = where.also(Where().overlaps(span).of(cameras))
    source = index.source(table, span, cameras)
    days = index.fetch(
        f"SELECT DISTINCT date::VARCHAR AS date FROM {source} WHERE {overlap.sql} ORDER BY 1",
        overlap,
    )["date"].to_pylist()
    for day in days:
        of_day = where.also(Where().add("date = ?::DATE", day))
        yield day, index.select(table, of_day, span=span, cameras=cameras)
    if not days:
        yield "none", READ[table].empty_table()
