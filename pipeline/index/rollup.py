"""Counts of events by day, camera and label, and by hour and label: a sidecar for long timelines.

It is made from data files, which never change, and names those that it has counted. A query adds
the files that it lacks, and leaves out those that the table has lost; if there are many of either,
the sidecar is made again. So it is never wrong, and may be removed at any time.

One that came with somebody else's index may hold anything: it can lie about figures as the tables
themselves can, and do nothing else.
"""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import IndexDamagedError
from pipeline.index.duck import pattern, quote
from pipeline.index.filters import ALL, Cameras, Span, Where
from pipeline.index.query import Index
from pipeline.index.sidecars import rollup_folder
from pipeline.index.store import Store
from pipeline.records import make_id

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

# So many files may differ from the table's before the sidecar is made again.
_MAX_OTHERS = 32
_FORMAT = "v1"
_ROW_GROUP = 16_384
_COUNTS = "label IS NOT NULL AND first <= last AND num BETWEEN 1 AND 2147483647"
_SCHEMA = pa.schema(
    [
        pa.field("camera", pa.string()),  # null: all cameras together
        pa.field("label", pa.string()),
        pa.field("first", pa.int64()),  # number of the day or, for all cameras, of the hour
        pa.field("last", pa.int64()),
        pa.field("num", pa.int64()),
        pa.field("file", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class _Rollup:
    """One file of counts, and the numbers of the data files in it."""

    path: Path | None
    files: Mapping[str, int]

    @classmethod
    def newest(cls, store: Store) -> Self:
        """The newest one; an empty one if there is none that can be read."""
        with suppress(ImportError, OSError, ValueError, KeyError, RecursionError):
            paths = rollup_folder(store).glob(f"{_FORMAT}-*.parquet")
            if path := max(paths, key=lambda path: path.stat().st_mtime_ns, default=None):
                schema = pq.read_schema(path)
                files = json.loads(schema.metadata[b"files"])
                if schema.remove_metadata() == _SCHEMA and _are_numbers(files):
                    return cls(path, files)
        return cls(None, {})


def _are_numbers(files: object) -> bool:
    """Whether this says numbers of files, which become a part of SQL."""
    return isinstance(files, dict) and all(type(number) is int for number in files.values())


def counted(
    index: Index, span: Span, step_us: int, *, cameras: Cameras, by_camera: bool
) -> pa.Table | None:
    """Rows camera, label, first, last, num: events by the numbers of their bins since the epoch.

    None if bins of this length do not consist of whole days (or hours, for all cameras together),
    if the index has several answers to one video, or if the sidecar cannot be read to its end.
    """
    try:
        return _counted(index, span, step_us, cameras=cameras, by_camera=by_camera)
    except duckdb.InterruptException:
        raise
    except (IndexDamagedError, duckdb.Error, pa.ArrowException, OSError):
        return None  # if the events cannot be read, either, who reads them says so


def _counted(
    index: Index, span: Span, step_us: int, *, cameras: Cameras, by_camera: bool
) -> pa.Table | None:
    for_all = not by_camera and cameras == ALL
    unit_us = HOUR_US if for_all else DAY_US
    if step_us % unit_us or index.has_generations:
        return None
    current = index.files("events")
    rollup = _Rollup.newest(index.store)
    if len(rollup.files.keys() ^ set(current)) > _MAX_OTHERS:
        rollup = _refreshed(index, rollup, current)
    missing = [path for path in current if path not in rollup.files]
    parts = [_raw(index, missing, step_us)] if missing else []
    if rollup.path:
        lost = sorted(number for path, number in rollup.files.items() if path not in set(current))
        parts.append(_rolled(rollup.path, lost, unit_us, step_us, for_all=for_all))
    if not parts:
        return None
    first, last = (span.start_us or 0) // step_us, ((span.end_us or 0) - 1) // step_us
    where = Where().of(cameras).add("first <= ? AND last >= ?", last, first)
    return index.fetch(
        f"""SELECT {"camera" if by_camera else "''"} AS camera, label, first, last,
            sum(num)::BIGINT AS num
        FROM ({" UNION ALL ".join(parts)}) WHERE {where.sql} GROUP BY ALL""",
        where,
    )


def _rolled(path: Path, lost: Iterable[int], unit_us: int, step_us: int, *, for_all: bool) -> str:
    units = step_us // unit_us
    kept = f"AND file NOT IN ({', '.join(map(str, lost))})" if lost else ""
    return (
        f"SELECT camera, label, first // {units} AS first, last // {units} AS last, num "
        f"FROM read_parquet({quote(pattern(str(path)))}) "
        f"WHERE camera IS {'' if for_all else 'NOT '}NULL AND {_COUNTS} {kept}"
    )


def _raw(index: Index, files: list[str], step_us: int) -> str:
    return (
        f'SELECT camera, label, epoch_us("start") // {step_us} AS first, '
        f'(epoch_us("end") - 1) // {step_us} AS last, 1 AS num '
        f"FROM {index.source_of_files('events', files)}"
    )


def _refreshed(index: Index, former: _Rollup, current: list[str]) -> _Rollup:
    """A new rollup of the current files; the former one if no folder for it can be written."""
    known = {path: number for path, number in former.files.items() if path in set(current)}
    numbers = iter(range(max(former.files.values(), default=-1) + 1, 2**31))
    added = {path: next(numbers) for path in current if path not in known}
    tables = [_SCHEMA.empty_table()]
    if former.path and known:
        kept = pq.read_table(former.path)
        tables.append(kept.filter(pc.field("file").isin(list(known.values()))).cast(_SCHEMA))
    tables += [_of_file(index, path, number) for path, number in added.items()]
    files = known | added
    rows = pa.concat_tables(tables).sort_by([("camera", "ascending"), ("first", "ascending")])
    rows = rows.replace_schema_metadata({"files": json.dumps(files)})
    with suppress(ImportError, OSError):
        folder = rollup_folder(index.store)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{_FORMAT}-{make_id(*sorted(files.items()))}.parquet"
        part = path.with_suffix(f".{os.getpid()}.part")
        pq.write_table(rows, part, compression="zstd", row_group_size=_ROW_GROUP)
        part.replace(path)
        for other in folder.glob("*.parquet"):
            if other != path:
                other.unlink(missing_ok=True)
        return _Rollup(path, files)
    return former


def _of_file(index: Index, path: str, number: int) -> pa.Table:
    parts = (
        f'SELECT {camera} AS camera, label, epoch_us("start") // {unit_us} AS first, '
        f'(epoch_us("end") - 1) // {unit_us} AS last, count(*) AS num, {number}::INTEGER AS file '
        f"FROM {index.source_of_files('events', [path])} GROUP BY ALL"
        for camera, unit_us in (("camera", DAY_US), ("NULL::VARCHAR", HOUR_US))
    )
    return index.fetch(" UNION ALL ".join(parts), Where()).cast(_SCHEMA)
