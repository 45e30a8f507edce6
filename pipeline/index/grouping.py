"""Divides the rows of a write by their values, and into parts that one commit can name."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

# A predicate names at most this many ids; more ids need further commits.
_IDS_PER_COMMIT = 1000


def groups(rows: pa.Table, column: str) -> Iterator[tuple[str, pa.Table]]:
    """The distinct values of a column, each with its rows."""
    for value in rows[column].unique().to_pylist():
        yield value, rows.filter(pc.field(column) == value)


def chunks(rows: pa.Table, column: str) -> Iterator[tuple[list[str], pa.Table]]:
    """Parts of the rows with at most ``_IDS_PER_COMMIT`` ids each, none split."""
    ids = rows[column].unique().to_pylist()
    for i in range(0, len(ids), _IDS_PER_COMMIT):
        chunk_ids = ids[i : i + _IDS_PER_COMMIT]
        yield chunk_ids, rows.filter(is_among(column, chunk_ids))


def is_among(column: str, values: Iterable[str]) -> pc.Expression:
    """Condition: the column is one of the values, of which there may be none."""
    return pc.field(column).isin(pa.array(sorted(values), pa.string()))


def ids_of(rows: pa.Table, column: str) -> set[str]:
    """The distinct values of a column."""
    return set(rows[column].to_pylist())
