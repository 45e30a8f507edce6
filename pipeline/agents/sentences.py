"""Which sentences of an answer hold: those that rest on rows, and have only their figures.

That a row says what a sentence makes of it is for people to judge: its id leads them there.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from pydantic import BaseModel

from pipeline.agents.answers import Found, one_line
from pipeline.agents.look import Look, Sentence, rows_of
from pipeline.records.sanitize import sanitized

LOOKED = frozenset({"analysed", "quiet"})
"""The states of coverage in which "nothing" means that nothing is there to be found."""

Unseen: TypeAlias = Literal[
    "unproven", "nothing_seen", "not_analysed", "no_footage", "nothing_asked"
]
"""Why nothing is told. ``unproven``: there are rows, but no sentence rests on them;
``not_analysed``: there is footage, and nobody looked; ``nothing_asked``: for rows."""

_FIGURE = re.compile(r"\d(?:[\d.,:]*\d)?")
_ASKS_FOR_ROWS = frozenset({"events", "segments", "query", "search"})


class LeftOut(BaseModel):
    """A sentence that does not hold, and why."""

    text: str
    reason: str


def held(
    sentences: Iterable[Sentence], looks: Sequence[Look]
) -> tuple[list[Sentence], list[LeftOut]]:
    """The sentences that rest on given rows, and the others."""
    rows, counts = rows_of(looks), _counts(looks)
    kept: list[Sentence] = []
    left_out = []
    for sentence in sentences:
        said = Sentence(ids=list(dict.fromkeys(sentence.ids)), text=sanitized(sentence.text))
        reason = "it comes twice" if said in kept else _fault(said, rows, counts)
        if reason:
            left_out.append(LeftOut(text=said.text, reason=reason))
        else:
            kept.append(said)
    return kept, left_out


def _fault(
    sentence: Sentence, rows: Mapping[str, Sequence[Found]], counts: Mapping[str, set[str]]
) -> str:
    """Why a sentence does not hold; "" if it does."""
    if not sentence.text:
        return "it is empty"
    if not sentence.ids:
        return "it names no row"
    if unknown := [one for one in sentence.ids if one not in rows]:
        return f"it names the row {one_line(unknown[0])!r}, which was not given"
    told = " ".join(_words(row) for one in sentence.ids for row in rows[one])
    known = {str(len(sentence.ids))}.union(*(counts[one] for one in sentence.ids))
    for figure in _FIGURE.findall(sentence.text):
        # A time is also right without its seconds: no digit may stand before or after it.
        if figure not in known and not re.search(rf"(?<!\d){re.escape(figure)}(?!\d)", told):
            return f"it says {figure}, which no row that it names says"
    return ""


def _words(row: Found) -> str:
    what = row.recorded
    media = (row.media_start_s, row.media_end_s, row.confidence)
    figures = " ".join(f"{value:g} {value:.1f} {value:.2f}" for value in media if value is not None)
    return f"{row.start} {row.end} {figures} {what.camera} {what.label} {what.text}"


def _counts(looks: Iterable[Look]) -> Mapping[str, set[str]]:
    """By id, how many rows the looks found that gave this row: a sentence may say so."""
    counts: dict[str, set[str]] = defaultdict(set)
    for one in looks:
        for row in one.found.rows:
            counts[row.id].add(str(one.found.num_matching))
    return counts


def unseen(looks: Sequence[Look]) -> Unseen:
    """What it means that no sentence holds."""
    if any(one.found.rows for one in looks):
        return "unproven"
    states = {state for one in looks for state, s in one.found.coverage_s.items() if s > 0}
    if states & LOOKED:
        asked = any(one.tool in _ASKS_FOR_ROWS for one in looks)
        return "nothing_seen" if asked else "nothing_asked"
    if not states:
        return "nothing_asked"
    return "no_footage" if states == {"no_footage"} else "not_analysed"
