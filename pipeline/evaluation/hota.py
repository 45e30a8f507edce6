"""HOTA of tracks (Luiten et al. 2020): how well objects are found, and how well they are followed.

At each threshold of overlap, DetA says which boxes are found, AssA how much of each pair of tracks
is the same object, and HOTA is the square root of their product; all three are then averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

_ALPHAS = np.arange(0.05, 0.99, 0.05)
_NOISE = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The tracks of one frame, numbered from 0, and how far their boxes overlap [true, found]."""

    true: Ids
    found: Ids
    overlaps: Floats


def hota(frames: Sequence[Frame], num_true: int, num_found: int) -> dict[str, float]:
    """HOTA, DetA and AssA of ``num_true`` true tracks and ``num_found`` found ones."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - an extra

    true_lengths, found_lengths, likeness = _likeness(frames, num_true, num_found)
    pairs = np.zeros((len(_ALPHAS), num_true, num_found))
    num_boxes = int(true_lengths.sum()), int(found_lengths.sum())
    for frame in frames:
        of_tracks = likeness[np.ix_(frame.true, frame.found)]
        rows, columns = linear_sum_assignment(-(of_tracks * frame.overlaps))
        for level, alpha in enumerate(_ALPHAS):
            is_match = frame.overlaps[rows, columns] >= alpha - _NOISE
            pairs[level, frame.true[rows[is_match]], frame.found[columns[is_match]]] += 1
    num_matches = pairs.sum(axis=(1, 2))
    det_a = num_matches / np.maximum(1, sum(num_boxes) - num_matches)
    union = true_lengths[None, :, None] + found_lengths[None, None, :] - pairs
    ass_a = (pairs * pairs / np.maximum(1, union)).sum(axis=(1, 2)) / np.maximum(1, num_matches)
    return {
        "hota": float(np.mean(np.sqrt(det_a * ass_a))),
        "det_a": float(np.mean(det_a)),
        "ass_a": float(np.mean(ass_a)),
    }


def _likeness(
    frames: Sequence[Frame], num_true: int, num_found: int
) -> tuple[Floats, Floats, Floats]:
    """Boxes of each true and each found track; and how alike two tracks are over all frames."""
    true_lengths, found_lengths = np.zeros(num_true), np.zeros(num_found)
    shared = np.zeros((num_true, num_found))
    for frame in frames:
        true_lengths[frame.true] += 1
        found_lengths[frame.found] += 1
        sides = frame.overlaps.sum(axis=0)[None, :] + frame.overlaps.sum(axis=1)[:, None]
        union = sides - frame.overlaps
        # An overlap with nobody else counts whole.
        alike = np.where(union > _NOISE, frame.overlaps / np.where(union > _NOISE, union, 1), 0)
        shared[np.ix_(frame.true, frame.found)] += alike
    union = true_lengths[:, None] + found_lengths[None, :] - shared
    return true_lengths, found_lengths, shared / np.maximum(union, _NOISE)
