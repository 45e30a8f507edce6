"""What was found: claims about a window, events, captions and summaries."""

from dataclasses import dataclass, field
from typing import Literal

from pipeline.timebase import TimeRange

Verdict = Literal["confirmed", "moved", "split"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where something was at one moment; pixels of the upright source picture."""

    at_ns: int
    """Media time in an observation, UTC in an event."""
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One claim of an engine about one window; media time."""

    window_id: str
    span: TimeRange
    label: str
    text: str
    confidence: float | None
    boxes: tuple[Box, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    """The task's extra fields, in the task's order."""
    verdict: Verdict | None = None
    """Of the second look; None if there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The share of an event in one file."""

    video_id: str
    uri: str
    span: TimeRange
    """UTC."""
    media: TimeRange
    """Media time of that file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One stitched fact; UTC. ``parts[0]`` is the file it began in."""

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
    """Of the second look; None if there was none."""
    joined: tuple["Event", ...] = ()
    """Of an event that runs through several files: what each file shows of it, in order."""

    @property
    def pieces(self) -> tuple["Event", ...]:
        """What each file shows of the event; the event itself if that is one file."""
        return self.joined or (self,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One timestamped text; UTC. ``level`` is how much time one text stands for."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One timestamped text: what a summary is made from, and each sentence of it; UTC."""

    span: TimeRange
    text: str
    sources: tuple[str, ...]
    """Ids of the segments and events that say so."""
    label: str = ""
    """Of an event; "" for a caption or a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What happened in a chapter, a video, or a camera's day (UTC date); UTC."""

    summary_id: str
    level: SummaryLevel
    camera: str
    video_id: str
    """"" for a day."""
    uri: str
    span: TimeRange
    title: str
    sentences: tuple[Line, ...]
    method: SummaryMethod
    """``extractive``: counted and quoted, without a model."""
    error: str
    """Why a model that was asked did not write it; "" if it did, or was not asked."""
    inputs_id: str
    """Names everything it was made from: equal while nothing needs to be done again."""
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0

    @property
    def text(self) -> str:
        """The sentences, one after the other."""
        return " ".join(sentence.text for sentence in self.sentences)
