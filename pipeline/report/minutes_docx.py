"""Minutes as a Word document."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.minutes import Note
from pipeline.records.sanitize import xml_text
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


def write_docx(meeting: Meeting, path: Path) -> None:
    """Write the document.

    Raises:
        ConfigError: python-docx is not installed.
    """
    try:
        import docx  # noqa: PLC0415 - part of the extra `docx`
    except ImportError as exc:
        raise ConfigError(
            "--format docx needs python-docx: pip install 'timereel[docx]'; other formats need"
            " nothing"
        ) from exc
    document = docx.Document()
    document.add_heading(xml_text(f"Minutes of {meeting.uri}"), 0)
    document.add_paragraph(xml_text(f"{meeting.camera}, {meeting.start}"))
    for caution in meeting.cautions:
        document.add_paragraph(xml_text(caution))
    if meeting.told:
        document.add_paragraph(xml_text(written_by(meeting)))
    for title, lines in meeting.told.items():
        document.add_heading(title, 1)
        for line in lines:
            item = document.add_paragraph(xml_text(told_sentence(line)), style="List Bullet")
            item.add_run(f" ({cited_by(line)})").italic = True
    for title, notes in meeting.listed.items():
        document.add_heading(title, 1)
        _list(document, notes)
    for chapter in meeting.minutes.chapters:
        document.add_heading(xml_text(heading(chapter)), 1)
        document.add_paragraph(f"{len(chapter.said)} of {chapter.num_said} sentences")
        _list(document, chapter.said)
    if meeting.minutes.not_shown:
        document.add_heading(NOT_SHOWN, 1)
        for page in meeting.minutes.not_shown:
            document.add_paragraph(xml_text(never_shown(page)), style="List Bullet")
    document.save(str(path))


def _list(document: Any, notes: Iterable[Note]) -> None:  # noqa: ANN401 - it has no types
    for note in notes:
        item = document.add_paragraph(style="List Bullet")
        item.add_run(f"({cited(note)}) ").italic = True
        item.add_run(xml_text(sentence(note)))
