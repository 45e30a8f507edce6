"""The table ``summaries``, and the lines that a summary is made from, out of rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from pipeline.records import Line, Summary, WrittenNote
from pipeline.tables.columns import Column, Columns, Row, list_of
from pipeline.tables.shared import (
    INT32,
    PROVENANCE,
    SECONDS,
    STRING,
    STRINGS,
    Provenance,
    range_columns,
    seconds,
    utc_range,
)
from pipeline.timebase import TimeRange, datetime_to_ns


@dataclass(frozen=True, slots=True)
class StoredSummary:
    """The record behind a row."""

    summary: Summary
    clock_start_ns: int | None
    """UTC of media time 0 of its video; None for a day."""

    def media_s(self, utc_ns: int) -> float | None:
        """Seconds in the video at an instant."""
        return None if self.clock_start_ns is None else seconds(utc_ns - self.clock_start_ns)


SENTENCE: Columns[Line] = Columns(
    "One sentence of a summary, with the time it is about.",
    [
        *utc_range("span"),
        Column("text", STRING, "The sentence.", path="text"),
        Column(
            "sources", STRINGS, "Ids of the segments and events that it rests on.", path="sources"
        ),
    ],
)

NOTE: Columns[WrittenNote] = Columns(
    "What one sentence of minutes is.",
    [
        Column("kind", STRING, "`agenda`, `said`, `decision`, `task` or `question`.", path="kind"),
        Column("owner", STRING, "Who does a task; empty where nobody says.", path="owner"),
        Column("due", STRING, "Until when, as it was said; empty where nobody says.", path="due"),
    ],
)

COLUMNS: Columns[StoredSummary] = Columns(
    "What happened in a chapter, a video, or a camera's day; the minutes of a meeting.",
    [
        *range_columns(camera="summary.camera", utc="summary.span"),
        Column(
            "level",
            STRING,
            "`chapter`, `video`, `minutes`, or `day`: a camera's UTC date, which has no file.",
            path="summary.level",
        ),
        Column("video_id", STRING, "Id of the video; empty for a day.", path="summary.video_id"),
        Column("uri", STRING, "The file; empty for a day.", path="summary.uri"),
        Column(
            "media_start",
            SECONDS,
            "Seconds in the file where it begins; null for a day.",
            to_row=lambda stored: stored.media_s(stored.summary.span.start_ns),
            nullable=True,
        ),
        Column(
            "media_end",
            SECONDS,
            "Seconds in the file where it ends; null for a day.",
            to_row=lambda stored: stored.media_s(stored.summary.span.end_ns),
            nullable=True,
        ),
        Column("summary_id", STRING, "Hash of what the summary is.", path="summary.summary_id"),
        Column("title", STRING, "A few words.", path="summary.title"),
        Column(
            "text",
            STRING,
            "The sentences, one after the other.",
            to_row=lambda stored: stored.summary.text,
        ),
        list_of(
            "sentences",
            SENTENCE,
            "Each sentence with its time and what it rests on.",
            path="summary.sentences",
            makers={"": Line},
        ),
        Column(
            "method",
            STRING,
            "`model`, or `extractive`: counted and quoted, without a model.",
            path="summary.method",
        ),
        Column(
            "error",
            STRING,
            "Why a model that was asked did not write it; else empty.",
            path="summary.error",
        ),
        Column(
            "num_prompt_tokens", INT32, "Tokens of its prompts.", path="summary.num_prompt_tokens"
        ),
        Column(
            "num_output_tokens", INT32, "Tokens of its answers.", path="summary.num_output_tokens"
        ),
        Column(
            "inputs_id",
            STRING,
            "Names everything it was made from: equal while nothing needs to be done again.",
            path="summary.inputs_id",
        ),
        *PROVENANCE,
        list_of(
            "notes",
            NOTE,
            "Of minutes: what each of the `sentences` is; else empty.",
            path="summary.notes",
            makers={"": WrittenNote},
            nullable=True,
        ),
        Column(
            "num_dropped",
            INT32,
            "Of minutes: sentences that were left out, since their rows do not say so; else null.",
            path="summary.num_dropped",
            nullable=True,
        ),
    ],
)


def summaries_table(
    summaries: Iterable[Summary], clock_starts_ns: Mapping[str, int], provenance: Provenance
) -> pa.Table:
    """Rows of ``summaries``; ``clock_starts_ns`` is UTC of media time 0, by video id."""
    stored = (
        StoredSummary(summary, clock_starts_ns.get(summary.video_id)) for summary in summaries
    )
    return COLUMNS.table(stored, **provenance.columns())


def summaries_of_table(table: pa.Table) -> list[Summary]:
    """The records behind rows of ``summaries``."""
    read = COLUMNS.reader({"summary": Summary}, "summary")
    return [read(row) for row in table.to_pylist()]


def lines_of_tables(segments: pa.Table, events: pa.Table, within: TimeRange) -> tuple[Line, ...]:
    """What a video's summary is made from: its window captions and events, clipped to it (UTC).

    Ordered by start; captions come before the events that begin with them.
    """
    texts = [
        *((row, row["segment_id"], "", row["text"]) for row in segments.to_pylist()),
        *((row, row["event_id"], row["label"], _event_text(row)) for row in events.to_pylist()),
    ]
    lines = []
    for row, id_, label, text in texts:
        start_ns = max(datetime_to_ns(row["start"]), within.start_ns)
        end_ns = min(datetime_to_ns(row["end"]), within.end_ns)
        if start_ns < end_ns:
            lines.append(
                Line(span=TimeRange(start_ns, end_ns), text=text, sources=(id_,), label=label)
            )
    return tuple(sorted(lines, key=lambda line: (line.span.start_ns, line.label, line.span)))


def _event_text(event: Row) -> str:
    """The event's sentence and its further fields."""
    fields = (f"{name}: {value}" for name, value in event["fields"] if value)
    return "; ".join([event["text"], *fields])
