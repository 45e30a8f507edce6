"""Cuts the lines of a video into chapters. Pure; the same lines give the same chapters.

A pause always ends a chapter. Between pauses the words decide, after TextTiling (Hearst,
"TextTiling: Segmenting Text into Multi-paragraph Subtopic Passages", Computational Linguistics
23(1), 1997): the cosine similarity of the words before and after each border has valleys where the
subject changes; a deeper valley is a clearer change. A run of lines is cut at its deepest valley as
long as that is deeper than usual, or as long as the run is too long or costs too many tokens.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from pipeline.records import Line

_BLOCK_LINES = 3
"""Lines on each side of a border whose words are compared."""
# A word of letters or digits; in scripts without spaces (Chinese, Japanese) each character.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long chapters may be. ``max_cost`` limits the sum of the costs of a chapter's lines."""

    min_ns: int
    max_ns: int
    gap_ns: int
    max_cost: int


def cut_chapters(
    lines: Sequence[Line], costs: Sequence[int], limits: Limits
) -> list[tuple[Line, ...]]:
    """The chapters of a video: each line is in one chapter, and no chapter is empty.

    Args:
        lines: of one video, ordered by start.
        costs: of each line, in the unit of ``limits.max_cost`` (tokens).
        limits: a line that costs more than ``max_cost`` is a chapter of its own. A chapter is
            shorter than ``min_ns`` only between pauses, or if it would cost too much otherwise.
    """
    depths = _depths(lines)
    usual_depth = fmean(depths) + pstdev(depths) if depths else 0.0
    cutter = _Cutter(lines, costs, depths, usual_depth, limits)
    return [tuple(lines[low:high]) for low, high in cutter.runs()]


class _Cutter:
    """Ranges of positions in ``lines``; ``depths[i]`` belongs to the border before line i + 1."""

    def __init__(
        self,
        lines: Sequence[Line],
        costs: Sequence[int],
        depths: Sequence[float],
        usual_depth: float,
        limits: Limits,
    ) -> None:
        self.lines = lines
        self.costs = costs
        self.depths = depths
        self.usual_depth = usual_depth
        self.limits = limits

    def runs(self) -> list[tuple[int, int]]:
        """The chapters: cut at pauses first, then at changes of subject."""
        # end_ns is the latest end so far: of two lines that overlap the first may end later.
        runs, low, end_ns = [], 0, 0
        for i, line in enumerate(self.lines):
            if i > low and line.span.start_ns - end_ns >= self.limits.gap_ns:
                runs.append((low, i))
                low = i
            end_ns = max(end_ns, line.span.end_ns) if i > low else line.span.end_ns
        if self.lines:
            runs.append((low, len(self.lines)))
        return [part for run in runs for part in self._cut_run(*run)]

    def _cut_run(self, low: int, high: int) -> list[tuple[int, int]]:
        done: list[tuple[int, int]] = []
        todo = [(low, high)]
        # A stack instead of recursion, because a run can be cut once per line.
        while todo:
            low, high = todo.pop()
            border = self._border(low, high)
            if border is None:
                done.append((low, high))
            else:
                todo += [(border, high), (low, border)]
        return done

    def _border(self, low: int, high: int) -> int | None:
        """The position at which to cut ``[low, high)``, or None to leave it whole.

        Of borders with equal depth it is the one nearest to the middle.
        """
        if high - low < 2:  # noqa: PLR2004 - one line cannot be cut
            return None
        start_ns = self.lines[low].span.start_ns
        end_ns = max(line.span.end_ns for line in self.lines[low:high])
        borders = range(low + 1, high)
        allowed = [
            i
            for i in borders
            if self.lines[i].span.start_ns - start_ns >= self.limits.min_ns
            and end_ns - self.lines[i].span.start_ns >= self.limits.min_ns
        ]
        middle_ns = (start_ns + end_ns) // 2

        def from_middle_ns(i: int) -> int:
            return abs(self.lines[i].span.start_ns - middle_ns)

        is_too_expensive = sum(self.costs[low:high]) > self.limits.max_cost
        if is_too_expensive and not allowed:
            # Not at the deepest valley: near an end few words are compared, so they differ most.
            return min(borders, key=from_middle_ns)
        if not is_too_expensive and end_ns - start_ns <= self.limits.max_ns:
            allowed = [i for i in allowed if self.depths[i - 1] > self.usual_depth]
        return max(allowed, key=lambda i: (self.depths[i - 1], -from_middle_ns(i)), default=None)


def _depths(lines: Sequence[Line]) -> list[float]:
    """For each border between two lines, how far similarity rises to the peaks on both sides."""
    words = [Counter(_WORD.findall(line.text.casefold())) for line in lines]
    similarity = [
        _cosine(
            sum(words[max(0, i - _BLOCK_LINES) : i], Counter()),
            sum(words[i : i + _BLOCK_LINES], Counter()),
        )
        for i in range(1, len(lines))
    ]
    before, after = _peaks(similarity), _peaks(similarity[::-1])[::-1]
    return [
        peak_before + peak_after - 2 * here
        for peak_before, peak_after, here in zip(before, after, similarity, strict=True)
    ]


def _peaks(heights: Sequence[float]) -> list[float]:
    """For each position, the height reached by walking backwards as long as it never falls."""
    peaks: list[float] = []
    for i, height in enumerate(heights):
        peaks.append(peaks[-1] if i and heights[i - 1] >= height else height)
    return peaks


def _cosine(first: Counter[str], second: Counter[str]) -> float:
    norm = math.sqrt(sum(n * n for n in first.values()) * sum(n * n for n in second.values()))
    return sum(n * second[word] for word, n in first.items()) / norm if norm else 0.0
