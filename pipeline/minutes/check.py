"""Whether the rows that a note names contain what it claims. Pure.

It knows nothing of how notes are made, so it holds for those of any writer.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from pipeline.minutes.assigned import is_of_self
from pipeline.minutes.claims import claims, foreign_names, has_phrase
from pipeline.minutes.note import Note, NotShown, Told
from pipeline.minutes.numbers import number_of_page
from pipeline.minutes.position import Key, Position, page_at, position_of
from pipeline.minutes.topic import Topic
from pipeline.records import DeckPage, Slide, Utterance
from pipeline.timebase import without

_NO_LETTER = re.compile(r"[\W_]+")
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
    return _in_words(note, said, shown) or _of_task(note) or _in_time(note, said, shown)


def contradiction_of_told(
    line: Told, utterances: Mapping[str, Utterance], slides: Mapping[str, Slide]
) -> str:
    """Why a line in other words cannot stand, or "" if what it rests on may bear it out.

    Its figures, units, dates and names, and who does what until when, must be in the rows that it
    rests on. Whether they say what it says is beyond code.
    """
    if not line.rests_on:
        return "it names no row"
    for note in line.rests_on:
        if why := contradiction(note, utterances, slides):
            return why
    speakers = {note.speaker for note in line.rests_on}
    cited = "\n".join([*(note.text for note in line.rests_on), *speakers])
    if invented := sorted(claims(line.text) - claims(cited)):
        return f"it says {invented[0]}, which no row that it names says"
    known = {one.speaker for one in utterances.values() if len(one.speaker) > 1}
    if names := foreign_names(line.text, cited, sorted(known)):
        return f"it names {names[0]}, whom no row that it names knows"
    for what in filter(None, (line.owner, line.due)):
        if not has_phrase(cited, what):
            return f"no row that it names says {what}"
    return ""


def contradiction_of_page(
    claim: NotShown, deck: Sequence[DeckPage], slides: Iterable[Slide]
) -> str:
    """Why a page cannot stand as one that was never shown, or "" if deck and slides bear it out."""
    if not 1 <= claim.deck_page <= len(deck):
        return f"the deck has {len(deck)} pages"
    if _plain(claim.title) != _plain(deck[claim.deck_page - 1].title):
        return "the page has another title"
    if any(slide.deck_page == claim.deck_page for slide in slides):
        return "the page is shown"
    return ""


def contradiction_of_topic(
    topic: Topic,
    text: str,
    deck: Sequence[DeckPage],
    slides: Sequence[Slide],
    on_screen: Slide | None = None,
) -> str:
    """Why nobody who says ``text`` can be known to speak of that page, or "" if that may be.

    ``on_screen`` is the one of ``slides`` over which it is said, if any.
    """
    written = [slide.written for slide in slides if _is_of(topic, slide)]
    if topic.deck_page is not None:
        written += [page.text for page in deck[topic.deck_page - 1 : topic.deck_page]]
    if not written:
        return "there is no such page"
    if topic.sign == "number":
        return "" if number_of_page(text) == topic.deck_page else "it names no such number"
    if topic.sign == "position":
        position = position_of(text)
        key = page_at(position, on_screen, slides, deck) if position else None
        return _of_position(topic, position, key)
    page, said = (_letters(one) for one in ("\n".join(written), text))
    for evidence in map(_letters, topic.evidence):
        if evidence not in page:
            return f"the page does not say {evidence}"
        if topic.sign == "words" and evidence not in said:
            return f"nobody says {evidence}"
    return ""


def _of_position(topic: Topic, position: Position | None, key: Key | None) -> str:
    if position is None or topic.evidence != (position,):
        return "it names no such position"
    number = ("shown", topic.page) if topic.deck_page is None else ("deck", topic.deck_page)
    return "" if key == number else f"the {position} page is another one"


def _is_of(topic: Topic, slide: Slide) -> bool:
    if topic.deck_page is None:
        return slide.page == topic.page and slide.deck_page is None
    return slide.deck_page == topic.deck_page


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", unicodedata.normalize("NFKC", text).lower())


def _in_words(note: Note, said: Sequence[Utterance], shown: Sequence[Slide]) -> str:
    texts = [_plain(one.text) for one in said] or [
        _plain(text) for slide in shown for text in (slide.text, slide.deck_text)
    ]
    if not any(_plain(note.text) in text for text in texts):
        return "no row that it names says this"
    if {one.speaker for one in said} - {note.speaker} or (note.speaker and not said):
        return f"the rows that it names are not of {note.speaker!r}"
    return ""


def _of_task(note: Note) -> str:
    if note.kind != "task":
        return "it is no task, but has an owner or a time" if note.owner or note.due else ""
    takes_it = note.owner == note.speaker and is_of_self(note.text)
    if note.owner and not takes_it and not has_phrase(note.text, note.owner):
        return f"nobody says that {note.owner} does it"
    if note.due and not has_phrase(note.text, note.due):
        return f"nobody says {note.due}"
    return ""


def _in_time(note: Note, said: Sequence[Utterance], shown: Sequence[Slide]) -> str:
    if any(without([note.media], [source.media]) for source in said or shown):
        return "it is at another time than the rows that it names"
    if {slide.page for slide in shown} != ({note.page} if note.page is not None else set()):
        return f"the rows that it names do not show page {note.page}"
    if any(slide.deck_page != note.deck_page for slide in shown) or (note.deck_page and not shown):
        return f"the rows that it names do not show page {note.deck_page} of the deck"
    if any(not slide.media.overlaps(note.media) for slide in shown):
        return "the page is not on the screen at its time"
    return ""


def _plain(text: str) -> str:
    return _SPACES.sub(" ", text).strip()
