"""Average mAP of spotting, as SoccerNet defines it: actions are moments, found within a tolerance.

Moments lie on frames of half a second. A true moment takes the surest found one of its label that
is at most half the tolerance away. Precision and recall are taken at 200 thresholds of confidence,
the average precision at eleven recalls, and the mean over labels is averaged over the tolerances
by trapezoids.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

LOOSE_S = tuple(range(5, 61, 5))
TIGHT_S = tuple(range(1, 6))

_FRAMES_PER_S = 2
_THRESHOLDS = np.linspace(0, 1, 200)
_RECALLS = np.arange(11) / 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A moment in one half of a game; a found one has a confidence."""

    group: Hashable
    label: str
    at_s: float
    confidence: float = 1.0


Frames: TypeAlias = dict[Hashable, dict[int, float]]
"""By group, the confidence at each frame."""


def average_map(truth: Sequence[Spot], found: Iterable[Spot]) -> dict[str, Any]:
    """Tight (1 to 5 s) and loose (5 to 60 s) average mAP, and both of each true label."""
    true, other = _by_label(truth), _by_label(found)
    by_label = {
        label: {
            "tight": _average([_precision(frames, other.get(label, {}), s) for s in TIGHT_S]),
            "loose": _average([_precision(frames, other.get(label, {}), s) for s in LOOSE_S]),
        }
        for label, frames in sorted(true.items())
    }
    return {
        name: float(np.mean([scores[name] for scores in by_label.values()])) if by_label else 0.0
        for name in ("tight", "loose")
    } | {"by_label": by_label}


def _by_label(spots: Iterable[Spot]) -> dict[str, Frames]:
    """The last one counts of several of a label at one frame."""
    frames: dict[str, Frames] = defaultdict(lambda: defaultdict(dict))
    for spot in spots:
        frames[spot.label][spot.group][int(spot.at_s * _FRAMES_PER_S)] = spot.confidence
    return frames


def _precision(truth: Frames, found: Frames, tolerance_s: int) -> float:
    """The average precision of one label."""
    rated = [
        rated
        for group in {**truth, **found}
        for rated in _rated(truth.get(group, {}), found.get(group, {}), tolerance_s)
    ]
    if not rated:
        return 0.0
    scores = np.array([score for score, _ in rated])
    right = np.array([is_right for _, is_right in rated], dtype=np.bool_)
    taken = scores[None, :] >= _THRESHOLDS[:, None]
    num_taken, num_right = taken.sum(axis=1), (taken & right).sum(axis=1)
    precision = num_right / np.maximum(num_taken, 1)
    recall = num_right / sum(map(len, truth.values()))
    best = [precision[recall >= least].max(initial=0.0) for least in _RECALLS]
    return float(np.mean(best))


def _rated(
    truth: Iterable[int], found: Mapping[int, float], tolerance_s: int
) -> list[tuple[float, bool]]:
    """The found moments of one group, each with whether it is right."""
    reach = tolerance_s * _FRAMES_PER_S / 2
    right: set[int] = set()
    for frame in sorted(truth):
        free = [one for one in sorted(found) if abs(one - frame) <= reach and one not in right]
        if free:
            right.add(max(free, key=lambda one: found[one]))  # the earliest of equals
    return [(score, frame in right) for frame, score in found.items()]


def _average(values: Sequence[float]) -> float:
    return float(np.mean([(one + then) / 2 for one, then in pairwise(values)]))
