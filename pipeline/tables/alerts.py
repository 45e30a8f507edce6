"""The table ``alerts``: an outbox of what rules have found, one row for each sink."""

from collections.abc import Iterable

import pyarrow as pa

from pipeline.records import Alert, Happening
from pipeline.tables.columns import Column, Columns
from pipeline.tables.shared import (
    FLOAT32,
    INT32,
    PROVENANCE,
    STRING,
    STRINGS,
    TIME,
    file_columns,
    range_columns,
)

_MADE_BY = {column.name: column for column in PROVENANCE}

COLUMNS: Columns[Alert] = Columns(
    "What alert rules have found, one row for each sink, and whether it was told.",
    [
        *range_columns(camera="what.camera", utc="what.span"),
        Column("label", STRING, "Of its events; of an absence, what was not found.",
               path="what.label"),
        Column("state", STRING, "`waiting`, `sent`, `dropped` (late, and late ones are not wanted)"
               " or `dead` (its sink never took it).", path="state"),
        Column("rule", STRING, "Name of the rule.", path="what.rule"),
        Column("kind", STRING, "`event`, `count` or `absence`.", path="what.kind"),
        Column("sink", STRING, "Name of the sink.", path="sink"),
        Column("text", STRING, "Of its first event.", path="what.text"),
        Column("confidence", FLOAT32, "The highest of its events; null where none says.",
               path="what.confidence", nullable=True),
        Column("event_ids", STRINGS, "Its events; their ids change when other settings or late"
               " files find them again.", path="what.event_ids"),
        *file_columns(video_id="what.video_id", uri="what.uri"),
        Column("alert_id", STRING, "The same for all sinks; made once.", path="alert_id"),
        Column("row_id", STRING, "Hash of alert and sink.", to_row=lambda alert: alert.row_id),
        Column("is_late", pa.bool_(), "Whether it had ended long before it was found.",
               path="is_late"),
        Column("revision", INT32, "Raised when it has grown enough to be told again.",
               path="revision"),
        Column("sent_revision", INT32, "The newest that its sink has taken; 0 before the first.",
               path="sent_revision"),
        Column("found_at", TIME, "When it was found.", path="found_at"),
        Column("changed_at", TIME, "When this revision was made.", path="changed_at"),
        Column("sent_at", TIME, "When its sink took it; null before.", path="sent_at",
               nullable=True),
        Column("num_tries", INT32, "Failed tries of this revision.", path="num_tries"),
        Column("due_at", TIME, "No try before this.", path="due_at"),
        Column("error", STRING, "Why the last try failed.", path="error"),
        Column("message_id", STRING, "Id of the message that tells it; empty before the first try.",
               path="message_id"),
        Column("claimed_by", STRING, "The process that is sending it; empty for none.",
               path="claimed_by"),
        Column("claimed_at", TIME, "Since when; null for none.", path="claimed_at", nullable=True),
        Column("task", STRING, _MADE_BY["task"].doc, path="what.task"),
        Column("fingerprint", STRING, "Of its first event.", path="what.fingerprint"),
    ],
)  # fmt: skip


def alerts_table(alerts: Iterable[Alert]) -> pa.Table:
    """Rows of ``alerts``."""
    return COLUMNS.table(alerts)


def alerts_of_table(table: pa.Table) -> list[Alert]:
    """The records behind rows of ``alerts``."""
    read = COLUMNS.reader({"": Alert, "what": Happening})
    return [read(row) for row in table.to_pylist()]
