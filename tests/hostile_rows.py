"""An index of somebody else in which every text commands a terminal, a browser or a spreadsheet.

The rows follow from the declared tables, so that a new column is hostile, too.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
from deltalake import write_deltalake

import pipeline.index as pi
from pipeline.tables.schema import TABLES, TableName
from tests.index_rows import at, event, rows, segment, utterance, video, window

COMMANDS = "\x1b]0;owned\x07\x1b[2J\x9b2J\x00\x7f\r\u202egpj.\u2066\u2028\n\n"
MARKUP = "</title><script>alert(1)</script><img src=x onerror=alert(1)>]]>--> \"'&amp;"
TEXT = f'=HYPERLINK("http://127.0.0.1:9/","a"){COMMANDS}{MARKUP} [a](javascript:alert(1)) `*_#|'

Kind = Literal["texts", "numbers", "everything", "nothing", "little"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_PARSED = {"clock_correction", "config"}
"""Texts of a form that code reads; one of another form is refused before anything is shown."""
_OF_ZONES = {"zone"}
"""What a zone tells has no boxes of its own, so that half of the exports would leave it out."""


def hostile_index(folder: Path, kind: Kind, text: str = TEXT) -> Path:
    """An index with a row in each table, of which some or all values are hostile.

    ``texts`` and ``numbers`` are the most that a column can hold, and ``everything`` is both;
    ``nothing`` is null wherever that may be, and ``little`` are numbers next to none.
    """
    pi.Writer(folder)
    for name in TABLES:
        [row] = rows(name, _plain(name)).to_pylist()
        for field in TABLES[name]:
            if field.name != "date" and _is_changed(field, row[field.name], kind):
                row[field.name] = _instead(field.type, kind, text)
        row["date"] = (row["start"] or at(0)).date()
        write_deltalake(
            folder / name, pa.Table.from_pylist([row], schema=TABLES[name]), mode="append"
        )
    return folder


def _plain(name: TableName) -> dict[str, Any]:
    media = {"media_start": 1.0, "media_end": 2.0}
    box = {"at": at(12), "x0": 0.1, "y0": 0.1, "x1": 0.5, "y1": 0.5}
    given: dict[str, dict[str, Any]] = {
        "videos": video(num_frames=100, width=64, height=48, time_base="1/1000", rate="25/1")
        | {"clock_start_ns": 0, "origin_pts": 0},
        "windows": window("s", 0, 0, 600),
        "events": event("e1", at(10), at(20), window_ids=["s-0"], boxes=[box], **media),
        "segments": segment("g1", window_ids=["s-0"], **media),
        "utterances": utterance("u1", window_ids=["s-0"], **media),
    }
    return given.get(name) or {
        "video_id": "v1", "event_id": "e1", "start": at(0), "end": at(600), **media
    }  # fmt: skip


def _is_changed(field: pa.Field, value: Any, kind: Kind) -> bool:
    match kind:
        case "texts":
            is_free = not value or field.name in {"camera", "task"}
            return is_free and _is_text(field.type) and field.name not in _PARSED | _OF_ZONES
        case "numbers" | "little":
            return _is_number(field.type)
        case "nothing":
            return bool(field.nullable)
    return True


def _instead(of: pa.DataType, kind: Kind, text: str) -> Any:
    match kind:
        case "nothing":
            return None
        case "little":
            return 1 if pa.types.is_integer(of) else 5e-324
    return hostile(of, text)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _is_text(kind: pa.DataType) -> bool:
    """A text, texts, or a map of them."""
    kind = getattr(kind, "value_type", kind) if pa.types.is_list(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_map(kind)


def hostile(kind: pa.DataType, text: str) -> Any:
    """A value that this column may hold, and that nobody has thought of."""
    value: Any = text
    match kind:
        case pa.ListType() | pa.FixedSizeListType():
            value = [hostile(kind.value_type, text)] * getattr(kind, "list_size", 1)
        case pa.StructType():
            value = {field.name: hostile(field.type, text) for field in kind}
        case pa.MapType():
            value = [(hostile(kind.key_type, text), hostile(kind.item_type, text))]
        case pa.TimestampType():
            value = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
        case _ if pa.types.is_integer(kind):
            value = 2 ** (kind.bit_width - 1) - 1
        case _ if pa.types.is_floating(kind):
            value = float("inf")
        case _ if pa.types.is_boolean(kind):
            value = True
    return value
