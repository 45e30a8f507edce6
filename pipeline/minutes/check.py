"""Whether the rows that a note names contain what it claims. Pure.

It knows nothing of how notes are made, so it holds for those of any writer.
"""

import re
from collections.abc import Mapping, Sequence

from pipeline.minutes.note import Note
from pipeline.records import Slide, Utterance
from pipeline.timebase import without

_SPACES = re.compile(r"\s+")


def contradiction(
    note: Note, utterances: Mapping[str, Utterance], slides: Mapping[str, Slide]
) -> str:
    """Why the note cannot stand, or "" if its rows bear it out."""
    unknown = [i for i in note.utterance_ids if i not in utterances]
    unknown += [i for i in note.slide_ids if i not in slides]
    if unknown:
        return f"it names {unknown[0]}, which is no row of this recording"
    said = [utterances[i] for i in note.utterance_ids]
    shown = [slides[i] for i in note.slide_ids]
    if not said and not shown:
        return "it names no row"
    return _in_words(note, said, shown) or _in_time(note, said, shown)


def _in_words(note: Note, said: Sequence[Utterance], shown: Sequence[Slide]) -> str:
    texts = [_plain(source.text) for source in said or shown]
    if not any(_plain(note.text) in text for text in texts):
        return "no row that it names says this"
    if {one.speaker for one in said} - {note.speaker} or (note.speaker and not said):
        return f"the rows that it names are not of {note.speaker!r}"
    return ""


def _in_time(note: Note, said: Sequence[Utterance], shown: Sequence[Slide]) -> str:
    if any(without([note.media], [source.media]) for source in said or shown):
        return "it is at another time than the rows that it names"
    if {slide.page for slide in shown} != ({note.page} if note.page is not None else set()):
        return f"the rows that it names do not show page {note.page}"
    if any(not slide.media.overlaps(note.media) for slide in shown):
        return "the page is not on the screen at its time"
    return ""


def _plain(text: str) -> str:
    return _SPACES.sub(" ", text).strip()
