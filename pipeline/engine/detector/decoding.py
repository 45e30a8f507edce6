"""What a network gives becomes boxes: one function for each family of outputs. Pure numpy.

Boxes are ``x0, y0, x1, y1`` in pixels of the network's picture; scores are per box and class.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.engine.detector.model_file import DetectorModel, OutputFamily
from pipeline.errors import EngineStartError

Floats: TypeAlias = npt.NDArray[np.float32]
Scored: TypeAlias = tuple[Floats, Floats]
"""Boxes [N, 4] and their scores [N, classes]."""


def nanodet(outputs: Sequence[Floats], model: DetectorModel, least: Floats) -> Scored:
    """NanoDet: for each stride the scores, and the distance of each side as a distribution."""
    num = len(model.classes)
    scores = [one for one in outputs if one.shape[-1] == num]
    sides = [one for one in outputs if one.shape[-1] != num]
    if not scores or [one.shape[0] for one in scores] != [one.shape[0] for one in sides]:
        raise EngineStartError(
            f"{model.name}: output nanodet needs scores of {num} classes and sides for each "
            f"stride, but the network gives {[one.shape for one in outputs]}"
        )
    boxes, kept = [], []
    for score, side in zip(scores, sides, strict=True):
        chosen = np.flatnonzero((score >= least).any(axis=1))
        stride, across = _stride(len(score), model)
        centres = np.stack([chosen % across, chosen // across], axis=1) * stride + stride / 2
        bins = side[chosen].reshape(len(chosen), 4, side.shape[1] // 4)
        weight = np.exp(bins - bins.max(axis=2, keepdims=True))
        weight /= weight.sum(axis=2, keepdims=True)
        reach = (weight * np.arange(bins.shape[2])).sum(axis=2) * stride
        boxes.append(np.concatenate([centres - reach[:, :2], centres + reach[:, 2:]], axis=1))
        kept.append(score[chosen])
    return np.concatenate(boxes).astype(np.float32), np.concatenate(kept)


def yolox(outputs: Sequence[Floats], model: DetectorModel, least: Floats) -> Scored:
    """YOLOX: per cell of three grids a box, whether there is an object, and the classes."""
    [cells] = outputs
    if cells.shape[1] != 5 + len(model.classes):
        raise EngineStartError(
            f"{model.name}: output yolox needs 5 + {len(model.classes)} values per cell, but the "
            f"network gives {cells.shape[1]}"
        )
    grids, strides = [], []
    for stride in (8, 16, 32):
        down, across = model.input.height // stride, model.input.width // stride
        rows, columns = np.divmod(np.arange(down * across), across)
        grids.append(np.stack([columns, rows], axis=1))
        strides.append(np.full((down * across, 1), stride))
    grid, step = np.concatenate(grids), np.concatenate(strides)
    scores = cells[:, 4:5] * cells[:, 5:]
    chosen = (scores >= least).any(axis=1)
    middle = (cells[chosen, :2] + grid[chosen]) * step[chosen]
    half = np.exp(cells[chosen, 2:4]) * step[chosen] / 2
    return np.concatenate([middle - half, middle + half], 1).astype(np.float32), scores[chosen]


def detr(outputs: Sequence[Floats], model: DetectorModel, least: Floats) -> Scored:
    """RT-DETR, D-FINE and the like: logits, and boxes as shares of the picture (middle, size)."""
    shares = next((one for one in outputs if one.shape[-1] == 4), None)  # noqa: PLR2004 - sides
    logits = next((one for one in outputs if one.shape[-1] == len(model.classes)), None)
    if shares is None or logits is None:
        raise EngineStartError(
            f"{model.name}: output detr needs logits of {len(model.classes)} classes and boxes, "
            f"but the network gives {[one.shape for one in outputs]}"
        )
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    chosen = (scores >= least).any(axis=1)
    middle, half = shares[chosen, :2], shares[chosen, 2:] / 2
    size = np.array([model.input.width, model.input.height] * 2, np.float32)
    return np.concatenate([middle - half, middle + half], axis=1) * size, scores[chosen]


DECODERS: dict[OutputFamily, Callable[[Sequence[Floats], DetectorModel, Floats], Scored]] = {
    "nanodet": nanodet,
    "yolox": yolox,
    "detr": detr,
}


def _stride(num_cells: int, model: DetectorModel) -> tuple[int, int]:
    """Pixels between the cells of a grid, and how many cells are in a row."""
    width, height = model.input.width, model.input.height
    stride = round((width * height / num_cells) ** 0.5)
    return stride, -(-width // stride)


def best_of_overlapping(boxes: Floats, scores: Floats, iou: float) -> npt.NDArray[np.intp]:
    """Which boxes stay: of two that overlap by more than ``iou`` the one with the better score."""
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[overlaps(boxes[best : best + 1], boxes[order])[0] <= iou]
    return np.array(kept, np.intp)


def overlaps(first: Floats, second: Floats) -> Floats:
    """Intersection over union of each box with each other [N, M]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.where(union > 0, shared / np.maximum(union, 1e-9), 0).astype(np.float32)
