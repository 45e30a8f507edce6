"""Average precision of found moments over thresholds of temporal overlap, as benchmarks define it.

The greedy assignment and the interpolation are those of the ActivityNet and MMAction2 scorers,
which QVHighlights uses too: found moments by falling score, each to the true moment that it
overlaps most and that is still free; precision made monotone, as in VOC 2011.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.matching import TimedEvent

THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A stretch of one video; a found one has a score."""

    group: Hashable
    start_s: float
    end_s: float
    score: float = 0.0


def overlaps(one: tuple[float, float], others: Floats) -> Floats:
    """Temporal intersection over union of a range with ranges [n, 2]."""
    start_s, end_s = one
    shared = np.clip(np.minimum(end_s, others[:, 1]) - np.maximum(start_s, others[:, 0]), 0, None)
    union = (end_s - start_s) + (others[:, 1] - others[:, 0]) - shared
    return np.asarray(np.where(union > 0, shared / np.where(union > 0, union, 1), 0.0))


def average_precisions(
    truth: Sequence[Moment], found: Iterable[Moment], thresholds: Sequence[float] = THRESHOLDS
) -> Floats:
    """The average precision at each threshold; 0 if nothing was found or nothing is true."""
    ranked = sorted(found, key=lambda moment: -moment.score)
    if not ranked or not truth:
        return np.zeros(len(thresholds))
    by_group: dict[Hashable, list[int]] = defaultdict(list)
    for number, moment in enumerate(truth):
        by_group[moment.group].append(number)
    spans = np.array([(moment.start_s, moment.end_s) for moment in truth], dtype=np.float64)
    is_right = np.zeros((len(thresholds), len(ranked)), dtype=np.bool_)
    is_taken = np.zeros((len(thresholds), len(truth)), dtype=np.bool_)
    for place, moment in enumerate(ranked):
        numbers = np.array(by_group.get(moment.group, []), dtype=np.int64)
        if not len(numbers):
            continue
        likeness = overlaps((moment.start_s, moment.end_s), spans[numbers])
        best_first = likeness.argsort()[::-1]
        for row, threshold in enumerate(thresholds):
            free = (
                numbers[i]
                for i in best_first
                if likeness[i] >= threshold and not is_taken[row, numbers[i]]
            )
            taken = next(free, None)
            if taken is not None:
                is_taken[row, taken] = is_right[row, place] = True
    return np.array([_interpolated(row, len(truth)) for row in is_right])


def _interpolated(is_right: npt.NDArray[np.bool_], num_truth: int) -> float:
    num_right = np.cumsum(is_right)
    precision = np.concatenate([[0], num_right / np.arange(1, len(is_right) + 1), [0]])
    recall = np.concatenate([[0], num_right / num_truth, [1]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(np.sum((recall[steps] - recall[steps - 1]) * precision[steps]))


def detection_map(
    truth: Sequence[TimedEvent],
    found: Iterable[TimedEvent],
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, float]:
    """The mean over the true labels at each threshold, and their ``average``: as ActivityNet.

    A found event of a label that is nowhere true counts for nothing.
    """
    true_by_label, found_by_label = _by_label(truth), _by_label(found)
    per_label = [
        average_precisions(moments, found_by_label.get(label, []), thresholds)
        for label, moments in sorted(true_by_label.items())
    ]
    means = np.mean(per_label, axis=0) if per_label else np.zeros(len(thresholds))
    scores = {
        f"{threshold:g}": float(mean) for threshold, mean in zip(thresholds, means, strict=True)
    }
    return {**scores, "average": float(np.mean(means))}


def _by_label(events: Iterable[TimedEvent]) -> dict[str, list[Moment]]:
    moments: dict[str, list[Moment]] = defaultdict(list)
    for event in events:
        moments[event.label].append(
            Moment(
                group=event.group,
                start_s=event.start_s,
                end_s=event.end_s,
                score=1.0 if event.confidence is None else event.confidence,
            )
        )
    return moments
