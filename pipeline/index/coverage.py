"""What is known about each moment of each camera; the ways of "nothing found" told apart.

State of a moment, the best of what files and windows say about it:

* ``analysed``      an engine looked at it
* ``quiet``         the gate looked at it, nothing moved, no engine was asked
* ``erased``        what was known was erased on purpose; no job looks there again unasked. So it is
                    from the moment the order stands, though its rows may still have to go
* ``failed``        it could not be looked at
* ``pending``       some of its file is still to be looked at; the next run does that
* ``not_analysed``  there is footage, and no window
* ``no_footage``    the index knows of no frame
"""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.index import duck
from pipeline.index.filters import ALWAYS, Cameras, Span, Where
from pipeline.index.scope import Scope
from pipeline.tables.schema import TableName
from pipeline.timebase import Int64Array

STATES = ("no_footage", "not_analysed", "pending", "failed", "erased", "quiet", "analysed")
"""Ascending: where two overlap, the later one wins."""

_TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("camera", pa.string(), nullable=False),
        pa.field("start", _TIME, nullable=False),
        pa.field("end", _TIME, nullable=False),
        pa.field("state", pa.string(), nullable=False),
    ]
)

Source = Callable[[TableName, Span, Cameras], str]
Levels = npt.NDArray[np.int8]

# A failed file whose time or length is unknown (end = start + 1 us) says nothing of any moment.
_FILES = """
SELECT camera, epoch_us(shown.start) AS start_us, epoch_us(shown.end) AS end_us, level FROM (
    SELECT camera, unnest(footage) AS shown,
        CASE
            WHEN status = 'erased' OR {ordered_videos} THEN {erased}
            WHEN status = 'pending' THEN {pending}
            ELSE {not_analysed}
        END AS level
    FROM {videos} WHERE status <> 'failed' AND {where}
    UNION ALL
    SELECT camera, {{'start': "start", 'end': "end"}} AS shown, {failed} AS level
    FROM {videos} WHERE status = 'failed' AND clock <> 'none' AND {where}
        AND epoch_us("end") - epoch_us("start") > 1)
"""

# Over a gap in its stream a window saw nothing, however far its range reaches; of a video that
# is still being worked on no footage is known, and its windows count as they are.
_WINDOWS = """
SELECT camera, epoch_us(greatest(w."start", shown.start)) AS start_us,
       epoch_us(least(w."end", shown.end)) AS end_us,
       list_position({states}, w.state) - 1 AS level
FROM (SELECT *, CASE WHEN {ordered_windows} THEN 'erased' ELSE status END AS state
      FROM {windows} WHERE {where}) w
LEFT JOIN (SELECT video_id, task, unnest(footage) AS shown
           FROM {videos} WHERE status <> 'failed' AND {where}) v USING (video_id, task)
WHERE coalesce(shown.start < w."end" AND shown.end > w."start", true)
"""


def sweep(
    start_us: int, end_us: int, starts_us: Int64Array, ends_us: Int64Array, levels: Levels
) -> tuple[Int64Array, Levels]:
    """Cut ``[start_us, end_us)`` where the highest level of the given ranges changes.

    Returns:
        The borders [N + 1], the first and last being those of the range, and the level between
        each two [N]; 0 where no range is, and never the same twice in a row.
    """
    starts, ends = (np.clip(at, start_us, end_us) for at in (starts_us, ends_us))
    borders = np.unique(np.concatenate([starts, ends, [start_us, end_us]]))
    highest = np.zeros(len(borders) - 1, dtype=np.int8)
    for level in np.unique(levels):
        opened = np.bincount(np.searchsorted(borders, starts[levels == level]), None, len(borders))
        closed = np.bincount(np.searchsorted(borders, ends[levels == level]), None, len(borders))
        highest[np.cumsum(opened - closed)[:-1] > 0] = level
    changes = np.flatnonzero(np.diff(highest, prepend=np.int8(-1)))
    return np.append(borders[changes], end_us), highest[changes]


