"""Where one chapter ends and the next begins. Pure; the same lines give the same chapters.

A pause always ends a chapter. Within a run without pauses words decide, after TextTiling (Hearst,
"TextTiling: Segmenting Text into Multi-paragraph Subtopic Passages", Computational Linguistics
23(1), 1997): the cosine of the words before and after each border has valleys where the subject
changes, and the depth of a valley says how clearly. A run is cut at its deepest valley while that
is deeper than usual, or while the run is too long or too dear.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from pipeline.records import Line

_BLOCK_LINES = 3
"""Lines that are compared on either side of a border."""
# A word of letters or digits; where a script has no spaces (Chinese, Japanese), each character.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long chapters may be; ``max_cost`` bounds the sum of the lines' costs."""

    min_ns: int
    max_ns: int
    gap_ns: int
    max_cost: int


def cut_chapters(
    lines: Sequence[Line], costs: Sequence[int], limits: Limits
) -> list[tuple[Line, ...]]:
    """Lines that are ordered by start, as chapters: each line in one, none of them empty.

    Args:
        lines: of one video, ordered by start.
        costs: of each line, in the unit of ``limits.max_cost`` (tokens).
        limits: a line that costs more than ``max_cost`` is a chapter of its own; chapters shorter
            than ``min_ns`` only come from pauses, or where nothing else would fit.
    """
    depths = _depths(lines)
    usual = fmean(depths) + pstdev(depths) if depths else 0.0
    cutter = _Cutter(lines, costs, depths, usual, limits)
    return [tuple(lines[low:high]) for low, high in cutter.runs()]


class _Cutter:
    """Ranges of positions in ``lines``; ``depths[i]`` belongs to the border before line i + 1."""

    def __init__(
        self,
        lines: Sequence[Line],
        costs: Sequence[int],
        depths: Sequence[float],
        usual: float,
        limits: Limits,
    ) -> None:
        self.lines = lines
        self.costs = costs
        self.depths = depths
        self.usual = usual
        self.limits = limits

    def runs(self) -> list[tuple[int, int]]:
        """Parted at pauses first, then at changes of subject."""
        # The latest end so far: of two lines that overlap the earlier may end later.
        runs, low, end_ns = [], 0, 0
        for i, line in enumerate(self.lines):
            if i > low and line.span.start_ns - end_ns >= self.limits.gap_ns:
                runs.append((low, i))
                low = i
            end_ns = max(end_ns, line.span.end_ns) if i > low else line.span.end_ns
        if self.lines:
            runs.append((low, len(self.lines)))
        return [part for run in runs for part in self._parted(*run)]

    def _parted(self, low: int, high: int) -> list[tuple[int, int]]:
        done: list[tuple[int, int]] = []
        todo = [(low, high)]
        # A stack and not recursion: a run can be cut once per line.
        while todo:
            low, high = todo.pop()
            border = self._border(low, high)
            if border is None:
                done.append((low, high))
            else:
                todo += [(border, high), (low, border)]
        return done

    def _border(self, low: int, high: int) -> int | None:
        """Where to cut ``[low, high)``, if at all; of equal depths the one nearest the middle."""
        if high - low < 2:  # noqa: PLR2004 - one line cannot be cut
            return None
        start_ns = self.lines[low].span.start_ns
        end_ns = max(line.span.end_ns for line in self.lines[low:high])
        borders = range(low + 1, high)
        roomy = [
            i
            for i in borders
            if self.lines[i].span.start_ns - start_ns >= self.limits.min_ns
            and end_ns - self.lines[i].span.start_ns >= self.limits.min_ns
        ]
        middle_ns = (start_ns + end_ns) // 2

        def off_middle_ns(i: int) -> int:
            return abs(self.lines[i].span.start_ns - middle_ns)

        is_too_dear = sum(self.costs[low:high]) > self.limits.max_cost
        if is_too_dear and not roomy:
            # Near an end words differ most, since there are fewest of them.
            return min(borders, key=off_middle_ns)
        if not is_too_dear and end_ns - start_ns <= self.limits.max_ns:
            roomy = [i for i in roomy if self.depths[i - 1] > self.usual]
        return max(roomy, key=lambda i: (self.depths[i - 1], -off_middle_ns(i)), default=None)


def _depths(lines: Sequence[Line]) -> list[float]:
    """Of each border between two lines: how far the likeness rises to its peaks on both sides."""
    words = [Counter(_WORD.findall(line.text.casefold())) for line in lines]
    likeness = [
        _cosine(
            sum(words[max(0, i - _BLOCK_LINES) : i], Counter()),
            sum(words[i : i + _BLOCK_LINES], Counter()),
        )
        for i in range(1, len(lines))
    ]
    before, after = _peaks(likeness), _peaks(likeness[::-1])[::-1]
    return [
        left + right - 2 * here for left, right, here in zip(before, after, likeness, strict=True)
    ]


def _peaks(heights: Sequence[float]) -> list[float]:
    """Of each position: how high one gets walking back from it, never downhill."""
    peaks: list[float] = []
    for i, height in enumerate(heights):
        peaks.append(peaks[-1] if i and heights[i - 1] >= height else height)
    return peaks


def _cosine(first: Counter[str], then: Counter[str]) -> float:
    norm = math.sqrt(sum(n * n for n in first.values()) * sum(n * n for n in then.values()))
    return sum(n * then[word] for word, n in first.items()) / norm if norm else 0.0
