"""The lines of minutes, and the rows that they name."""

from dataclasses import dataclass
from typing import Literal

from pipeline.minutes.topic import Topic
from pipeline.records import NoteKind
from pipeline.timebase import TimeRange

Kind = Literal["said", "figure", "question", "decision", "task"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What one line claims: these words, of this speaker, at this time, over this page."""

    kind: Kind
    text: str
    speaker: str
    """"" if nobody knows who speaks, or a page says it."""
    media: TimeRange
    page: int | None
    """The page on the screen, as the table ``slides`` counts; None if none is shown."""
    deck_page: int | None
    """Its number in the deck, from 1; None if that is not known."""
    utterance_ids: tuple[str, ...]
    slide_ids: tuple[str, ...]
    topic: Topic | None = None
    """The page that it speaks of, if that is another one."""
    owner: str = ""
    """Of a task: who does it; "" where nobody says."""
    due: str = ""
    """Of a task: until when, in the words that were said; "" where nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one line claims in a writer's own words, and the lines that it rests on."""

    kind: NoteKind
    text: str
    owner: str = ""
    """Who does a task; "" where nobody says."""
    due: str = ""
    """Until when, in the words that were said; "" where nobody says."""
    rests_on: tuple[Note, ...]
    """Quoted, in the order of time."""

    @property
    def media(self) -> TimeRange:
        """From the first to the last of what it rests on."""
        spans = [note.media for note in self.rests_on]
        return TimeRange(min(s.start_ns for s in spans), max(s.end_ns for s in spans))

    @property
    def row_ids(self) -> tuple[str, ...]:
        """Those of the utterances, or pages, that it rests on."""
        ids = [one for note in self.rests_on for one in note.utterance_ids or note.slide_ids]
        return tuple(dict.fromkeys(ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class NotShown:
    """What one line claims: the deck has this page, and it is never on the screen."""

    deck_page: int
    """From 1."""
    title: str
    """Its first line; "" if it has no words."""
