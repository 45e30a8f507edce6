"""Events become rows and come back as records, with what each file shows of them."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pyarrow as pa

from pipeline.records import Box, Event, Part, make_id
from pipeline.tables.rows import Provenance, instant, media_columns, range_columns
from pipeline.tables.schema import EVENTS
from pipeline.timebase import TimeRange, datetime_to_ns, seconds_to_ns


def events_table(events: Iterable[Event], provenance: Provenance) -> pa.Table:
    """Rows of ``events``."""
    rows = [
        {
            **range_columns(event.camera, event.span),
            **media_columns(event.parts[0].video_id, event.parts[0].uri, event.parts[0].media),
            "event_id": event.event_id,
            "label": event.label,
            "text": event.text,
            "confidence": event.confidence,
            "verdict": event.verdict,
            "boxes": [
                {"at": instant(box.at_ns), "x0": box.x0, "y0": box.y0, "x1": box.x1, "y1": box.y1}
                for box in event.boxes
            ],
            "fields": list(event.fields),
            "parts": [
                {
                    **media_columns(part.video_id, part.uri, part.media),
                    "start": instant(part.span.start_ns),
                    "end": instant(part.span.end_ns),
                }
                for part in event.parts
            ],
            "pieces": [_piece_row(piece) for piece in event.joined] or None,
            "window_ids": list(event.window_ids),
            **provenance.columns(),
        }
        for event in events
    ]
    return pa.Table.from_pylist(rows, schema=EVENTS)


def _piece_row(piece: Event) -> dict[str, Any]:
    return {
        "event_id": piece.event_id,
        "text": piece.text,
        "confidence": piece.confidence,
        "verdict": piece.verdict,
        "fields": list(piece.fields),
        "num_window_ids": len(piece.window_ids),
        "num_boxes": len(piece.boxes),
    }


def events_of_table(table: pa.Table) -> list[Event]:
    """The records behind rows of ``events``, to join them with a neighbouring file's."""
    return [_event(row) for row in table.to_pylist()]


def _event(row: Mapping[str, Any]) -> Event:
    event = Event(
        event_id=row["event_id"],
        camera=row["camera"],
        span=TimeRange(datetime_to_ns(row["start"]), datetime_to_ns(row["end"])),
        label=row["label"],
        text=row["text"],
        confidence=row["confidence"],
        verdict=row["verdict"],
        boxes=tuple(
            Box(
                at_ns=datetime_to_ns(box["at"]),
                x0=box["x0"],
                y0=box["y0"],
                x1=box["x1"],
                y1=box["y1"],
            )
            for box in row["boxes"]
        ),
        fields=tuple(row["fields"]),
        parts=tuple(
            Part(
                video_id=part["video_id"],
                uri=part["uri"],
                span=TimeRange(datetime_to_ns(part["start"]), datetime_to_ns(part["end"])),
                media=TimeRange(
                    seconds_to_ns(part["media_start"]), seconds_to_ns(part["media_end"])
                ),
            )
            for part in row["parts"]
        ),
        window_ids=tuple(row["window_ids"]),
    )
    if len(event.parts) == 1:
        return event
    return replace(event, joined=_pieces(event, row["pieces"] or _guessed_pieces(event)))


def _pieces(event: Event, rows: Sequence[Mapping[str, Any]]) -> tuple[Event, ...]:
    window_ids, boxes = iter(event.window_ids), iter(event.boxes)
    return tuple(
        replace(
            event,
            event_id=row["event_id"],
            span=part.span,
            text=row["text"],
            confidence=row["confidence"],
            verdict=row["verdict"],
            fields=tuple(row["fields"]),
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
        piece = _piece_row(event) | {"num_boxes": of_part[number]}
        if number:
            piece |= {"event_id": make_id(event.event_id, number), "num_window_ids": 0}
        pieces.append(piece)
    return pieces
