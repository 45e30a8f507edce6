"""The table ``erasures``: orders to erase, each with its receipt.

Their record is ``pipeline.index.erase_orders.Erasure``; here stands only where it has what.
"""

from operator import attrgetter
from typing import Any

import pyarrow as pa

from pipeline.tables.columns import Column, Columns
from pipeline.tables.shared import DATE, INT64, STRING, STRINGS, TIME
from pipeline.timebase import NS_PER_US, datetime_to_ns, ns_to_datetime


def _border(name: str, doc: str, *, path: str) -> Column[Any]:
    """A column for the end of a range at ``path``, in microseconds; null where it is open."""
    get = attrgetter(path)

    def to_row(order: object) -> object:
        us = get(order)
        return None if us is None else ns_to_datetime(us * NS_PER_US)

    return Column(
        name,
        TIME,
        doc,
        path=path,
        to_row=to_row,
        from_row=lambda row: None if row[name] is None else datetime_to_ns(row[name]) // NS_PER_US,
        nullable=True,
    )


def _state(order: Any) -> str:  # noqa: ANN401 - its record is in a layer above
    if order.scope.speakers:
        return "standing"
    return "ordered" if order.applied_at is None else "applied"


COLUMNS: Columns[Any] = Columns(
    "Orders to erase, each written before anything goes, with its receipt.",
    [
        Column("date", DATE, "UTC date of `asked_at`.", to_row=lambda order: order.asked_at.date()),
        Column("asked_at", TIME, "When the order was given.", path="asked_at"),
        Column(
            "state",
            STRING,
            "`ordered` until nothing can bring back what is erased, then `applied`; whoever comes "
            "until then carries the order out again. `standing` if it is about speakers: a video "
            "may be listened to again.",
            to_row=_state,
        ),
        Column("erasure_id", STRING, "Id of the order.", path="erasure_id"),
        Column("reason", STRING, "`command` or `retention`.", path="reason"),
        Column(
            "videos",
            STRINGS,
            "Of these videos (ids, URIs and globs of URIs); empty means all.",
            path="scope.videos",
        ),
        Column(
            "known_videos",
            STRINGS,
            "Those of `videos` that are names, and no globs.",
            path="scope.known_videos",
            to_row=lambda order: sorted(order.scope.known_videos),
            from_row=lambda row: frozenset(row["known_videos"]),
        ),
        Column(
            "cameras",
            STRINGS,
            "Of these cameras; empty, as `camera_globs` is, means all.",
            path="scope.cameras.exact",
        ),
        Column(
            "camera_globs",
            STRINGS,
            "Of the cameras that match one of these.",
            path="scope.cameras.globs",
        ),
        _border("start", "What ends after this; null means all.", path="scope.span.start_us"),
        _border("end", "What begins before this; null means all.", path="scope.span.end_us"),
        Column(
            "waits_for",
            STRINGS,
            "Runs that were at work when it was carried out, and may bring back what they began "
            "with; null until then.",
            path="waits_for",
            nullable=True,
        ),
        Column(
            "rows",
            pa.map_(STRING, INT64),
            "The receipt: how many rows of each table have gone.",
            path="rows",
            to_row=lambda order: list(order.rows.items()),
            from_row=lambda row: dict(row["rows"]),
        ),
        Column(
            "applied_at",
            TIME,
            "When nothing could bring it back any more; null until then.",
            path="applied_at",
            nullable=True,
        ),
        Column(
            "speakers",
            STRINGS,
            "Only what these said; null where all rows are meant.",
            path="scope.speakers",
            to_row=lambda order: list(order.scope.speakers) or None,
            from_row=lambda row: tuple(row["speakers"] or ()),
            nullable=True,
        ),
    ],
)
