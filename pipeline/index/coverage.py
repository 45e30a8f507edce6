"""The state of each moment of each camera; it distinguishes the reasons for "nothing found".

The state of a moment is the highest that files and windows give it:

* ``analysed``      an engine analysed it
* ``quiet``         the gate saw no change, or no object that is waited for (``quiet_reason`` of the
                    table ``windows``), so no engine analysed it
* ``erased``        its rows were erased on purpose, and no job analyses it again unless a user asks
                    for that. It is erased from the commit of the order, even while rows remain
* ``failed``        it could not be analysed
* ``pending``       a part of its file is not yet analysed; the next run does that
* ``not_analysed``  there is footage, but no window
* ``no_footage``    the index knows of no frame
"""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.index import duck
from pipeline.index.filters import ALWAYS, WAS_READ, Cameras, Span, Where
from pipeline.index.scope import Scope
from pipeline.records.speech import HEARD
from pipeline.tables.schema import TableName
from pipeline.timebase import Int64Array

STATES = ("no_footage", "not_analysed", "pending", "failed", "erased", "quiet", "analysed")
"""Ascending: where two states overlap, the later one in this list applies."""
NO_FOOTAGE = STATES.index("no_footage")

Kind = Literal["seen", "heard"]
"""Two kinds of answers to a moment: nothing said is not the same as not listened to."""

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
Levels: TypeAlias = npt.NDArray[np.int8]
Swept: TypeAlias = tuple[str, Int64Array, Levels]
"""A camera, and what ``sweep`` gives for it."""

# Of a file that could not be read its footage is not known, only perhaps its start and end; one
# whose time or length is unknown (end = start + 1 us) gives no moment a state.
_FILES = """
SELECT camera, epoch_us(shown.start) AS start_us, epoch_us(shown.end) AS end_us, level FROM (
    SELECT camera, unnest(footage) AS shown,
        CASE
            WHEN status = 'erased' OR {ordered_videos} THEN {erased}
            WHEN status = 'pending' THEN {pending}
            WHEN status = 'failed' THEN {failed}
            ELSE {not_analysed}
        END AS level
    FROM {videos} WHERE {where}
    UNION ALL
    SELECT camera, {{'start': "start", 'end': "end"}} AS shown, {failed} AS level
    FROM {videos} WHERE NOT {was_read} AND clock <> 'none' AND {where}
        AND epoch_us("end") - epoch_us("start") > 1)
"""

# A window counts only where its video has footage, even if its range reaches over a gap. While a
# run still works on a video, its footage is not known, and its windows count with their whole
# range.
_WINDOWS = """
SELECT camera, epoch_us(greatest(w."start", shown.start)) AS start_us,
       epoch_us(least(w."end", shown.end)) AS end_us,
       list_position({states}, w.state) - 1 AS level
FROM (SELECT *, CASE WHEN {ordered_windows} THEN 'erased' ELSE status END AS state
      FROM {windows} WHERE {where}) w
LEFT JOIN (SELECT video_id, task, unnest(footage) AS shown
           FROM {videos} WHERE {where}) v USING (video_id, task)
WHERE coalesce(shown.start < w."end" AND shown.end > w."start", true)
"""


def sweep(
    start_us: int, end_us: int, starts_us: Int64Array, ends_us: Int64Array, levels: Levels
) -> tuple[Int64Array, Levels]:
    """Cut ``[start_us, end_us)`` where the highest level of the given ranges changes.

    Returns:
        The borders [N + 1], of which the first and last are those of the range, and the level
        between each two [N]. The level is 0 where there is no range, and two neighbours differ.
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


def table(swept: Iterable[Swept]) -> pa.Table:
    """Rows camera, start, end, state of what ``by_camera`` gives."""
    parts = [SCHEMA.empty_table(), *(_rows(*one) for one in swept)]
    return pa.concat_tables(parts).combine_chunks()


def by_camera(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    span: Span,
    cameras: Cameras,
    tasks: Sequence[str],
    kind: Kind | None = None,
    ordered: Sequence[Scope] = (),
) -> Iterator[Swept]:
    """Each camera, ordered by name, with the borders and levels of ``sweep``.

    An open end of ``span`` is the camera's first or last footage; then a camera without footage is
    omitted. Everything in the scopes ``ordered`` to be erased counts as erased.
    """
    ranges = _ranges(connection, source, span, cameras, tasks=tasks, kind=kind, ordered=ordered)
    is_bounded = span.start_us is not None and span.end_us is not None
    names = set(ranges["camera"].unique().to_pylist())
    if is_bounded:
        names |= {*cameras.exact}
    # Which other cameras there are, footage of any time tells; that is most of the work.
    if is_bounded and (cameras.globs or not cameras.exact):
        all_times = f"SELECT DISTINCT camera FROM {source('videos', ALWAYS, cameras)} WHERE "
        of_cameras = Where().of(cameras)
        rows = duck.fetch(connection, all_times + of_cameras.sql, of_cameras)
        names |= {*rows["camera"].to_pylist()}
    name_of_row = ranges["camera"].to_numpy()
    starts, ends, levels = (ranges[c].to_numpy() for c in ("start_us", "end_us", "level"))
    first = np.searchsorted(name_of_row, sorted(names))
    last = np.searchsorted(name_of_row, sorted(names), side="right")
    for camera, i, j in zip(sorted(names), first, last, strict=True):
        start_us = span.start_us if span.start_us is not None else int(starts[i:j].min())
        end_us = span.end_us if span.end_us is not None else int(ends[i:j].max())
        yield camera, *sweep(start_us, end_us, starts[i:j], ends[i:j], levels[i:j])


def _ranges(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    span: Span,
    cameras: Cameras,
    *,
    tasks: Sequence[str],
    kind: Kind | None,
    ordered: Sequence[Scope],
) -> pa.Table:
    """The ranges of files and windows that overlap ``span``, with their level; by camera."""
    where = Where().overlaps(span).of(cameras)
    if tasks:
        where.is_one_of("task", tasks)
    if kind:
        where.add("task = ?" if kind == "heard" else "task <> ?", HEARD)
    ordered_videos = Where.any_of(scope.of_whole_videos() for scope in ordered)
    ordered_windows = Where.any_of(scope.of_rows() for scope in ordered)
    tables: dict[str, Any] = {
        "videos": source("videos", span, cameras),
        "windows": source("windows", span, cameras),
        "where": where.sql,
        "was_read": WAS_READ,
        "ordered_videos": ordered_videos.sql,
        "ordered_windows": ordered_windows.sql,
        "states": list(STATES),
        "not_analysed": STATES.index("not_analysed"),
        "pending": STATES.index("pending"),
        "failed": STATES.index("failed"),
        "erased": STATES.index("erased"),
    }
    # In the order of the placeholders in the SQL text.
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
