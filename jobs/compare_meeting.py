"""``python -m jobs.compare_meeting --truth FILE --index DIR``: a meeting beside its truth."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from pipeline.index import open_index
from pipeline.minutes import Minutes, Note
from pipeline.report.minutes import read_meeting
from pipeline.tables.columns import Row

_MATCH_S = 2.0
_NEAR_S = 1.5


def main(
    truth: Annotated[Path, typer.Option(help="truth.json of jobs.render_meeting.")],
    index: Annotated[str, typer.Option(help="Folder or URL of the index.")],
) -> None:
    """Print how many pages, words and times are right, recording by recording."""
    for recording in json.loads(truth.read_text(encoding="utf-8")):
        for name, figure in _compared(recording, index):
            typer.echo(f"{recording['file']:32s} {name:44s} {figure}")


def _compared(recording: dict[str, Any], index: str) -> list[tuple[str, str]]:
    opened = open_index(index)
    minutes = read_meeting(opened, recording["file"]).minutes
    return [
        *_of_pages(recording, opened.slides(video=recording["file"]).to_pylist()),
        *_of_words(recording, opened.utterances(video=recording["file"]).to_pylist()),
        *_of_minutes(recording, minutes),
    ]


def _of_pages(recording: dict[str, Any], slides: list[Row]) -> list[tuple[str, str]]:
    showings = recording["showings"]
    near = [
        [s["deck_page"] for s in slides if abs(one["start_s"] - s["media_start"]) <= _MATCH_S]
        for one in showings
    ]
    numbered = [one["page"] in numbers for one, numbers in zip(showings, near, strict=True)]
    lines = [line for n in _shown(recording) for line in recording["pages"][n - 1].splitlines()]
    read = _letters("".join(slide["text"] or "" for slide in slides))
    return [
        ("pages found, of those shown", f"{sum(map(bool, near))} of {len(showings)}"),
        ("pages found that were not shown", f"{max(0, len(slides) - len(showings))}"),
        ("pages with their number in the deck", f"{sum(numbered)} of {len(showings)}"),
        ("lines of pages read", f"{sum(_letters(one) in read for one in lines)} of {len(lines)}"),
    ]


def _of_words(recording: dict[str, Any], utterances: list[Row]) -> list[tuple[str, str]]:
    words = _tokens(" ".join(one["text"] for one in recording["said"]))
    heard = _tokens(" ".join(one["text"] for one in utterances))
    errors = [
        min((abs(one["start_s"] - u["media_start"]) for u in utterances), default=_NEAR_S)
        for one in recording["said"]
    ]
    return [
        ("wrong words", f"{_distance(words, heard)} of {len(words)}"),
        ("error of the start of sentences, median", f"{median(errors):.2f} s"),
    ]


def _of_minutes(recording: dict[str, Any], minutes: Minutes) -> list[tuple[str, str]]:
    notes = [note for chapter in minutes.chapters for note in chapter.said]

    def are(one: Row) -> list[Note]:
        return [n for n in notes if abs(n.media.start_ns / 1e9 - one["start_s"]) < _NEAR_S]

    said = recording["said"]
    right = [any(note.deck_page == one["page"] for note in are(one)) for one in said]
    about = [
        any(note.topic and note.topic.deck_page == one["about"] for note in are(one))
        for one in said
        if one["about"] != one["page"]
    ]
    never = sorted({*range(1, len(recording["pages"]) + 1)} - _shown(recording))
    listed = [one.deck_page for one in minutes.not_shown]
    return [
        ("sentences under their page in the minutes", f"{sum(right)} of {len(right)}"),
        ("sentences about another page, tied to it", f"{sum(about)} of {len(about)}"),
        ("pages never shown, listed and in truth", f"{listed}, {never}"),
        ("lines of the minutes that rows do not bear out", f"{minutes.num_dropped}"),
    ]


def _shown(recording: dict[str, Any]) -> set[int]:
    return {one["page"] for one in recording["showings"]}


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()


_NUMBERS = {"three": "3", "forty": "40", "percent": "%"}


def _tokens(text: str) -> list[str]:
    """Words, single Chinese letters, and numbers in figures."""
    text = re.sub(r"(?<=\d),(?=\d)", "", text.lower())
    found = re.findall(r"[a-z']+|\d+|%|[\u3400-\u9fff]", text)
    return [_NUMBERS.get(word, word) for word in found]


def _distance(wanted: Sequence[str], got: Sequence[str]) -> int:
    """Words to change, leave out or add."""
    costs = list(range(len(got) + 1))
    for row, one in enumerate(wanted, 1):
        before, costs[0] = costs[0], row
        for column, other in enumerate(got, 1):
            best = min(before + (one != other), costs[column] + 1, costs[column - 1] + 1)
            before, costs[column] = costs[column], best
    return costs[-1]


if __name__ == "__main__":
    typer.run(main)
