"""Checks rows as they are read: another program may have written them, or somebody who means harm.

What stands in them is used as a number and as a range of time. So a missing value, a number that is
none, and a range that is empty are damage, which is named, and no bug of whoever uses the row.
"""

from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import IndexDamagedError
from pipeline.tables.columns import Column
from pipeline.tables.schema import READ, READABLE, ReadTable

# Rows of the first version may hold no media time of their own, only their parts do.
_ENDS_OF_ROWS = ("end",)
_ENDS_OF_ITEMS = ("end", "media_end")
# 300 years in seconds; nothing that is stored as a float is more.
_LARGEST = 1e10
MAX_TEXT_BYTES = 16 * 1024 * 1024
"""Twice the longest answer of an endpoint. A small file may hold a longer one, packed, and to show
it takes forty times its memory."""


def as_declared(root: str, name: ReadTable, rows: pa.Table) -> pa.Table:
    """The rows, which may have some columns only, with the declared types.

    Raises:
        IndexDamagedError: a column holds what no timereel writes.
    """
    if problem := oddity(name, rows):
        raise IndexDamagedError(root, f"rows that are no rows of timereel: {name}: {problem}")
    return rows.cast(_schema(name, rows))


def oddity(name: ReadTable, rows: pa.Table) -> str:
    """What in these rows no timereel writes; "" if nothing."""
    try:
        rows = rows.cast(_schema(name, rows))
    except (ValueError, pa.ArrowException) as exc:
        return str(exc)
    columns = [column for column in READABLE[name].columns if column.name in rows.column_names]
    for column in columns:
        # Not of what an item of a list holds: older versions wrote items without some fields.
        if not column.nullable and rows[column.name].null_count:
            return f"{column.name} is missing"
    # Batch by batch: one array holds at most 2 GiB of text.
    for batch in rows.to_batches():
        values = [batch.column(column.name) for column in columns]
        if problem := _problem_of_all(columns, values, _ENDS_OF_ROWS):
            return problem
    return ""


def _schema(name: ReadTable, rows: pa.Table) -> pa.Schema:
    return pa.schema([READ[name].field(column) for column in rows.column_names])


def _problem_of_all(
    columns: Sequence[Column[Any]], values: Sequence[pa.Array], ends: Collection[str]
) -> str:
    by_name = {column.name: array for column, array in zip(columns, values, strict=True)}
    for column in columns:
        if problem := _problem(column, by_name[column.name]):
            return f"{column.name} {problem}"
    for column in columns:
        if column.name in ends and column.ends in by_name:
            is_empty = pc.less_equal(by_name[column.name], by_name[column.ends])
            if pc.any(is_empty).as_py():
                return f"{column.ends} is not before {column.name}"
    return ""


def _problem(column: Column[Any], values: pa.Array) -> str:
    if not pa.types.is_list(values.type):
        return _problem_of_values(values)
    items = values.flatten()
    if items.null_count:
        return "lacks an item"
    if column.items:
        return _problem_of_all(column.items.columns, items.flatten(), _ENDS_OF_ITEMS)
    return _problem_of_values(items)


def _problem_of_values(values: pa.Array) -> str:
    if pa.types.is_string(values.type):
        return _problem_of_texts(values)
    return _problem_of_floats(values) if pa.types.is_floating(values.type) else ""


def _problem_of_texts(values: pa.Array) -> str:
    longest = pc.max(pc.binary_length(values)).as_py()
    is_short = longest is None or longest <= MAX_TEXT_BYTES
    return "" if is_short else f"holds a text of more than {MAX_TEXT_BYTES:,} bytes"


def _problem_of_floats(values: pa.Array) -> str:
    # Not pc.less(): to compare with a number it imports pandas, a third of a query's time.
    largest = pc.max(pc.abs(values)).as_py()
    is_finite = pc.all(pc.is_finite(values)).as_py()  # None where there are no numbers
    return (
        ""
        if largest is None or (is_finite and largest < _LARGEST)
        else f"holds what is no number below {_LARGEST:g}"
    )
