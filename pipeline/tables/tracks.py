"""``tracks``: one object and its path, read out of ``events`` at each question and never stored.

So a track changes with its event, in the same commit, and nothing can keep what an event lost.
"""

from typing import Any

import pyarrow as pa

from pipeline.tables import events
from pipeline.tables.columns import Column, Columns
from pipeline.tables.shared import STRING, STRINGS

OF_EVENT = tuple(
    column
    for column in events.COLUMNS.columns
    if column.name not in {"event_id", "verdict", "fields", "pieces", "zone", "of_event_id"}
)
"""The columns that a track has of its event."""

COLUMNS: Columns[Any] = Columns(
    "Where one object was: an event with boxes, joined over the borders of windows and files as "
    "events are, and its path. Not stored but read out of `events`; `query --table tracks`, "
    "`--sql` and `Index.tracks` give it.",
    [
        Column("track_id", STRING, "The `event_id` of the object's event."),
        *OF_EVENT,
        Column("duration_s", pa.float64(), "Seconds from `start` to `end`."),
        Column(
            "path_px",
            pa.float64(),
            "Length of its path in pixels: of the middle of the lower edge, from box to box.",
        ),
        Column(
            "event_ids",
            STRINGS,
            "The events it belongs to: its own, then what zones tell of it, by time.",
        ),
    ],
)
