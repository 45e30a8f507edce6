"""How many voices there are among vectors, and which vector is of which. Pure."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

_AT_ONCE = 400
"""More vectors are joined part by part first: the work grows with the square of their number."""
_REFINEMENTS = 3

Group = list[int]
"""Numbers of the vectors of one voice."""


def voices_among(
    vectors: Vectors,
    same: float,
    long_enough: Callable[[Sequence[int]], bool],
) -> Vectors:
    """One unit vector for each voice [K, D]; at least one.

    Groups are joined, the most alike first, while their vectors have a mean cosine of ``same``.

    Args:
        vectors: unit vectors [N, D], by time; at least one.
        same: the least mean cosine of the vectors of one voice.
        long_enough: whether a group of vectors is more than an accident.
    """
    groups: list[Group] = [[number] for number in range(len(vectors))]
    while len(groups) > _AT_ONCE:
        parts = [groups[at : at + _AT_ONCE] for at in range(0, len(groups), _AT_ONCE)]
        joined = [group for part in parts for group in _joined(part, vectors, same)]
        if len(joined) > len(groups) * 3 // 4:  # so few are alike that the small ones are noise
            joined = sorted(sorted(joined, key=len, reverse=True)[:_AT_ONCE])
        groups = joined
    groups = _joined(groups, vectors, same)
    kept = [group for group in groups if long_enough(group)] or [max(groups, key=len)]
    means = np.stack([vectors[group].sum(axis=0) for group in kept])
    for _ in range(_REFINEMENTS):
        means = unit(means)
        whose = (vectors @ means.T).argmax(axis=1)
        means = np.stack(
            [
                vectors[whose == number].sum(axis=0) if (whose == number).any() else mean
                for number, mean in enumerate(means)
            ]
        )
    return unit(means)


def unit(vectors: Vectors) -> Vectors:
    """The same directions, of length 1 [N, D]."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(lengths, 1e-9)).astype(np.float32)
    return scaled


def _joined(groups: Sequence[Group], vectors: Vectors, same: float) -> list[Group]:
    """Average linkage; ties go to the earliest, so that the result is always the same."""
    groups = [list(group) for group in groups]
    sums = np.stack([vectors[group].sum(axis=0) for group in groups])
    sizes = np.array([len(group) for group in groups], np.float32)
    alike = (sums @ sums.T) / np.outer(sizes, sizes)
    np.fill_diagonal(alike, -np.inf)
    while True:
        first, second = sorted(divmod(int(alike.argmax()), len(groups)))
        if alike[first, second] < same:
            return [group for group in groups if group]
        groups[first] += groups[second]
        groups[second] = []
        sums[first] += sums[second]
        sizes[first] += sizes[second]
        cosines = (sums @ sums[first]) / (sizes * sizes[first])
        cosines[[not group for group in groups]] = -np.inf
        cosines[first] = -np.inf
        alike[first, :], alike[:, first] = cosines, cosines
        alike[second, :], alike[:, second] = -np.inf, -np.inf
