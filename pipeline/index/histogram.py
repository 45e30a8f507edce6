"""Counts rows per step (an hour, or any other duration) of a range."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from datetime import timedelta

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.index import duck
from pipeline.index.filters import Span, Where

_TIME = pa.timestamp("us", tz="UTC")
_MAX_STEPS = 1_000_000
SCHEMA = pa.schema(
    [
        pa.field("start", _TIME, nullable=False),
        pa.field("end", _TIME, nullable=False),
        pa.field("num_rows", pa.int64(), nullable=False),
    ]
)


def table(
    connection: duckdb.DuckDBPyConnection, source: str, where: Where, span: Span, every: timedelta
) -> pa.Table:
    """Rows start, end, num_rows: steps of ``every`` that tile ``span``; the last may be shorter.

    A row counts in every step that it overlaps, just as a query of that step finds it.

    Raises:
        ConfigError: the range is open, or the step is not positive or far too short for the range.
    """
    if span.start_us is None or span.end_us is None:
        raise ConfigError("a histogram needs both ends of its range; give from and to")
    step_us = every // timedelta(microseconds=1)
    if step_us <= 0 or (span.end_us - span.start_us) // step_us >= _MAX_STEPS:
        raise ConfigError(
            f"histogram step {every}: must be above 0 and give fewer than {_MAX_STEPS} steps"
        )
    borders = np.append(np.arange(span.start_us, span.end_us, step_us), span.end_us)
    first_us = f'greatest(epoch_us("start"), {span.start_us})'
    last_us = f'least(epoch_us("end"), {span.end_us}) - 1'
    # Integer arithmetic: date_trunc() on timestamps with a zone takes several times the scan
    # itself.
    counts = duck.fetch(
        connection,
        f"SELECT ({first_us} - {span.start_us}) // {step_us} AS first, "
        f"({last_us} - {span.start_us}) // {step_us} AS last, count(*) AS num_rows "
        f"FROM {source} WHERE {where.sql} GROUP BY ALL",
        where,
    )
    first, last, num_rows = (counts[name].to_numpy() for name in ("first", "last", "num_rows"))
    changes = np.zeros(len(borders), dtype=np.int64)
    np.add.at(changes, first, num_rows)
    np.subtract.at(changes, last + 1, num_rows)
    columns = [
        pa.array(borders[:-1]).cast(_TIME),
        pa.array(borders[1:]).cast(_TIME),
        pa.array(np.cumsum(changes)[:-1]),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
