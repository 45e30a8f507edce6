"""Minutes as Markdown. What people said and pages show is text: nothing in it becomes markup."""

import re
from collections.abc import Iterable

from pipeline.minutes import Note
from pipeline.records.sanitize import sanitized
from pipeline.report.minutes import (
    NOT_SHOWN,
    Meeting,
    cited,
    cited_by,
    heading,
    never_shown,
    sentence,
    told_sentence,
    written_by,
)

# What CommonMark, tables, formulas and mentions are made of. A name of a host is no link.
_MARKUP = re.compile(
    r"([\\`*_\[\]<>#|~&$@!]|(?:(?<=https)|(?<=http)|(?<=ftp)):(?=/)|(?<=www)\.)", re.IGNORECASE
)


def as_markdown(meeting: Meeting) -> str:
    """The minutes, ready to be shown or sent."""
    minutes = meeting.minutes
    blocks = [f"# Minutes of {_text(meeting.uri)}", _text(f"{meeting.camera}, {meeting.start}")]
    blocks += map(_text, meeting.cautions)
    if meeting.told:
        blocks.append(_text(written_by(meeting)))
    for title, lines in meeting.told.items():
        told = (f"- {_text(told_sentence(line))} ({cited_by(line)})" for line in lines)
        blocks += [f"## {title}", "\n".join(told)]
    for title, notes in meeting.listed.items():
        blocks += [f"## {title}", _list(notes)]
    for chapter in minutes.chapters:
        blocks += [f"## {_text(heading(chapter))}"]
        blocks += [f"{len(chapter.said)} of {chapter.num_said} sentences."]
        blocks += [_list(chapter.said)] if chapter.said else []
    if minutes.not_shown:
        pages = (f"- {_text(never_shown(page))}" for page in minutes.not_shown)
        blocks += [f"## {NOT_SHOWN}", "\n".join(pages)]
    return "\n\n".join(blocks) + "\n"


def _list(notes: Iterable[Note]) -> str:
    return "\n".join(f"- ({cited(note)}) {_text(sentence(note))}" for note in notes)


def _text(text: str) -> str:
    return _MARKUP.sub(r"\\\1", sanitized(text))
