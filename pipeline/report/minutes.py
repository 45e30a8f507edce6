"""The minutes of one recording: read from an index, and written as JSON, WebVTT or a page."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.errors import ConfigError, NoSourcesError
from pipeline.export import webvtt
from pipeline.index import Index
from pipeline.minutes import Chapter, Kind, Minutes, Note, NotShown, Topic, make_minutes
from pipeline.records.sanitize import escaped_json, sanitized
from pipeline.records.speech import HEARD
from pipeline.report.pages import Shown, meaning, shown_in
from pipeline.report.render import environment, page_style
from pipeline.tables.utterances import utterances_of_table
from pipeline.timebase import NS_PER_S, TimeRange

LISTS: dict[Kind, str] = {
    "figure": "Prices and figures",
    "question": "Questions",
    "decision": "Said as decisions",
    "task": "Said as tasks",
}
"""The lists of minutes by the kind of their notes, with their headings."""


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


def read_meeting(index: Index, video: str) -> Meeting:
    """The minutes of the video with this id or uri, or whose uri ends so.

    Raises:
        NoSourcesError: the index has no such video.
        ConfigError: several videos are called so.
    """
    rows = index.videos(video=video).to_pylist()
    if not rows:
        raise NoSourcesError(
            f"no video {video}; timereel query --table videos lists their uri and video_id"
        )
    if len(uris := sorted({row["uri"] for row in rows})) > 1:
        raise ConfigError(f"{video} names {len(uris)} videos, such as {uris[0]} and {uris[1]}")
    video_id = rows[0]["video_id"]
    shown = shown_in(index, [video_id]).get(video_id, Shown())
    utterances = utterances_of_table(index.utterances(video=video_id))
    minutes = make_minutes(utterances, shown.slides, shown.deck, meaning())
    return Meeting(
        uri=rows[0]["uri"],
        camera=rows[0]["camera"],
        start=min(row["start"] for row in rows).strftime("%Y-%m-%d %H:%M:%S UTC"),
        minutes=minutes,
        cautions=tuple(_cautions(rows, minutes)),
    )


def _cautions(rows: list[dict[str, Any]], minutes: Minutes) -> list[str]:
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


def sentence(note: Note) -> str:
    """What is said, on one line, with who says it."""
    speaker = sanitized(note.speaker)
    return f"{speaker}: {sanitized(note.text)}" if speaker else sanitized(note.text)


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


def _note(note: Note) -> dict[str, Any]:
    return {
        **_seconds(note.media),
        "page": note.page,
        "deck_page": note.deck_page,
        "topic": note.topic and {**asdict(note.topic), "reason": note.topic.reason},
        "speaker": note.speaker,
        "text": note.text,
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
            lists=LISTS,
            cited=cited,
            heading=heading,
            sentence=sentence,
            not_shown_title=NOT_SHOWN,
            never_shown=never_shown,
        )
    )
