"""Rows of ``summaries``, and the lines that a summary is made from, out of rows."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from pipeline.records import Line, Summary
from pipeline.tables.rows import Provenance, instant, range_columns, seconds
from pipeline.tables.schema import SUMMARIES
from pipeline.timebase import TimeRange, datetime_to_ns


def summaries_table(
    summaries: Iterable[Summary], clock_starts_ns: Mapping[str, int], provenance: Provenance
) -> pa.Table:
    """Rows of ``summaries``; ``clock_starts_ns`` is UTC of media time 0, by video id."""
    rows = [
        {
            **range_columns(summary.camera, summary.span),
            "level": summary.level,
            "video_id": summary.video_id,
            "uri": summary.uri,
            **_summary_media(summary, clock_starts_ns.get(summary.video_id)),
            "summary_id": summary.summary_id,
            "title": summary.title,
            "text": summary.text,
            "sentences": [
                {
                    "start": instant(sentence.span.start_ns),
                    "end": instant(sentence.span.end_ns),
                    "text": sentence.text,
                    "sources": list(sentence.sources),
                }
                for sentence in summary.sentences
            ],
            "method": summary.method,
            "error": summary.error,
            "num_prompt_tokens": summary.num_prompt_tokens,
            "num_output_tokens": summary.num_output_tokens,
            "inputs_id": summary.inputs_id,
            **provenance.columns(),
        }
        for summary in summaries
    ]
    return pa.Table.from_pylist(rows, schema=SUMMARIES)


def _summary_media(summary: Summary, clock_start_ns: int | None) -> dict[str, float | None]:
    if clock_start_ns is None:
        return {"media_start": None, "media_end": None}
    return {
        "media_start": seconds(summary.span.start_ns - clock_start_ns),
        "media_end": seconds(summary.span.end_ns - clock_start_ns),
    }


def summaries_of_table(table: pa.Table) -> list[Summary]:
    """The records behind rows of ``summaries``."""
    return [
        Summary(
            summary_id=row["summary_id"],
            level=row["level"],
            camera=row["camera"],
            video_id=row["video_id"],
            uri=row["uri"],
            span=TimeRange(datetime_to_ns(row["start"]), datetime_to_ns(row["end"])),
            title=row["title"],
            sentences=tuple(
                Line(
                    span=TimeRange(
                        datetime_to_ns(sentence["start"]), datetime_to_ns(sentence["end"])
                    ),
                    text=sentence["text"],
                    sources=tuple(sentence["sources"]),
                )
                for sentence in row["sentences"]
            ),
            method=row["method"],
            error=row["error"],
            inputs_id=row["inputs_id"],
            num_prompt_tokens=row["num_prompt_tokens"],
            num_output_tokens=row["num_output_tokens"],
        )
        for row in table.to_pylist()
    ]


def lines_of_tables(segments: pa.Table, events: pa.Table, within: TimeRange) -> tuple[Line, ...]:
    """What a video's summary is made from: its window captions and events, clipped to it (UTC).

    Ordered by start; captions come before the events that begin with them.
    """
    told = [
        *((row, row["segment_id"], "", row["text"]) for row in segments.to_pylist()),
        *((row, row["event_id"], row["label"], _told(row)) for row in events.to_pylist()),
    ]
    lines = []
    for row, id_, label, text in told:
        start_ns = max(datetime_to_ns(row["start"]), within.start_ns)
        end_ns = min(datetime_to_ns(row["end"]), within.end_ns)
        if start_ns < end_ns:
            lines.append(
                Line(span=TimeRange(start_ns, end_ns), text=text, sources=(id_,), label=label)
            )
    return tuple(sorted(lines, key=lambda line: (line.span.start_ns, line.label, line.span)))


def _told(event: Mapping[str, Any]) -> str:
    """The event's sentence and its further fields."""
    fields = (f"{name}: {value}" for name, value in event["fields"] if value)
    return "; ".join([event["text"], *fields])
