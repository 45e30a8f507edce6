"""What is said in a recording: stretches of sound, words with their times, and sentences."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.timebase import NS_PER_S, TimeRange

SOUND_HZ = 16_000
"""Samples per second that speech engines are given."""
NS_PER_SAMPLE = NS_PER_S // SOUND_HZ

Samples = npt.NDArray[np.float32]
"""One channel from -1 to 1 [N], ``SOUND_HZ`` a second."""

HEARD = "speech"
"""The name of the task of every engine that tells what is said: what was heard."""
FROM_TEXT = -1
"""In place of the number of a track: a text says it, such as captions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundTrack:
    """One track of sound in a file."""

    number: int
    """Among the tracks of sound, from 0."""
    stream_index: int
    title: str
    """Of whom or what, by the file; "" if it does not say."""
    language: str
    """As ISO 639; "" if the file does not say."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Stretch:
    """A part of one track in which somebody speaks, short enough for every engine."""

    track: SoundTrack
    start_ns: int
    """Media time of the first sample."""
    samples: Samples
    voice: tuple[TimeRange, ...]
    """Where in it a voice is heard; media time."""

    @property
    def span(self) -> TimeRange:
        """Media time."""
        return TimeRange(self.start_ns, self.start_ns + len(self.samples) * NS_PER_SAMPLE)

    def __repr__(self) -> str:
        return f"Stretch(track {self.track.number}, {self.span})"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicePrint:
    """What a network made of the voice in a moment of one track: who it is follows from all."""

    span: TimeRange
    """Media time."""
    track: int
    vector: str
    """Base64 of signed bytes, in the direction of the vector."""
    alike: tuple[float, ...] = ()
    """Mean cosine with each voice that has a name, by the order of the names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One spoken word; media time in an engine's answer, UTC in an utterance."""

    span: TimeRange
    text: str
    probability: float | None = None
    """How sure the engine is of the word, 0 to 1; None if it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an engine heard, or read, in one go; media time."""

    span: TimeRange
    text: str
    track: int
    """Number of the track, or ``FROM_TEXT``."""
    speaker: str = ""
    language: str = ""
    words: tuple[Word, ...] = ()
    """In order; empty if the engine times no words."""
    speaker_confidence: float | None = None
    """How sure it is who speaks, 0 to 1; None if that was not told by the voice."""


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
    speaker_confidence: float | None = None
    """How sure it is who speaks, 0 to 1; None if that was not told by the voice."""
