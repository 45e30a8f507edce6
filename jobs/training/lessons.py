"""Auxiliary targets for training: what every cell and every patch of a clip shows.

A network this small does not learn from answers alone that colours, doors and directions matter.
With these dense targets it learns to see within minutes. Their heads are dropped after training.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from jobs.training.clip import Clip
from jobs.training.model import MERGE, PATCH_PX
from pipeline.demo.language import COLORS, SHAPES, SeenEvent
from pipeline.demo.scene import patch_times_ms
from pipeline.demo.sprites import FloatArray
from pipeline.demo.things import WORLD_HEIGHT, WORLD_WIDTH, Thing

_MOVING_LABELS: Final = ("pass_left", "pass_right", "loiter")
_SCENE_LABELS: Final = ("light_off", "door_open")
_MIN_OVERLAP: Final = 0.3

# Per cell: colours, shapes, light off, door open, moving left, moving right.
_CELL_SHAPES: Final = len(COLORS)
_CELL_SCENE: Final = _CELL_SHAPES + len(SHAPES)
_CELL_DIRECTION: Final = _CELL_SCENE + len(_SCENE_LABELS)
NUM_CELL_TARGETS: Final = _CELL_DIRECTION + 2

# Per patch: colour x shape in view, colour x moving label, light, door, then who starts, who ended.
_NUM_WHO: Final = len(COLORS) + len(_SCENE_LABELS)
_PATCH_LABELS: Final = len(COLORS) * len(SHAPES)
_PATCH_SCENE: Final = _PATCH_LABELS + len(COLORS) * len(_MOVING_LABELS)
_PATCH_FIRST: Final = _PATCH_SCENE + len(_SCENE_LABELS)
_PATCH_GONE: Final = _PATCH_FIRST + _NUM_WHO
NUM_PATCH_TARGETS: Final = _PATCH_GONE + _NUM_WHO


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Targets [patch, cell, target] and [patch + 1, target] of one clip, each 0 or 1.

    The row after the last patch is for the end of the video, at which all events are over.
    """

    cells: FloatArray
    patches: FloatArray


def lesson(clip: Clip) -> Lesson:
    """The targets for a clip."""
    num_patches = len(clip.markers)
    high, wide = clip.frames.shape[1:3]
    rows, columns = high // (PATCH_PX * MERGE), wide // (PATCH_PX * MERGE)
    cells = np.zeros((num_patches, rows, columns, NUM_CELL_TARGETS), np.float32)
    patches = np.zeros((num_patches + 1, NUM_PATCH_TARGETS), np.float32)
    times_s = patch_times_ms(clip.frame_times_ms) / 1000
    for thing in clip.scene.things:
        _add_thing(cells, patches, thing, times_s)
    for event in clip.events:
        _add_event(cells, patches, event, clip)
    return Lesson(cells=cells.reshape(num_patches, rows * columns, -1), patches=patches)


def _add_thing(
    cells: FloatArray, patches: FloatArray, thing: Thing, times_s: npt.NDArray[np.float64]
) -> None:
    _, rows, columns, _ = cells.shape
    color, shape = COLORS.index(thing.color), SHAPES.index(thing.shape)
    x = np.interp(times_s, thing.knots_s, thing.knots_x)
    in_view = (times_s >= thing.start_s) & (times_s < thing.end_s)
    cell_width, cell_height = WORLD_WIDTH / columns, WORLD_HEIGHT / rows
    left = np.arange(columns) * cell_width
    top = np.arange(rows) * cell_height
    overlap_x = np.minimum(x[..., None] + thing.width / 2, left + cell_width) - np.maximum(
        x[..., None] - thing.width / 2, left
    )
    overlap_y = np.minimum(thing.y + thing.height / 2, top + cell_height) - np.maximum(
        thing.y - thing.height / 2, top
    )
    area = np.clip(overlap_x, 0, None)[:, :, None] * np.clip(overlap_y, 0, None)[:, None]
    least = _MIN_OVERLAP * min(thing.width * thing.height, cell_width * cell_height)
    covered = ((area > least) & in_view[..., None, None]).any(1)
    targets = [color, _CELL_SHAPES + shape]
    if thing.label in ("pass_left", "pass_right"):
        targets.append(_CELL_DIRECTION + (thing.label == "pass_right"))
    for target in targets:
        cells[..., target] = np.maximum(cells[..., target], covered)
    combo = color * len(SHAPES) + shape
    patches[:-1, combo] = np.maximum(patches[:-1, combo], in_view.any(1))


def _add_event(cells: FloatArray, patches: FloatArray, event: SeenEvent, clip: Clip) -> None:
    during = slice(event.first_patch, event.last_patch + 1)
    if event.color is not None:
        who = COLORS.index(event.color)
        label = who * len(_MOVING_LABELS) + _MOVING_LABELS.index(event.label)
        patches[during, _PATCH_LABELS + label] = 1
    else:
        which = _SCENE_LABELS.index(event.label)
        who = len(COLORS) + which
        patches[during, _PATCH_SCENE + which] = 1
        if event.label == "light_off":
            cells[during, :, :, _CELL_SCENE + which] = 1
        elif clip.scene.appearance.door is not None:
            _, rows, columns, _ = cells.shape
            left, top, width, height = clip.scene.appearance.door
            row = int((top + height / 2) / WORLD_HEIGHT * rows)
            column = int((left + width / 2) / WORLD_WIDTH * columns)
            cells[during, row, column, _CELL_SCENE + which] = 1
    patches[event.first_patch, _PATCH_FIRST + who] = 1
    patches[event.last_patch + 1, _PATCH_GONE + who] = 1


def make_heads(hidden_size: int) -> torch.nn.ModuleDict:
    """Linear read-outs for the lessons, and for the times of a patch and of the one before."""
    times, previous_times = (torch.nn.Linear(hidden_size, hidden_size) for _ in range(2))
    # Starts as the identity, so that a copied time is read correctly from the first step on.
    with torch.no_grad():
        times.weight.copy_(torch.eye(hidden_size))
        times.bias.zero_()
    return torch.nn.ModuleDict(
        {
            "cells": torch.nn.Linear(hidden_size, NUM_CELL_TARGETS),
            "patches": torch.nn.Linear(hidden_size, NUM_PATCH_TARGETS),
            "times": times,
            "previous_times": previous_times,
        }
    )
