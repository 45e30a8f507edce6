"""Tracks in the form of MOTChallenge: scores of py-motmetrics, and HOTA."""

from collections import defaultdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pipeline.errors import ConfigError
from pipeline.evaluation.hota import Floats, Frame, hota

_NAMES = ("mota", "motp", "idf1", "idp", "idr", "num_switches", "num_false_positives", "num_misses")
_LEAST_OVERLAP = 0.5
_NUM_FIELDS = 7

Boxes: TypeAlias = dict[int, dict[int, tuple[float, float, float, float]]]
"""By frame and track: left, upper edge, width, height."""


def score_tracks(truth: Path, found: Path) -> dict[str, float | None]:
    """MOTA, MOTP, IDF1 and what they are made of, where boxes overlap by half; and HOTA.

    Raises:
        ConfigError: a file cannot be read, or py-motmetrics is not installed.
    """
    try:
        import motmetrics  # noqa: PLC0415 - an extra
    except ImportError as exc:
        raise ConfigError("scores of tracks need motmetrics: pip install '.[evaluate]'") from exc
    true_boxes, found_boxes = _read(truth, is_truth=True), _read(found, is_truth=False)
    pairs = motmetrics.MOTAccumulator()
    for frame in sorted({*true_boxes, *found_boxes}):
        true, other = true_boxes.get(frame, {}), found_boxes.get(frame, {})
        pairs.update(list(true), list(other), _distances(true, other), frameid=frame)
    return _figures(motmetrics, pairs) | _hota(true_boxes, found_boxes)


def _figures(motmetrics: Any, pairs: Any) -> dict[str, float | None]:  # noqa: ANN401 - without types
    row = motmetrics.metrics.create().compute(pairs, metrics=list(_NAMES)).iloc[0]
    # Not a number: a share of nothing, which JSON cannot say.
    return {name: None if np.isnan(row[name]) else float(row[name]) for name in _NAMES}


def _hota(truth: Boxes, found: Boxes) -> dict[str, float]:
    numbers = [
        {
            track: i
            for i, track in enumerate(sorted({track for one in side.values() for track in one}))
        }
        for side in (truth, found)
    ]
    frames = []
    for frame in sorted({*truth, *found}):
        true, other = truth.get(frame, {}), found.get(frame, {})
        frames.append(
            Frame(
                true=np.array([numbers[0][track] for track in true], dtype=np.int64),
                found=np.array([numbers[1][track] for track in other], dtype=np.int64),
                overlaps=_overlaps(true, other),
            )
        )
    return hota(frames, len(numbers[0]), len(numbers[1]))


def _distances(
    true: dict[int, tuple[float, float, float, float]],
    found: dict[int, tuple[float, float, float, float]],
) -> Floats:
    """One minus the overlap of each pair; nan where it is too small."""
    overlap = _overlaps(true, found)
    return np.asarray(np.where(overlap >= _LEAST_OVERLAP, 1 - overlap, np.nan))


def _overlaps(
    true: dict[int, tuple[float, float, float, float]],
    found: dict[int, tuple[float, float, float, float]],
) -> Floats:
    """Intersection over union of each pair [true, found]."""
    # The distances of motmetrics 1.4 itself need a numpy before 2.
    rows = np.array(list(true.values())).reshape(-1, 1, 4)
    columns = np.array(list(found.values())).reshape(1, -1, 4)
    upper = np.maximum(rows[..., :2], columns[..., :2])
    lower = np.minimum(rows[..., :2] + rows[..., 2:], columns[..., :2] + columns[..., 2:])
    shared = np.clip(lower - upper, 0, None).prod(axis=-1)
    union = rows[..., 2:].prod(axis=-1) + columns[..., 2:].prod(axis=-1) - shared
    return np.asarray(shared / np.where(union > 0, union, 1))


def _read(path: Path, *, is_truth: bool) -> Boxes:
    """The boxes of a file; of the truth those that count, whose confidence is 1."""
    boxes: Boxes = defaultdict(dict)
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                values = [float(value) for value in line.split(",")[:_NUM_FIELDS]]
                frame, track, left, top, width, height, confidence = values
                if confidence >= 1 or not is_truth:
                    boxes[int(frame)][int(track)] = (left, top, width, height)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{path}: is no file of MOTChallenge ({exc})") from exc
    return boxes
