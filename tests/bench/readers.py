"""The same questions, asked in five ways over the same rows.

All but the index read one folder of plain Parquet, the very files of the compacted index: one per
day, sorted by camera and start. They are told what only the index knows by itself: that no event
is longer than six hours.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from pipeline.index import Index, duck
from pipeline.tables.schema import EVENTS

LONGEST = timedelta(hours=6)
_HOUR_US = 3_600_000_000
_RANGE = ["start", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Events that overlap ``[start, end)``: the rows, or how many there are in each hour."""

    name: str
    start: datetime
    end: datetime
    camera: str | None = None
    label: str | None = None
    per_hour: bool = False


Reader = Callable[[Question], list[int]]
"""Gives the number of rows, or those per hour."""


def through_index(index: Index) -> Reader:
    """As a user asks."""

    def ask(asked: Question) -> list[int]:
        if asked.per_hour:
            return index.histogram(asked.start, asked.end)["num_rows"].to_pylist()
        found = index.events(asked.start, asked.end, camera=asked.camera, label=asked.label)
        return [found.num_rows]

    return ask


def limit(folder: Path) -> Reader:
    """DuckDB over the exact files, known beforehand: nothing is looked up, planned or checked."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET parquet_metadata_cache = true")
    columns = duck.identifiers(EVENTS.names)
    bounds = [(str(path), *_bounds_us(path)) for path in sorted(folder.glob("*/*.parquet"))]

    def ask(asked: Question) -> list[int]:
        start_us, end_us = _us(asked.start), _us(asked.end)
        files = [path for path, first, last in bounds if first < end_us and last > start_us]
        where, values = ['"start" < ?', '"end" > ?'], [asked.end, asked.start]
        for name in ("camera", "label"):
            if (wanted := getattr(asked, name)) is not None:
                where.append(f"{name} = ?")
                values.append(wanted)
        selected = f"FROM read_parquet({files}, hive_partitioning = true) WHERE "
        if asked.per_hour:
            sql = (
                f'SELECT greatest(epoch_us("start") - {start_us}, 0) // {_HOUR_US} AS first, '
                f'(least(epoch_us("end"), {end_us}) - 1 - {start_us}) // {_HOUR_US} AS last, '
                f"count(*) AS rows {selected + ' AND '.join(where)} GROUP BY ALL"
            )
            found = connection.sql(sql, params=values).to_arrow_table()
            return _per_hour(asked, *(found[name].to_numpy() for name in found.column_names))
        sql = (
            f'SELECT {columns} {selected + " AND ".join(where)} ORDER BY "start", camera, event_id'
        )
        return [connection.sql(sql, params=values).to_arrow_table().num_rows]

    return ask


def pandas(folder: Path) -> Reader:
    """``pandas.read_parquet`` with filters, the partition named."""
    import pandas as pd

    def ask(asked: Question) -> list[int]:
        filters = [
            ("date", ">=", str((asked.start - LONGEST).date())),
            ("date", "<=", str(asked.end.date())),
            ("start", "<", asked.end),
            ("end", ">", asked.start),
            *((name, "==", getattr(asked, name)) for name in _equal(asked)),
        ]
        if asked.per_hour:
            found = pd.read_parquet(folder, filters=filters, columns=_RANGE)
            return _count(asked, *(found[at].astype("int64").to_numpy() for at in found))
        return [len(pd.read_parquet(folder, filters=filters).sort_values("start"))]

    return ask


def pyarrow(folder: Path) -> Reader:
    """A dataset that is kept open."""
    partitioning = ds.partitioning(pa.schema([("date", pa.date32())]), flavor="hive")
    dataset = ds.dataset(folder, partitioning=partitioning)

    def ask(asked: Question) -> list[int]:
        where = (
            (pc.field("date") >= (asked.start - LONGEST).date())
            & (pc.field("date") <= asked.end.date())
            & (pc.field("start") < pa.scalar(asked.end, EVENTS.field("start").type))
            & (pc.field("end") > pa.scalar(asked.start, EVENTS.field("start").type))
        )
        for name in _equal(asked):
            where &= pc.field(name) == getattr(asked, name)
        if asked.per_hour:
            found = dataset.to_table(filter=where, columns=_RANGE)
            return _count(asked, *(found[at].cast(pa.int64()).to_numpy() for at in _RANGE))
        return [dataset.to_table(filter=where).sort_by("start").num_rows]

    return ask


def pyiceberg(folder: Path, warehouse: Path) -> Reader | None:
    """An Iceberg table of the very same files, loaded once; None where it is not installed."""
    try:
        from pyiceberg import expressions as ice
        from pyiceberg.catalog.sql import SqlCatalog
    except ImportError:
        return None
    shutil.rmtree(warehouse, ignore_errors=True)
    warehouse.mkdir()
    catalog = SqlCatalog(
        "bench", uri=f"sqlite:///{warehouse}/c.db", warehouse=f"file://{warehouse}"
    )
    catalog.create_namespace("bench")
    files = [str(path) for path in sorted(folder.glob("*/*.parquet"))]
    table = catalog.create_table("bench.events", pq.read_schema(files[0]))
    table.add_files(files, check_duplicate_files=False)

    def ask(asked: Question) -> list[int]:
        where = ice.And(
            ice.LessThan("start", asked.end.isoformat()),
            ice.GreaterThan("end", asked.start.isoformat()),
            *(ice.EqualTo(name, getattr(asked, name)) for name in _equal(asked)),
        )
        if asked.per_hour:
            found = table.scan(where, selected_fields=tuple(_RANGE)).to_arrow()
            return _count(asked, *(found[at].cast(pa.int64()).to_numpy() for at in _RANGE))
        return [table.scan(where).to_arrow().sort_by("start").num_rows]

    return ask


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def _bounds_us(path: Path) -> tuple[int, int]:
    rows = pq.read_table(path, columns=_RANGE)
    return _us(pc.min(rows["start"]).as_py()), _us(pc.max(rows["end"]).as_py())


def _equal(asked: Question) -> list[str]:
    return [name for name in ("camera", "label") if getattr(asked, name) is not None]


def _count(asked: Question, starts_us: np.ndarray, ends_us: np.ndarray) -> list[int]:
    start_us, end_us = _us(asked.start), _us(asked.end)
    first = (np.maximum(starts_us, start_us) - start_us) // _HOUR_US
    last = (np.minimum(ends_us, end_us) - 1 - start_us) // _HOUR_US
    return _per_hour(asked, first, last, np.ones(len(first), np.int64))


def _per_hour(asked: Question, first: np.ndarray, last: np.ndarray, rows: np.ndarray) -> list[int]:
    hours = (asked.end - asked.start) // timedelta(hours=1)
    opened = np.bincount(first, rows, hours + 1)
    closed = np.bincount(last + 1, rows, hours + 1)
    return np.cumsum(opened - closed)[:-1].astype(int).tolist()
