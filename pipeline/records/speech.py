"""What is said in a recording: words with their times, and sentences of them."""

from dataclasses import dataclass

from pipeline.timebase import TimeRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One spoken word; media time in an engine's answer, UTC in an utterance."""

    span: TimeRange
    text: str
    probability: float | None = None
    """How sure the engine is of the word, 0 to 1; None if it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What one speaker says in one go, about a sentence; ``span`` is UTC."""

    utterance_id: str
    camera: str
    video_id: str
    uri: str
    span: TimeRange
    media: TimeRange
    """Media time of the file."""
    track: int
    """Number of the audio track in the file, from 0; -1 if it comes from a text."""
    speaker: str
    """"" if nobody knows who speaks."""
    language: str
    """Code such as ``en``; "" if it is not known."""
    text: str
    words: tuple[Word, ...]
    """Empty if the engine times no words."""
    confidence: float | None
    window_ids: tuple[str, ...]
    """The windows whose sound it was heard in."""
