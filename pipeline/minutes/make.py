"""The minutes of one meeting: chapters by pages, and what is said, word for word.

Nothing is put into other words here. A sentence is chosen for the words in it, and stands with its
speaker, its time and the page on the screen. What a model has told is checked and put beside it.
"""

import math
import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pipeline.minutes.assigned import due_of, owner_of
from pipeline.minutes.check import (
    contradiction,
    contradiction_of_page,
    contradiction_of_told,
    contradiction_of_topic,
)
from pipeline.minutes.link import pages_on_screen
from pipeline.minutes.note import Kind, Note, NotShown, Told
from pipeline.minutes.topic import Meaning, Pages, Topic
from pipeline.records import DeckPage, NoteKind, Slide, Utterance
from pipeline.timebase import TimeRange

MOST_QUOTED = 5
"""Sentences of one chapter; those that are listed elsewhere come on top."""
_MONEY = r"[$€£¥]|EUR|USD|GBP|CNY|RMB|euros?|dollars?|pounds?|yuan|元|块|美元|欧元|人民币"
# Bounded, as a run of digits is sought from each of them.
_NUMBER = r"\d[\d.,]{0,40}+(?:\s?(?:thousand|million|billion|[kKmM]\b|万|亿|千))?"
_FIGURE = re.compile(
    rf"(?:{_MONEY})\s?{_NUMBER}|{_NUMBER}\s?(?:{_MONEY}|%|percent|per cent)|百分之", re.IGNORECASE
)
_QUESTION = re.compile(r"[?\uff1f]\s*$|[吗呢么][。.]?\s*$")
_DECISION = re.compile(
    r"\b(?:decid\w+|decision|agreed?|approv\w+|we go with)\b|决定|同意|批准|通过", re.IGNORECASE
)
_TASK = re.compile(
    r"\b(?:will|must|has to|have to|action item|next step|deadline|by (?:mon|tues|wednes|thurs|fri|"
    r"satur|sun)day|by the end of|by tomorrow|is responsible for|assigned to)\b|\bI['\u2019]ll\b"
    r"|负责|截止|下一步|必须|之前完成",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^[-*\u2022]\s+")
_WORD = re.compile(r"[^\W\d_]{3,}|[\u3400-\u9fff]{2}")
_LISTS: Mapping[Kind, re.Pattern[str]] = {
    "figure": _FIGURE,
    "question": _QUESTION,
    "decision": _DECISION,
    "task": _TASK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A stretch of the meeting with one page on the screen, or with none."""

    span: TimeRange
    """Media time."""
    title: str
    """The first line of the page; "" if nobody has read it, or no page is shown."""
    page: int | None
    """As the table ``slides`` counts; None if no page is shown."""
    deck_page: int | None
    """Its number in the deck, from 1; None if that is not known."""
    num_said: int
    """Utterances in it, quoted or not."""
    said: tuple[Note, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Minutes:
    """What a meeting showed and said."""

    chapters: tuple[Chapter, ...]
    notes: tuple[Note, ...]
    """Figures, questions, decisions and tasks, by kind and time."""
    not_shown: tuple[NotShown, ...]
    """Pages of the deck; empty if no deck is known, or nobody knows what is on the screen."""
    num_dropped: int
    """Lines, and pages spoken of, that the rows they name do not bear out; they are left out."""

    told: tuple[Told, ...] = ()
    """What a model wrote, by kind and time; () if none did."""

    def of_kind(self, kind: Kind) -> tuple[Note, ...]:
        """The notes of one list."""
        return tuple(note for note in self.notes if note.kind == kind)

    def told_of(self, kind: NoteKind) -> tuple[Told, ...]:
        """The lines of one kind that a model wrote."""
        return tuple(line for line in self.told if line.kind == kind)


def quotable(utterances: Sequence[Utterance], slides: Sequence[Slide]) -> list[Note]:
    """All that the minutes of one video may rest on, in the order of time.

    Each utterance, and the words of each page where it is shown first.
    """
    shown = pages_on_screen(utterances, slides)
    notes = [_quoted("said", one, shown[one.utterance_id], None) for one in utterances]
    pages: dict[int, Slide] = {}
    for slide in sorted(slides, key=lambda one: one.media):
        pages.setdefault(slide.page, slide)
    notes += [_on_page("said", one.written, one) for one in pages.values() if one.written.strip()]
    return sorted(notes, key=lambda note: note.media)


def make_minutes(
    utterances: Sequence[Utterance],
    slides: Sequence[Slide],
    deck: Sequence[DeckPage] = (),
    meaning: Meaning | None = None,
    told: Sequence[Told] = (),
) -> Minutes:
    """The minutes of one video.

    Args:
        utterances: all that is said.
        slides: of one task.
        deck: what they show; () if that is not known.
        meaning: see ``Pages``.
        told: what a model wrote of it.
    """
    spoken = sorted(utterances, key=lambda one: one.media)
    shown = pages_on_screen(spoken, slides)
    said_by_id = {one.utterance_id: one for one in spoken}
    slides_by_id = {one.slide_id: one for one in slides}
    spoken_of = Pages(slides, deck, meaning).topics(spoken, shown)
    topics = {
        name: topic
        for name, topic in spoken_of.items()
        if not contradiction_of_topic(topic, said_by_id[name].text, deck, slides, shown[name])
    }
    rare = _rareness(spoken)
    speakers = {one.speaker for one in spoken}

    def quoted_as(kind: Kind, one: Utterance) -> Note:
        note = _quoted(kind, one, shown[one.utterance_id], topics.get(one.utterance_id))
        if kind != "task":
            return note
        return replace(note, owner=owner_of(one.text, one.speaker, speakers), due=due_of(one.text))

    quoted = [quoted_as("said", one) for one in spoken]
    lists = [
        quoted_as(kind, one)
        for kind, pattern in _LISTS.items()
        for one in spoken
        if pattern.search(one.text)
    ]
    lists += _figures_on_pages(slides)

    def borne_out(notes: Iterable[Note]) -> list[Note]:
        return [note for note in notes if not contradiction(note, said_by_id, slides_by_id)]

    believed, listed = borne_out(quoted), borne_out(lists)
    known = {slide.deck_page for slide in slides}
    missing = [
        NotShown(deck_page=number, title=page.title)
        for number, page in enumerate(deck, start=1)
        if slides and number not in known
    ]
    not_shown = [one for one in missing if not contradiction_of_page(one, deck, slides)]
    stand = [one for one in told if not contradiction_of_told(one, said_by_id, slides_by_id)]
    num_made = len(spoken_of) + len(quoted) + len(lists) + len(missing) + len(told)
    num_kept = len(topics) + len(believed) + len(listed) + len(not_shown) + len(stand)
    return Minutes(
        chapters=tuple(_chapters(believed, slides, rare)),
        notes=tuple(sorted(listed, key=lambda note: (list(_LISTS).index(note.kind), note.media))),
        not_shown=tuple(not_shown),
        num_dropped=num_made - num_kept,
        told=tuple(stand),
    )


def _quoted(kind: Kind, one: Utterance, slide: Slide | None, topic: Topic | None) -> Note:
    return Note(
        kind=kind,
        text=one.text,
        speaker=one.speaker,
        media=one.media,
        page=slide.page if slide else None,
        deck_page=slide.deck_page if slide else None,
        utterance_ids=(one.utterance_id,),
        slide_ids=(slide.slide_id,) if slide else (),
        topic=topic,
    )


def _on_page(kind: Kind, text: str, slide: Slide) -> Note:
    return Note(
        kind=kind,
        text=text,
        speaker="",
        media=slide.media,
        page=slide.page,
        deck_page=slide.deck_page,
        utterance_ids=(),
        slide_ids=(slide.slide_id,),
    )


def _figures_on_pages(slides: Iterable[Slide]) -> list[Note]:
    """The lines of pages with a price or a share, where the page is shown first."""
    notes: dict[tuple[int, str], Note] = {}
    for slide in sorted(slides, key=lambda one: one.media):
        for line in filter(_FIGURE.search, slide.written.splitlines()):
            note = _on_page("figure", _BULLET.sub("", line.strip()), slide)
            notes.setdefault((slide.page, note.text), note)
    return list(notes.values())


def _chapters(
    said: Sequence[Note], slides: Sequence[Slide], rare: Mapping[str, float]
) -> list[Chapter]:
    """One for each slide, and one for each stretch of speech without any."""
    by_slide: dict[str, list[Note]] = {}
    for note in said:
        if note.slide_ids:
            by_slide.setdefault(note.slide_ids[0], []).append(note)
    made = [
        _chapter(slide.media, by_slide.get(slide.slide_id, []), slide, rare) for slide in slides
    ]
    starts_ns = sorted(slide.media.start_ns for slide in slides)

    def between_pages(note: Note) -> tuple[bool, int]:
        return not note.slide_ids, bisect(starts_ns, note.media.start_ns)

    for (has_no_page, _), group in groupby(said, between_pages):
        if has_no_page:
            notes = list(group)
            end_ns = max(note.media.end_ns for note in notes)
            made.append(_chapter(TimeRange(notes[0].media.start_ns, end_ns), notes, None, rare))
    return sorted(made, key=lambda chapter: chapter.span)


def _chapter(
    span: TimeRange, said: Sequence[Note], slide: Slide | None, rare: Mapping[str, float]
) -> Chapter:
    telling = sorted(said, key=lambda note: -_telling(note.text, rare))[:MOST_QUOTED]
    return Chapter(
        span=span,
        title=slide.title if slide else "",
        page=slide.page if slide else None,
        deck_page=slide.deck_page if slide else None,
        num_said=len(said),
        said=tuple(sorted(telling, key=lambda note: note.media)),
    )


def _rareness(spoken: Sequence[Utterance]) -> dict[str, float]:
    """By word: more for those that few sentences of the meeting have."""
    counts = Counter(word for one in spoken for word in _words(one.text))
    return {word: math.log(1 + len(spoken) / count) for word, count in counts.items()}


def _telling(text: str, rare: Mapping[str, float]) -> float:
    """How much a sentence tells: the rareness of its words, so that long ones gain little."""
    words = _words(text)
    return sum(rare[word] for word in words) / math.sqrt(len(words)) if words else 0.0


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
