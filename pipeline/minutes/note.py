"""One line of minutes, and the rows that it names."""

from dataclasses import dataclass
from typing import Literal

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
    """The page on the screen; None if none is shown."""
    utterance_ids: tuple[str, ...]
    slide_ids: tuple[str, ...]
