"""``python -m jobs.compare_meeting --truth FILE --index DIR``: a meeting beside its truth."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from pipeline.index import open_index
from pipeline.report.minutes import read_meeting

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
    slides = opened.slides(video=recording["file"]).to_pylist()
    utterances = opened.utterances(video=recording["file"]).to_pylist()
    starts = [one["start_s"] for one in recording["showings"]]
    found = [
        start for start in starts if any(abs(start - s["media_start"]) <= _MATCH_S for s in slides)
    ]
    lines = [line for page in recording["pages"] for line in page.splitlines()]
    read = _letters("".join(slide["text"] or "" for slide in slides))
    said = " ".join(one["text"] for one in recording["said"])
    heard = " ".join(one["text"] for one in utterances)
    words = _tokens(said)
    errors = [
        min((abs(one["start_s"] - u["media_start"]) for u in utterances), default=_NEAR_S)
        for one in recording["said"]
    ]
    minutes = read_meeting(opened, recording["file"]).minutes
    notes = [note for chapter in minutes.chapters for note in chapter.said]
    right = [
        any(
            note.page == one["page"] and abs(note.media.start_ns / 1e9 - one["start_s"]) < _NEAR_S
            for note in notes
        )
        for one in recording["said"]
    ]
    return [
        ("pages found, of those shown", f"{len(found)} of {len(starts)}"),
        ("pages found that were not shown", f"{max(0, len(slides) - len(starts))}"),
        ("lines of pages read", f"{sum(_letters(one) in read for one in lines)} of {len(lines)}"),
        ("wrong words", f"{_distance(words, _tokens(heard))} of {len(words)}"),
        ("error of the start of sentences, median", f"{median(errors):.2f} s"),
        ("sentences under their page in the minutes", f"{sum(right)} of {len(right)}"),
        ("lines of the minutes that rows do not bear out", f"{minutes.num_dropped}"),
    ]


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