def table(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    span: Span,
    cameras: Cameras,
    tasks: Sequence[str],
    ordered: Sequence[Scope] = (),
) -> pa.Table:
    """Rows camera, start, end, state; ordered by camera and start.

    Per camera they touch, differ from their neighbours and sum to ``span`` exactly. An open end
    is the camera's first or last footage; a camera without any is left out then. What is
    ``ordered`` to be erased is erased.
    """
    known = _known(connection, source, span, cameras, tasks=tasks, ordered=ordered)
    bounded = span.start_us is not None and span.end_us is not None
    names = set(known["camera"].unique().to_pylist())
    if bounded:
        everywhere = f"SELECT DISTINCT camera FROM {source('videos', ALWAYS, cameras)} WHERE "
        of_cameras = Where().of(cameras)
        found = duck.fetch(connection, everywhere + of_cameras.sql, of_cameras)
        names |= {*found["camera"].to_pylist(), *cameras.exact}
    parts = [SCHEMA.empty_table()]
    name_of_row = known["camera"].to_numpy()
    starts, ends, levels = (known[c].to_numpy() for c in ("start_us", "end_us", "level"))
    first = np.searchsorted(name_of_row, sorted(names))
    last = np.searchsorted(name_of_row, sorted(names), side="right")
    for camera, i, j in zip(sorted(names), first, last, strict=True):
        start_us = span.start_us if span.start_us is not None else int(starts[i:j].min())
        end_us = span.end_us if span.end_us is not None else int(ends[i:j].max())
        parts.append(_rows(camera, *sweep(start_us, end_us, starts[i:j], ends[i:j], levels[i:j])))
    return pa.concat_tables(parts).combine_chunks()


def _known(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    span: Span,
    cameras: Cameras,
    *,
    tasks: Sequence[str],
    ordered: Sequence[Scope],
) -> pa.Table:
    """Ranges that overlap ``span``, with their level; ordered by camera."""
    where = Where().overlaps(span).of(cameras)
    if tasks:
        where.among("task", tasks)
    ordered_videos = Where.any_of(scope.of_whole_videos() for scope in ordered)
    ordered_windows = Where.any_of(scope.of_rows() for scope in ordered)
    tables: dict[str, Any] = {
        "videos": source("videos", span, cameras),
        "windows": source("windows", span, cameras),
        "where": where.sql,
        "ordered_videos": ordered_videos.sql,
        "ordered_windows": ordered_windows.sql,
        "states": list(STATES),
        "not_analysed": STATES.index("not_analysed"),
        "pending": STATES.index("pending"),
        "failed": STATES.index("failed"),
        "erased": STATES.index("erased"),
    }
    # In the order in which the text asks for them.
    values = [*ordered_videos.values, *where.values * 2, *ordered_windows.values, *where.values * 2]
    sql = (
        "SELECT camera, start_us, end_us, level::TINYINT AS level "
        f"FROM ({_FILES.format(**tables)} UNION ALL {_WINDOWS.format(**tables)}) "
        f"WHERE {_touches(span)} ORDER BY camera"
    )
    return duck.fetch(connection, sql, Where(values=values))


def _touches(span: Span) -> str:
    clauses = ["start_us < end_us"]
    if span.start_us is not None:
        clauses.append(f"end_us > {span.start_us}")
    if span.end_us is not None:
        clauses.append(f"start_us < {span.end_us}")
    return " AND ".join(clauses)


def _rows(camera: str, borders: Int64Array, levels: Levels) -> pa.Table:
    names = pa.array(STATES)
    return pa.table(
        {
            "camera": pa.repeat(pa.scalar(camera), len(levels)),
            "start": pa.array(borders[:-1]).cast(_TIME),
            "end": pa.array(borders[1:]).cast(_TIME),
            "state": names.take(pa.array(levels)),
        }
    ).cast(SCHEMA)
