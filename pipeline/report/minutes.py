"""The minutes of one recording: read from an index, and written as JSON, WebVTT or a page."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.export import webvtt
from pipeline.index import Index
from pipeline.meetings.pages import meaning
from pipeline.meetings.recording import read_recording
from pipeline.meetings.written import stored_minutes, told_by
from pipeline.minutes import Chapter, Kind, Minutes, Note, NotShown, Told, Topic, make_minutes
from pipeline.records import NoteKind
from pipeline.records.sanitize import escaped_json, sanitized
from pipeline.records.speech import HEARD
from pipeline.report.render import environment, page_style
from pipeline.timebase import NS_PER_S, TimeRange

LISTS: dict[Kind, str] = {
    "figure": "Prices and figures",
    "question": "Questions",
    "decision": "Said as decisions",
    "task": "Said as tasks",
}
"""The lists of minutes by the kind of their notes, with their headings."""


TOLD: dict[NoteKind, str] = {
    "agenda": "Agenda",
    "said": "Summary",
    "decision": "Decisions",
    "task": "Tasks",
    "question": "Open questions",
}
"""The kinds of lines that a model writes, with their headings."""
NOT_SHOWN = "Pages of the deck that were never shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """A recording and its minutes."""

    uri: str
    camera: str
    start: str
    """When it began, UTC, in words."""
    minutes: Minutes
    cautions: tuple[str, ...]
    """What a reader must know before believing that something was not said or shown."""
    model: str = ""
    """Who wrote ``minutes.told``; "" if nobody did."""

    @property
    def told(self) -> dict[str, tuple[Told, ...]]:
        """By heading the lines that a model wrote."""
        lists = {title: self.minutes.told_of(kind) for kind, title in TOLD.items()}
        return {title: lines for title, lines in lists.items() if lines}

    @property
    def listed(self) -> dict[str, tuple[Note, ...]]:
        """By heading the lines that are quoted, of all lists for which no model has any line."""
        told = {line.kind for line in self.minutes.told}
        lists = {
            title: self.minutes.of_kind(kind) for kind, title in LISTS.items() if kind not in told
        }
        return {title: notes for title, notes in lists.items() if notes}


def read_meeting(index: Index, video: str, *, problem: str = "") -> Meeting:
    """The minutes of the video with this id or uri, or whose uri ends so.

    What a model wrote is among them as long as nothing that it was written from has changed.

    Args:
        index: an index.
        video: the name.
        problem: why a model that was asked just now has not written any.

    Raises:
        NoSourcesError: the index has no such video.
        ConfigError: several videos are called so.
    """
    recording = read_recording(index, video)
    written = stored_minutes(index, recording)
    shown, rows = recording.shown, recording.rows
    told = told_by(written, recording) if written else []
    minutes = make_minutes(recording.utterances, shown.slides, shown.deck, meaning(), told)
    cautions = [f"The model has not written minutes: {problem}"] if problem else []
    if written:
        minutes = replace(minutes, num_dropped=minutes.num_dropped + written.num_dropped)
    return Meeting(
        uri=rows[0]["uri"],
        camera=rows[0]["camera"],
        start=min(row["start"] for row in rows).strftime("%Y-%m-%d %H:%M:%S UTC"),
        minutes=minutes,
        cautions=tuple(cautions + _cautions(rows, minutes)),
        model=written.model if minutes.told and written else "",
    )


def _cautions(rows: Sequence[dict[str, Any]], minutes: Minutes) -> list[str]:
    heard = [row for row in rows if row["task"] == HEARD]
    cautions = []
    if not heard:
        cautions.append("Nobody has listened to this recording: set speech in the config.")
    cautions += [
        f"The pass {row['task']} is {row['status']}: parts of the recording may be missing here."
        for row in rows
        if row["status"] != "done"
    ]
    if all(chapter.page is None for chapter in minutes.chapters):
        cautions.append("No page is known to be on the screen; slides in the config finds them.")
    if minutes.not_shown and (unknown := _pages_without_number(minutes)):
        cautions.append(
            f"{unknown} of the pages shown were not found in the deck, so that some of those listed"
            " as not shown may have been."
        )
    if minutes.num_dropped:
        cautions.append(
            f"{minutes.num_dropped} lines were left out: the rows they name do not bear them out."
        )
    return cautions


def _pages_without_number(minutes: Minutes) -> int:
    pages = {one.page for one in minutes.chapters if one.deck_page is None}
    return len(pages - {None})


def clock(ns: int) -> str:
    """Media time as hours, minutes and seconds."""
    seconds = ns // NS_PER_S
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def cited(note: Note) -> str:
    """When, over which page, and about which one if that is another."""
    at = clock(note.media.start_ns)
    over = "" if note.page is None else f", {_page(note)}"
    about = f", about {_page(note.topic)}" if note.topic else ""
    return f"{at}{over}{about}"


def heading(chapter: Chapter) -> str:
    """Of a chapter: its time, its page and the title of that."""
    span = f"{clock(chapter.span.start_ns)} to {clock(chapter.span.end_ns)}"
    return f"{span}, {_titled_page(chapter)}"


def _titled_page(chapter: Chapter) -> str:
    page = "no page" if chapter.page is None else _page(chapter)
    return f"{page}{': ' if chapter.title else ''}{sanitized(chapter.title)}"


def _page(of: Note | Chapter | Topic) -> str:
    """By its number in the deck where that is known, else by the order in which pages appear."""
    return f"page {of.page}" if of.deck_page is None else f"page {of.deck_page} of the deck"


def never_shown(claim: NotShown) -> str:
    """A page of the deck, on one line."""
    return f"page {claim.deck_page}{': ' if claim.title else ''}{sanitized(claim.title)}"


def cited_by(line: Told) -> str:
    """When, and over which pages, that was said on which a line of a model rests."""
    return "; ".join(dict.fromkeys(map(cited, line.rests_on)))


def told_sentence(line: Told) -> str:
    """What a model tells, on one line, with who does it until when."""
    return sanitized(f"{line.text}{_assigned(line)}")


def written_by(meeting: Meeting) -> str:
    """Who wrote the first lines, and what is known of them."""
    return (
        f"{sanitized(meeting.model)} wrote what stands before the quotes. Each line names what it"
        " rests on; figures, dates and names in it were found there, its sense was not checked."
    )


def _assigned(line: Note | Told) -> str:
    parts = [f"owner: {line.owner}"] if line.owner else []
    parts += [f"due: {line.due}"] if line.due else []
    return f" ({', '.join(parts)})" if parts else ""


def sentence(note: Note) -> str:
    """What is said, on one line, with who says it, and of a task who does it until when."""
    speaker, text = sanitized(note.speaker), sanitized(f"{note.text}{_assigned(note)}")
    return f"{speaker}: {text}" if speaker else text


def as_json(meeting: Meeting) -> str:
    """All of it as one JSON document; times are seconds in the file."""
    minutes = meeting.minutes
    document = {
        "uri": meeting.uri,
        "camera": meeting.camera,
        "start": meeting.start,
        "cautions": meeting.cautions,
        "chapters": [
            {
                **_seconds(chapter.span),
                "page": chapter.page,
                "deck_page": chapter.deck_page,
                "title": chapter.title,
                "num_utterances": chapter.num_said,
                "said": list(map(_note, chapter.said)),
            }
            for chapter in minutes.chapters
        ],
        **{f"{kind}s": list(map(_note, minutes.of_kind(kind))) for kind in LISTS},
        "model": meeting.model,
        "told": list(map(_told, minutes.told)),
        "not_shown": [asdict(page) for page in minutes.not_shown],
        "num_dropped": minutes.num_dropped,
    }
    return escaped_json(json.dumps(document, ensure_ascii=False, indent=2)) + "\n"


def as_webvtt(meeting: Meeting) -> str:
    """The chapters as a track that a player lists: ``<track kind="chapters">``."""
    return webvtt.document(
        [
            {**_seconds(chapter.span), "uri": meeting.uri, "title": _titled_page(chapter)}
            for chapter in meeting.minutes.chapters
        ]
    )


def _told(line: Told) -> dict[str, Any]:
    return {
        **_seconds(line.media),
        "kind": line.kind,
        "text": line.text,
        "owner": line.owner,
        "due": line.due,
        "rests_on": list(map(_note, line.rests_on)),
    }


def _note(note: Note) -> dict[str, Any]:
    return {
        **_seconds(note.media),
        "page": note.page,
        "deck_page": note.deck_page,
        "topic": note.topic and {**asdict(note.topic), "reason": note.topic.reason},
        "speaker": note.speaker,
        "text": note.text,
        "owner": note.owner,
        "due": note.due,
        "utterance_ids": note.utterance_ids,
        "slide_ids": note.slide_ids,
    }


def _seconds(span: TimeRange) -> dict[str, float]:
    return {"media_start": span.start_ns / NS_PER_S, "media_end": span.end_ns / NS_PER_S}


def as_html(meeting: Meeting) -> str:
    """One page that runs no script."""
    return (
        environment()
        .get_template("minutes.html.jinja")
        .render(
            **page_style(),
            meeting=meeting,
            written_by=written_by(meeting),
            cited=cited,
            cited_by=cited_by,
            told_sentence=told_sentence,
            heading=heading,
            sentence=sentence,
            not_shown_title=NOT_SHOWN,
            never_shown=never_shown,
        )
    )
