"""The table ``events``: what happened, when, in which files, and what each file shows of it."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pyarrow as pa

from pipeline.records import Box, Event, Part, make_id
from pipeline.records.pieces import without_pieces
from pipeline.tables.columns import Column, Columns, Row, list_of
from pipeline.tables.shared import (
    FLOAT32,
    INT32,
    PROVENANCE,
    STRING,
    STRINGS,
    TEXT_BY_NAME,
    Provenance,
    file_columns,
    media_range,
    range_columns,
    utc_instant,
    utc_range,
)

BOX: Columns[Box] = Columns(
    "Where something was at one moment, in pixels of the upright source picture.",
    [
        utc_instant("at", "The moment.", path="at_ns"),
        Column("x0", FLOAT32, "Left edge.", path="x0"),
        Column("y0", FLOAT32, "Upper edge.", path="y0"),
        Column("x1", FLOAT32, "Right edge.", path="x1"),
        Column("y1", FLOAT32, "Lower edge.", path="y1"),
    ],
)

PART: Columns[Part] = Columns(
    "The share of an event in one file.",
    [
        *file_columns(video_id="video_id", uri="uri"),
        *utc_range("span"),
        *media_range("media"),
    ],
)

_CONFIDENCE: Column[Event] = Column(
    "confidence",
    FLOAT32,
    "How sure the model is of the label, 0 to 1; null where it does not say.",
    path="confidence",
    nullable=True,
)
_VERDICT: Column[Event] = Column(
    "verdict",
    STRING,
    "The result of the verification: `confirmed`, `moved` or `split`; null if there was none.",
    path="verdict",
    nullable=True,
)
_FIELDS: Column[Event] = Column(
    "fields", TEXT_BY_NAME, "The task's extra fields, in the task's order.", path="fields"
)

PIECE: Columns[Event] = Columns(
    "What one file alone shows of an event that runs through several, beside its part.",
    [
        Column("event_id", STRING, "Id of the piece as an event of its own.", path="event_id"),
        Column("text", STRING, "What the file alone says of it.", path="text"),
        _CONFIDENCE,
        _VERDICT,
        _FIELDS,
        Column(
            "num_window_ids",
            INT32,
            "How many of the event's `window_ids` are of this file; they follow each other.",
            to_row=lambda piece: len(piece.window_ids),
        ),
        Column(
            "num_boxes",
            INT32,
            "How many of the event's `boxes` are of this file; they follow each other.",
            to_row=lambda piece: len(piece.boxes),
        ),
    ],
)

COLUMNS: Columns[Event] = Columns(
    "What happened: one row for each event, joined over the borders of windows and files.",
    [
        *range_columns(camera="camera", utc="span"),
        Column("label", STRING, "One of the task's labels.", path="label"),
        *file_columns(video_id="first.video_id", uri="first.uri"),
        *media_range("first.media"),
        Column("event_id", STRING, "Hash of what the event is.", path="event_id"),
        Column("text", STRING, "The sentence that tells it.", path="text"),
        _CONFIDENCE,
        _VERDICT,
        list_of(
            "boxes",
            BOX,
            "Where it was, by time; one object's track if the task asks for boxes.",
            path="boxes",
            makers={"": Box},
        ),
        _FIELDS,
        list_of(
            "parts",
            PART,
            "One entry for each file the event runs through; the first is (`video_id`, `uri`).",
            path="parts",
            makers={"": Part},
        ),
        Column(
            "pieces",
            pa.list_(PIECE.struct),
            "One entry for each part, so that the event can be split and joined again; null if "
            "there is one part.",
            to_row=lambda event: [PIECE.row(piece) for piece in event.joined] or None,
            nullable=True,
            items=PIECE,
        ),
        Column("window_ids", STRINGS, "The windows that show it.", path="window_ids"),
        *PROVENANCE,
        Column(
            "picture_width",
            INT32,
            "Width of the upright picture that the boxes are in.",
            path="picture_width",
            nullable=True,
        ),
        Column(
            "picture_height",
            INT32,
            "Height of that picture.",
            path="picture_height",
            nullable=True,
        ),
        Column(
            "zone",
            STRING,
            "The zone or line that the event tells of, its label is the rule; null if an engine "
            "saw the event.",
            path="zone",
            nullable=True,
        ),
        Column(
            "of_event_id",
            STRING,
            "The event whose boxes are in the zone; null if there are several.",
            path="of_event_id",
            nullable=True,
        ),
    ],
)


def events_table(events: Iterable[Event], provenance: Provenance) -> pa.Table:
    """Rows of ``events``."""
    return COLUMNS.table(events, **provenance.columns())


def events_of_table(table: pa.Table) -> list[Event]:
    """The records behind rows of ``events``, to join them with a neighbouring file's."""
    return [_event(row) for row in table.to_pylist()]


