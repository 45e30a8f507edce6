"""Two answers about the same footage: how far apart, and whether by more than chance.

The footage is cut into blocks, the hours of each camera. Blocks are drawn again and again, as many
as there are, each as often as chance has it; between the bounds lie 95 % of the differences.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.matching import MIN_TIOU, TimedEvent, match_events, tiou
from pipeline.timebase import Int64Array

_NUM_DRAWS = 2000
_BOUNDS_PERCENT = (2.5, 97.5)
_BLOCK_S = 3600


def compare(
    truth: Sequence[TimedEvent], one: Sequence[TimedEvent], other: Sequence[TimedEvent]
) -> dict[str, Any]:
    """Event F1 of both, the other's less the one's, and its bounds; None if there is no event."""
    counts = [_by_block(truth, found) for found in (one, other)]
    blocks = sorted({*counts[0], *counts[1]})
    if not blocks:
        return {"num_blocks": 0, "event_f1": None, "difference": None, "between": None}
    # Its axes: answers, blocks, and how many events are right, true and found.
    table = np.array([[of_answer[block] for block in blocks] for of_answer in counts])
    scores = _f1(table.sum(axis=1))
    chance = np.random.default_rng(0)
    drawn = chance.integers(len(blocks), size=(_NUM_DRAWS, len(blocks)))
    differences = np.array([_f1(table[:, rows].sum(axis=1)) for rows in drawn])
    bounds = np.percentile(differences[:, 1] - differences[:, 0], _BOUNDS_PERCENT)
    return {
        "num_blocks": len(blocks),
        "event_f1": [round(float(score), 4) for score in scores],
        "difference": round(float(scores[1] - scores[0]), 4),
        "between": [round(float(bound), 4) for bound in bounds],
    }


def _f1(counts: Int64Array) -> npt.NDArray[np.float64]:
    right, num_true, num_found = counts.T
    total = num_true + num_found
    return np.asarray(np.where(total > 0, 2 * right / np.maximum(total, 1), 1.0))


def _by_block(
    truth: Sequence[TimedEvent], found: Sequence[TimedEvent]
) -> dict[tuple[str, int], tuple[int, int, int]]:
    """Of each block, how many events are right, true and found; a pair is where the true one is."""
    matches = match_events(
        truth, found, key=lambda event: event.label, likeness=tiou, least=MIN_TIOU
    )
    right = Counter(_block(match.truth) for match in matches)
    true = Counter(map(_block, truth))
    moved = Counter(_block(match.truth) for match in matches)
    moved.subtract(_block(match.found) for match in matches)
    others = Counter(map(_block, found))
    others.update(moved)
    return defaultdict(
        lambda: (0, 0, 0),
        {block: (right[block], true[block], others[block]) for block in {*true, *others}},
    )


def _block(event: TimedEvent) -> tuple[str, int]:
    return event.group, int(event.start_s // _BLOCK_S)
