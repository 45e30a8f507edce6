"""The minutes of one recording: read from an index, and written as JSON or as a page."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ConfigError, NoSourcesError
from pipeline.index import Index
from pipeline.minutes import Chapter, Kind, Minutes, Note, make_minutes
from pipeline.records import Slide
from pipeline.records.sanitize import escaped_json, sanitized
from pipeline.records.speech import HEARD
from pipeline.report.render import environment, page_style
from pipeline.tables.slides import slides_of_table
from pipeline.tables.utterances import utterances_of_table
from pipeline.timebase import NS_PER_S, TimeRange

LISTS: dict[Kind, str] = {
    "figure": "Prices and figures",
    "question": "Questions",
    "decision": "Said as decisions",
    "task": "Said as tasks",
}
"""The lists of minutes by the kind of their notes, with their headings."""


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
    minutes = make_minutes(
        utterances_of_table(index.utterances(video=video_id)),
        _of_one_task(index.slides(video=video_id)),
    )
    return Meeting(
        uri=rows[0]["uri"],
        camera=rows[0]["camera"],
        start=min(row["start"] for row in rows).strftime("%Y-%m-%d %H:%M:%S UTC"),
        minutes=minutes,
        cautions=tuple(_cautions(rows, minutes)),
    )


def _of_one_task(rows: Any) -> list[Slide]:  # noqa: ANN401 - pyarrow has no types
    """The slides of the task that found the most, as two tasks see the same pages."""
    counts = Counter(rows["task"].to_pylist())
    task = max(sorted(counts), key=lambda name: counts[name], default="")
    slides = slides_of_table(rows)
    names = rows["task"].to_pylist()
    return [slide for slide, name in zip(slides, names, strict=True) if name == task]


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
    if minutes.num_dropped:
        cautions.append(
            f"{minutes.num_dropped} lines were left out: the rows they name do not bear them out."
        )
    return cautions


def clock(ns: int) -> str:
    """Media time as hours, minutes and seconds."""
    seconds = ns // NS_PER_S
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def cited(note: Note) -> str:
    """When, and over which page."""
    page = "" if note.page is None else f", page {note.page}"
    return f"{clock(note.media.start_ns)}{page}"


def heading(chapter: Chapter) -> str:
    """Of a chapter: its time, its page and the title of that."""
    span = f"{clock(chapter.span.start_ns)} to {clock(chapter.span.end_ns)}"
    page = "no page" if chapter.page is None else f"page {chapter.page}"
    return f"{span}, {page}{': ' if chapter.title else ''}{sanitized(chapter.title)}"


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
                "title": chapter.title,
                "num_utterances": chapter.num_said,
                "said": list(map(_note, chapter.said)),
            }
            for chapter in minutes.chapters
        ],
        **{f"{kind}s": list(map(_note, minutes.of_kind(kind))) for kind in LISTS},
        "num_dropped": minutes.num_dropped,
    }
    return escaped_json(json.dumps(document, ensure_ascii=False, indent=2)) + "\n"


def _note(note: Note) -> dict[str, Any]:
    return {
        **_seconds(note.media),
        "page": note.page,
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
        )
    )