def rows_without(table: pa.Table, is_removed: Callable[[Event], bool]) -> pa.Table:
    """Rows of ``events`` without some of their pieces; an event is split where one is missing.

    What a zone tells of an event then names the part of it that remains at that time.
    """
    rows = [(row, _event(row)) for row in table.to_pylist()]
    remaining = [_remaining(row, event, is_removed) for row, event in rows]
    changed = {
        (row["event_id"], row["fingerprint"]): parts
        for (row, event), parts in zip(rows, remaining, strict=True)
        if parts != [event]
    }
    tables = [COLUMNS.schema.empty_table()]
    for number, ((row, event), parts) in enumerate(zip(rows, remaining, strict=True)):
        objects = changed.get((event.of_event_id or "", row["fingerprint"]), [])
        kept = [_told_of(objects, part) for part in parts]
        if kept == [event]:
            tables.append(table.slice(number, 1))
        else:
            tables.append(events_table(kept, Provenance.of_row(row)))
    return pa.concat_tables(tables)


def _remaining(row: Row, event: Event, is_removed: Callable[[Event], bool]) -> list[Event]:
    # An older timereel stored only the text of the first file.
    is_guessed = len(event.parts) > 1 and row["pieces"] is None
    return [] if is_guessed and is_removed(event.pieces[0]) else without_pieces(event, is_removed)


def _told_of(objects: Sequence[Event], event: Event) -> Event:
    for one in objects:
        if one.span.overlaps(event.span):
            return replace(event, of_event_id=one.event_id)
    return event


_event_of_row = COLUMNS.reader({"": Event})
_piece_of_row = PIECE.reader({"": dict})


def _event(row: Row) -> Event:
    event: Event = _event_of_row(row)
    if len(event.parts) == 1:
        return event
    return replace(event, joined=_pieces(event, row["pieces"] or _guessed_pieces(event)))


def _pieces(event: Event, rows: Sequence[Row]) -> tuple[Event, ...]:
    window_ids, boxes = iter(event.window_ids), iter(event.boxes)
    return tuple(
        replace(
            event,
            **_piece_of_row(row),
            span=part.span,
            parts=(part,),
            window_ids=tuple(islice(window_ids, row["num_window_ids"])),
            boxes=tuple(islice(boxes, row["num_boxes"])),
        )
        for part, row in zip(event.parts, rows, strict=True)
    )


def _guessed_pieces(event: Event) -> list[dict[str, Any]]:
    """An older timereel did not write which file showed what: the first file stands for all.

    But for boxes, which have their times.
    """
    pieces = []
    starts_ns = [part.span.start_ns for part in event.parts[1:]]
    of_part = Counter(bisect_right(starts_ns, box.at_ns) for box in event.boxes)
    for number in range(len(event.parts)):
        piece = PIECE.row(event) | {"num_boxes": of_part[number]}
        if number:
            piece |= {"event_id": make_id(event.event_id, number), "num_window_ids": 0}
        pieces.append(piece)
    return pieces
