"""What the stages after the engine produce: observations, events, segments and summaries."""

from dataclasses import dataclass, field
from typing import Literal

from pipeline.timebase import TimeRange

Verdict = Literal["confirmed", "moved", "split"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where an object was at one moment, in pixels of the upright source picture."""

    at_ns: int
    """Media time in an observation, UTC in an event."""
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One event in an engine's answer for one window; media time."""

    window_id: str
    span: TimeRange
    label: str
    text: str
    confidence: float | None
    boxes: tuple[Box, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    """The task's extra fields, in the task's order."""
    verdict: Verdict | None = None
    """Result of its verification; None if it was not verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The time of an event in one file."""

    video_id: str
    uri: str
    span: TimeRange
    """UTC."""
    media: TimeRange
    """Media time of that file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Observations that were stitched together; UTC. It begins in the file of ``parts[0]``."""

    event_id: str
    camera: str
    span: TimeRange
    label: str
    text: str
    confidence: float | None
    boxes: tuple[Box, ...]
    fields: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    window_ids: tuple[str, ...]
    verdict: Verdict | None = None
    """Result of its verification; None if it was not verified."""
    picture_width: int | None = None
    """Of the upright picture that the boxes are in; None if an older timereel stored it."""
    picture_height: int | None = None
    zone: str | None = None
    """The zone that it tells of; None if an engine saw it."""
    of_event_id: str | None = None
    """The event whose boxes are in the zone; None if there are several."""
    joined: tuple["Event", ...] = ()
    """One event per file, in order, if the event runs through several files; else empty."""

    @property
    def first(self) -> Part:
        """Its share of the file it began in."""
        return self.parts[0]

    @property
    def pieces(self) -> tuple["Event", ...]:
        """One event per file; the event itself if it lies in one file."""
        return self.joined or (self,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A text about a time range; UTC. ``level`` says whether the range is a window or a video."""

    segment_id: str
    camera: str
    video_id: str
    uri: str
    level: Literal["window", "video"]
    span: TimeRange
    media: TimeRange
    text: str
    window_ids: tuple[str, ...] = field(default=())


SummaryLevel = Literal["chapter", "video", "day"]
SUMMARY_LEVELS: tuple[SummaryLevel, ...] = ("chapter", "video", "day")
SummaryMethod = Literal["model", "extractive"]
NoteKind = Literal["agenda", "said", "decision", "task", "question"]
NOTE_KINDS: tuple[NoteKind, ...] = ("agenda", "said", "decision", "task", "question")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenNote:
    """What one sentence of written minutes is."""

    kind: NoteKind
    owner: str = ""
    """Who does a task; "" where nobody says."""
    due: str = ""
    """Until when, in the words that were said; "" where nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A text about a time range: one input of a summary, or one sentence of it; UTC."""

    span: TimeRange
    text: str
    sources: tuple[str, ...]
    """Ids of the segments and events that the text comes from."""
    label: str = ""
    """The label of an event; "" for a caption or a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What happened in a chapter, in a video, or on a camera's day (a UTC date); times in UTC."""

    summary_id: str
    level: SummaryLevel | Literal["minutes"]
    """``minutes`` are those of a meeting that a model wrote."""
    camera: str
    video_id: str
    """"" for a day."""
    uri: str
    span: TimeRange
    title: str
    sentences: tuple[Line, ...]
    method: SummaryMethod
    """``extractive``: events counted and captions quoted, without a model."""
    error: str
    """Why the model failed to write it; "" if the model wrote it, or if there is no model."""
    inputs_id: str
    """Hash of everything it was made from. As long as it is equal, the summary is up to date."""
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0
    notes: tuple[WrittenNote, ...] = ()
    """Of minutes: what each sentence is; else ()."""
    num_dropped: int | None = None
    """Of minutes: sentences that the rows they name do not bear out, and that are not here."""

    @property
    def text(self) -> str:
        """The sentences, one after the other."""
        return " ".join(sentence.text for sentence in self.sentences)
