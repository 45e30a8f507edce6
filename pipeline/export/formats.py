"""Rows of the index as a table for people, JSON lines, CSV, Parquet, WebVTT or SRT.

Each format but Parquet may end on a terminal, through a pipe or a file too. So none of them holds
a control character or one that changes the direction of text: JSON escapes them, and the others
have a space instead. Parquet keeps every text as it is stored.
"""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, BinaryIO, Literal

import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.export import webvtt
from pipeline.records.sanitize import escaped_json, sanitized, sanitized_lines

Format = Literal["table", "jsonl", "csv", "parquet", "webvtt", "srt"]

# The columns that format `table` shows, as far as the rows have them; other formats carry all.
_TABLE_COLUMNS = (
    "score",
    "camera",
    "start",
    "end",
    "status",
    "state",
    "page",
    "deck_page",
    "topic_page",
    "topic_deck_page",
    "level",
    "label",
    "title",
    "excerpt",
    "text",
    "method",
    "topic_reason",
    "confidence",
    "media_start",
    "media_end",
    "completion",
    "run_id",
    "heartbeat_at",
    "host",
    "pid",
    "shard",
    "num_videos_done",
    "num_videos_failed",
    "num_windows",
    "exit_code",
    "error",
    "uri",
)
_MAX_CELL_CHARS = 80
_ROWS_AT_ONCE = 8192
_NEVER_CUT = ("uri", "excerpt")
# A spreadsheet takes such a cell for a formula; some accept the full-width signs of East Asia too.
_FORMULA = re.compile("[\t\n]|\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20]")


def write_rows(table: pa.Table, form: Format, out: BinaryIO) -> None:
    """Write ``table`` to ``out``, a binary stream.

    Raises:
        ConfigError: WebVTT or SRT of rows of several videos, a time that Python cannot represent,
            or a type that Parquet cannot hold.
    """
    match form:
        case "parquet":
            import pyarrow.parquet as pq  # noqa: PLC0415 - a table for people needs none of it

            buffer = io.BytesIO()
            try:
                pq.write_table(table, buffer, compression="zstd")
            except pa.ArrowNotImplementedError as exc:  # SQL has types that Parquet has not
                raise ConfigError(f"parquet: {exc}; cast that column to text") from exc
            out.write(buffer.getvalue())
        case "jsonl":
            out.writelines(f"{line}\n".encode() for line in _json_lines(table))
        case "csv":
            text = io.StringIO()
            writer = csv.writer(text)
            writer.writerow(map(_csv_cell, table.column_names))
            writer.writerows([_csv_cell(v) for v in row.values()] for row in each_row(table))
            out.write(text.getvalue().encode())
        case "webvtt":
            out.write(webvtt.document(python_rows(table)).encode())
        case "srt":
            out.write(webvtt.srt(python_rows(table)).encode())
        case "table":
            _write_table(table, out)
    out.flush()


def to_json(value: Any) -> str:  # noqa: ANN401 - any value of a row
    """JSON with times as ISO 8601 in UTC, microseconds and ``Z``; safe on a terminal."""
    return escaped_json(json.dumps(value, default=_json_default, ensure_ascii=False))


def _json_lines(table: pa.Table) -> Iterator[str]:
    maps = {field.name for field in table.schema if pa.types.is_map(field.type)}
    for row in each_row(table):
        yield to_json({k: dict(v) if k in maps and v is not None else v for k, v in row.items()})


def each_row(table: pa.Table) -> Iterator[dict[str, Any]]:
    """As ``python_rows``, of a table that may be large."""
    for first in range(0, table.num_rows, _ROWS_AT_ONCE):
        yield from python_rows(table.slice(first, _ROWS_AT_ONCE))


def python_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows as Python values; times are UTC without a time zone.

    To convert a time with a zone, pyarrow imports pandas, which takes a third of a query's time.
    """
    values = [
        _times(field.name, column) if _has_time(field.type) else _plain(column).to_pylist()
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    names = table.column_names
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values in place of numbers of a dictionary, for each of which pyarrow makes an object."""
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def _times(name: str, column: pa.ChunkedArray) -> list[Any]:
    try:
        # safe=False drops nanoseconds, which SQL has and Python has not.
        return list(column.cast(_without_zone(column.type), safe=False).to_pylist())
    except (OverflowError, ValueError) as exc:  # SQL has infinity and years before 1
        raise ConfigError(
            f"{name} holds a time outside the years 1 to 9999; cast it to text: {name}::VARCHAR"
        ) from exc


def _has_time(kind: pa.DataType) -> bool:
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return True
    return any(_has_time(kind.field(i).type) for i in range(kind.num_fields))


def _without_zone(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us")
    if pa.types.is_list(kind):
        return pa.list_(_without_zone(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(f.name, _without_zone(f.type)) for f in kind.fields])
    if pa.types.is_map(kind):
        return pa.map_(kind.key_type, _without_zone(kind.item_type))
    return kind


def _json_default(value: object) -> int | str:
    match value:
        case datetime():
            return f"{value.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
        case date():
            return value.isoformat()
        case Decimal() if value == value.to_integral_value():  # a sum of whole numbers in SQL
            return int(value)
        case _:
            return str(value)


def _csv_cell(value: Any) -> Any:  # noqa: ANN401 - any value of a row
    """Numbers as they are; all else as text, after an apostrophe if it looks like a formula."""
    if value is None or isinstance(value, int | float | Decimal):
        return value
    text = to_json(value).strip('"') if isinstance(value, list | dict | date) else str(value)
    text = sanitized_lines(text)
    return f"'{text}" if _FORMULA.match(text) else text


def _write_table(table: pa.Table, out: BinaryIO) -> None:
    import rich.box  # noqa: PLC0415 - only this format needs it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # The result of a SELECT is shown with all its columns.
    is_stored = {"task", "fingerprint"} <= set(table.column_names)
    shown = (
        [n for n in _TABLE_COLUMNS if n in table.column_names] if is_stored else table.column_names
    )
    if is_stored and "excerpt" in shown:  # the part of the text around the match
        shown.remove("text")
    sheet = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for name in shown:
        sheet.add_column(
            Text(sanitized(name)), overflow="fold" if name in _NEVER_CUT else "ellipsis"
        )
    for row in python_rows(table.select(shown)):
        sheet.add_row(*(Text(_cell(name, row[name])) for name in shown))
    is_terminal = out is sys.stdout.buffer and sys.stdout.isatty()
    text = io.StringIO()
    console = Console(file=text, width=None if is_terminal else 200, force_terminal=is_terminal)
    console.print(sheet)
    console.print(Text(f"{table.num_rows} row{'' if table.num_rows == 1 else 's'}"))
    out.write(text.getvalue().encode())


def _cell(name: str, value: Any) -> str:  # noqa: ANN401 - any value of a row
    match value:
        case None:
            return ""
        case datetime():
            # Milliseconds are enough for people; other formats keep microseconds.
            return value.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"
        case float():
            return f"{value:.3f}" if name.startswith("media") else f"{value:.2f}"
        case str():
            line = " ".join(sanitized(value).split())
            cut = len(line) > _MAX_CELL_CHARS and name not in _NEVER_CUT
            return line[: _MAX_CELL_CHARS - 1] + "\u2026" if cut else line
        case _:
            return sanitized(str(value))
