"""Minutes that a model wrote: asked for once, kept in the table ``summaries``, and read back.

They are rows like summaries, so that erasing and retention reach them. They belong to the pass that
listens: when it tells something else, they go. What was written from other rows is not shown.
"""

import asyncio
from dataclasses import dataclass

from pipeline.config import Config
from pipeline.engine import TextEngine
from pipeline.errors import ConfigError, SummaryError
from pipeline.index import Index, Writer
from pipeline.meetings.recording import Recording, read_recording
from pipeline.minutes import PROMPT_ID, Author, Told, Writing, quotable, write_minutes
from pipeline.records import NOTE_KINDS, Line, Summary, WrittenNote, make_id
from pipeline.records.speech import HEARD
from pipeline.tables.shared import Provenance
from pipeline.tables.summaries import summaries_of_table, summaries_table
from pipeline.timebase import TimeRange, days_between, ns_to_datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Minutes of the index."""

    summary: Summary
    model: str
    fingerprint: str
    prompt_id: str

    @property
    def num_dropped(self) -> int:
        """Lines that were left out when they were written."""
        return self.summary.num_dropped or 0

    def is_by(self, config: Config) -> bool:
        """Whether the same model would be asked the same."""
        return (self.fingerprint, self.prompt_id) == (config.summaries_fingerprint, PROMPT_ID)


def stored_minutes(index: Index, recording: Recording) -> Written | None:
    """Those of the index that were written from the rows of this recording as they are now."""
    found = index.summaries(video=recording.video_id, level="minutes", fingerprint="all")
    for row, summary in zip(found.to_pylist(), summaries_of_table(found), strict=True):
        if summary.inputs_id == recording.inputs_id:
            made_by = {name: row[name] for name in ("model", "fingerprint", "prompt_id")}
            return Written(summary=summary, **made_by)
    return None


def told_by(written: Written, recording: Recording) -> list[Told]:
    """Its lines; one that names a row that the recording has not rests on the others alone."""
    quotes = {
        name: note
        for note in quotable(recording.utterances, recording.shown.slides)
        for name in note.utterance_ids or note.slide_ids
    }
    return [
        Told(
            kind=note.kind,
            text=line.text,
            owner=note.owner,
            due=note.due,
            rests_on=tuple(quotes[name] for name in line.sources if name in quotes),
        )
        for line, note in zip(written.summary.sentences, written.summary.notes, strict=False)
        if note.kind in NOTE_KINDS
    ]


def write(writer: Writer, recording: Recording, config: Config, engine: TextEngine) -> Writing:
    """Let a model write the minutes of a recording, and keep them in the index.

    The writer's lease must hold the camera.

    Raises:
        SummaryError: it has not written any that stand; nothing is kept, so the next call asks.
        ConfigError: nothing is said, or the context of the model has no room for lines.
    """
    if not recording.utterances:
        raise ConfigError(
            f"{recording.rows[0]['uri']}: no words of it are known, so that a model has nothing to"
            " write minutes from; set speech in the config and index it again"
        )
    utterances, slides = recording.utterances, recording.shown.slides
    written = asyncio.run(
        write_minutes(
            quotable(utterances, slides),
            {one.utterance_id: one for one in utterances},
            {one.slide_id: one for one in slides},
            config.summaries,
            Author(
                ask=engine.ask,
                num_tokens=engine.num_tokens,
                context=engine.context,
                max_tokens=config.budget.max_tokens,
            ),
        )
    )
    if read_recording(writer.open(), recording.video_id).inputs_id != recording.inputs_id:
        raise SummaryError("the recording was erased or indexed anew meanwhile; ask again")
    summary = _summary(written, recording)
    rows = summaries_table(
        [summary],
        {summary.video_id: _clock_start_ns(recording)},
        Provenance(
            task=HEARD,
            model=config.model,
            prompt_id=PROMPT_ID,
            fingerprint=config.summaries_fingerprint,
            config="",
        ),
    )
    dates = days_between(*map(ns_to_datetime, (summary.span.start_ns, summary.span.end_ns)))
    writer.write_summaries(rows, dates)
    return written


def _summary(written: Writing, recording: Recording) -> Summary:
    first, start_ns = recording.utterances[0], _clock_start_ns(recording)
    spans = [one.span for one in recording.utterances]
    spans += [one.span for one in recording.shown.slides]

    def line(told: Told) -> Line:
        media = told.media
        span = TimeRange(start_ns + media.start_ns, start_ns + media.end_ns)
        return Line(span=span, text=told.text, sources=told.row_ids)

    return Summary(
        summary_id=make_id(recording.video_id, HEARD, "minutes"),
        level="minutes",
        camera=first.camera,
        video_id=first.video_id,
        uri=first.uri,
        span=TimeRange(min(s.start_ns for s in spans), max(s.end_ns for s in spans)),
        title="Minutes",
        sentences=tuple(map(line, written.lines)),
        method="model",
        error="",
        inputs_id=recording.inputs_id,
        num_prompt_tokens=written.num_prompt_tokens,
        num_output_tokens=written.num_output_tokens,
        notes=tuple(
            WrittenNote(kind=one.kind, owner=one.owner, due=one.due) for one in written.lines
        ),
        num_dropped=written.num_dropped,
    )


def _clock_start_ns(recording: Recording) -> int:
    """UTC of media time 0."""
    first = recording.utterances[0]
    return first.span.start_ns - first.media.start_ns
