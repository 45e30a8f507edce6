"""Tracks as SQL over ``events``: every event with boxes that an engine saw is one object's path."""

# ruff: noqa: S608 - names of columns are our own, sources are quoted

from collections.abc import Callable
from typing import TypeAlias

import pyarrow as pa

from pipeline.index.duck import identifiers
from pipeline.index.filters import Cameras, Span, Where
from pipeline.tables.schema import ReadTable, TableName
from pipeline.tables.tracks import COLUMNS, OF_EVENT

Read: TypeAlias = Callable[[TableName, Span, Cameras], str]
"""A stored table for a FROM clause, from the files that can hold rows of a range and cameras."""

# The middle of the lower edge of a box, as zones have it.
_STEP = """
sqrt(pow((boxes[i].x0 + boxes[i].x1 - boxes[i - 1].x0 - boxes[i - 1].x1) / 2, 2)
    + pow(boxes[i].y1 - boxes[i - 1].y1, 2))"""


def tracks(events: str, told: str) -> str:
    """The tracks for a FROM clause.

    Args:
        events: the table ``events`` for a FROM clause.
        told: the same, with every event that zones tell of those.
    """
    kept = identifiers((column.name for column in OF_EVENT), "e.")
    return f"""(SELECT {identifiers(COLUMNS.schema.names)} FROM (
        SELECT e.event_id AS track_id, {kept},
            (epoch_us(e."end") - epoch_us(e."start")) / 1e6 AS duration_s,
            coalesce(list_sum(list_transform(range(2, len(boxes) + 1), lambda i: {_STEP})), 0)
                ::DOUBLE AS path_px,
            list_concat([e.event_id], z.event_ids) AS event_ids
        FROM {events} AS e LEFT JOIN (
            SELECT of_event_id, task, fingerprint,
                list(event_id ORDER BY "start", event_id) AS event_ids
            FROM {told} WHERE of_event_id IS NOT NULL GROUP BY ALL
        ) AS z ON z.of_event_id = e.event_id AND z.task = e.task AND z.fingerprint = e.fingerprint
        WHERE e.zone IS NULL AND len(e.boxes) > 0))"""


def read_source(
    read: Read,
    fetch: Callable[[str, Where], pa.Table],
    table: ReadTable,
    span: Span,
    cameras: Cameras,
) -> str:
    """A table for a FROM clause, stored or not, from the files that ``read`` gives."""
    if table != "tracks":
        return read(table, span, cameras)
    events, where = read("events", span, cameras), Where().overlaps(span).of(cameras)
    sql = f'SELECT min("start"), max("end") FROM {events} WHERE {where.sql}'
    # What zones tell of an object is found over its whole time, however little of it is asked for.
    [first], [last] = (column.to_pylist() for column in fetch(sql, where).columns)
    return tracks(events, read("events", Span.parse(first, last), cameras) if first else events)
