"""The table ``feedback``: what people say about events. Rows are added, and never changed."""

from collections.abc import Callable, Iterable
from datetime import datetime

import pyarrow as pa

from pipeline.records import Feedback
from pipeline.tables.columns import Column, Columns, Row
from pipeline.tables.shared import PROVENANCE, STRING, TIME, instant, range_columns
from pipeline.timebase import NS_PER_US, TimeRange, datetime_to_ns

_MADE_BY = {column.name: column for column in PROVENANCE}


def _was(border: Callable[[TimeRange], int]) -> Callable[[Feedback], datetime | None]:
    def get(said: Feedback) -> datetime | None:
        return None if said.was_span is None else instant(border(said.was_span))

    return get


def _was_span(row: Row) -> TimeRange | None:
    if row["was_start"] is None:
        return None
    return TimeRange(datetime_to_ns(row["was_start"]), datetime_to_ns(row["was_end"]))


COLUMNS: Columns[Feedback] = Columns(
    "What people say about events: the newest row of an event counts, and none is ever changed.",
    [
        *range_columns(camera="camera", utc="span"),
        Column("label", STRING, "What it is, as the person says.", path="label"),
        Column("verdict", STRING, "`confirmed`, `rejected`, `corrected`, `missed` (nobody found "
               "it), or `open` (what was said before is taken back).", path="verdict"),
        Column("event_id", STRING, "The event; one that was missed has an id of its own.",
               path="event_id"),
        Column("video_id", STRING, "The video in which it begins; empty if that is not known.",
               path="video_id"),
        Column("uri", STRING, "The file of that video.", path="uri"),
        Column("feedback_id", STRING, "Hash of what was said, by whom and when.",
               to_row=lambda said: said.feedback_id),
        Column("was_label", STRING, "What it was found as; null for one that was missed.",
               path="was_label", nullable=True),
        Column("was_start", TIME, "Where it began as it was found; null for one that was missed.",
               path="was_span", to_row=_was(lambda span: span.start_ns), from_row=_was_span,
               nullable=True),
        Column("was_end", TIME, "Where it ended as it was found; null for one that was missed.",
               to_row=_was(lambda span: max(span.end_ns, span.start_ns + NS_PER_US)),
               nullable=True),
        Column("note", STRING, "What the person wrote beside it.", path="note"),
        Column("said_by", STRING, "Who said it.", path="said_by"),
        Column("said_at", TIME, "When it was said.", path="said_at"),
        Column("task", STRING, _MADE_BY["task"].doc, path="task"),
        Column("fingerprint", STRING, "Of the answer that the person looked at.",
               path="fingerprint"),
    ],
)  # fmt: skip


def feedback_table(said: Iterable[Feedback]) -> pa.Table:
    """Rows of ``feedback``."""
    return COLUMNS.table(said)


def feedback_of_table(table: pa.Table) -> list[Feedback]:
    """The records behind rows of ``feedback``."""
    read = COLUMNS.reader({"": Feedback})
    return [read(row) for row in table.to_pylist()]
