"""``python -m pipeline.tables.reference docs/tables.md``: every table and column, as Markdown."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from pipeline.tables.columns import Columns
from pipeline.tables.schema import READABLE

_HEAD = """\
# Tables and columns

This page is written by `python -m pipeline.tables.reference docs/tables.md` from the
declarations in `pipeline/tables/`. [reading.md](reading.md) shows how to read the tables.

Instants are UTC in microseconds. Media time is seconds in the file `uri`. Every range is half-open:
its start belongs to it and its end does not. A column that may be null says so; where
a column was added later it is null in rows of older versions of timereel.
"""


def reference() -> str:
    """The page: of every table what it holds, and of each column its type and meaning."""
    tables = (
        "\n".join(
            [
                f"## {name}\n\n{table.doc}\n",
                "| column | type | what it holds |",
                "|---|---|---|",
                *_lines(table),
                "",
            ]
        )
        for name, table in READABLE.items()
    )
    return "\n".join([_HEAD, *tables])


def _lines(columns: Columns[object], within: str = "") -> Iterator[str]:
    for column in columns.columns:
        may_be_null = " or null" if column.nullable and not within else ""
        yield f"| `{within}{column.name}` | {_named(column.kind)}{may_be_null} | {column.doc} |"
        if column.items:
            yield from _lines(column.items, f"{within}{column.name}[].")


def _named(kind: pa.DataType) -> str:
    if pa.types.is_map(kind):
        return f"map of {_named(kind.key_type)} to {_named(kind.item_type)}"
    if pa.types.is_list(kind):
        return f"list of {_named(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "struct"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    return {"date32[day]": "date", "double": "float64", "float": "float32"}.get(
        str(kind), str(kind)
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
