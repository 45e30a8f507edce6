"""Small grey pictures of screens: how they are kept, and when two show the same page.

A picture has a mask beside it: pixels that never rest (a webcam, a playing clip, a clock) say
nothing about the page, so no comparison looks at them.
"""

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.timebase import BoolArray

Grey: TypeAlias = npt.NDArray[np.uint8]

CHANGED_LEVELS = 22
"""Grey levels by which a pixel changes when it shows something else; coding changes it by less."""
CHANGED_SHARE = 0.0015
"""Share of the picture that changes with the shortest line of text; a cursor is smaller."""
_INK_LEVELS = 35
"""Grey levels between what is written and the ground it is written on."""
_MIN_INK_PIXELS = 20
_LOST_PIXELS = 16
_LOST_SHARE = 0.02
"""Ink that coding may lose; the same page with one other number loses more."""
_BLACK_LEVEL = 24
_GROUND_LEVELS = 2
_GROUND_SHARE = 0.38
"""Share of a page that has the shade of its ground; 0.43 or more in slides, and at most 0.33 in
almost all footage of cameras that was measured."""

Change: TypeAlias = Literal["same", "build", "new"]


@dataclass(frozen=True, slots=True)
class Still:
    """What stands still on a screen."""

    grey: Grey
    """[h, w]"""
    rests: BoolArray
    """[h, w]: where the picture can be compared."""


def change_between(before: Still, after: Still) -> Change:
    """Whether ``after`` shows the same, adds something to it, or is another page."""
    if before.grey.shape != after.grey.shape:
        return "new"
    rests = before.rests & after.rests
    changed = differs(before.grey, after.grey) & rests
    if changed.mean() <= CHANGED_SHARE:
        return "same"
    written = ink(before.grey) & rests
    num_written = int(written.sum())
    num_lost = int((changed & written).sum())
    keeps = num_lost <= max(_LOST_PIXELS, _LOST_SHARE * num_written)
    return "build" if num_written > _MIN_INK_PIXELS and keeps else "new"


def differs(one: Grey, other: Grey) -> BoolArray:
    """Where two pictures show something else."""
    lighter, darker = np.maximum(one, other), np.minimum(one, other)
    changed: BoolArray = (lighter - darker) > CHANGED_LEVELS
    return changed


def ink(grey: Grey) -> BoolArray:
    """Where something is written on the ground of the picture, which is its median."""
    ground = int(np.median(grey))
    written: BoolArray = np.abs(grey.astype(np.int16) - ground) > _INK_LEVELS
    return written


def is_page(still: Still) -> bool:
    """Whether it looks like a page: something is written on a ground of one shade.

    The picture of a camera has no such ground, even where nothing moves. Black bars around a
    picture are no ground.
    """
    shown = without_bars(still)
    if not shown.grey.size:
        return False
    grey, rests = shown.grey, shown.rests
    counts = np.bincount(grey[rests], minlength=256)
    num_like_it = np.convolve(counts, np.ones(2 * _GROUND_LEVELS + 1, np.int64), "same").max()
    has_ground = num_like_it >= _GROUND_SHARE * max(1, rests.sum())
    return bool(has_ground and (ink(still.grey) & still.rests).sum() > _MIN_INK_PIXELS)


def without_bars(still: Still) -> Still:
    """The part of it between black bars; of a black picture nothing."""
    light = still.grey > _BLACK_LEVEL
    rows, columns = np.flatnonzero(light.any(axis=1)), np.flatnonzero(light.any(axis=0))
    if not len(rows):
        return Still(still.grey[:0], still.rests[:0])
    shown = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return Still(still.grey[shown], still.rests[shown])


def encode(still: Still) -> str:
    """The picture as it is kept: WebP in base64, transparent where it does not rest."""
    alpha = Image.fromarray(np.where(still.rests, 255, 0).astype(np.uint8))
    grey = Image.fromarray(still.grey)
    out = BytesIO()
    Image.merge("RGBA", (grey, grey, grey, alpha)).save(
        out, "WEBP", quality=80, method=2, exact=True
    )
    return base64.b64encode(out.getvalue()).decode()


def decode(picture: str) -> Still:
    """The picture that ``encode`` has kept."""
    with Image.open(BytesIO(base64.b64decode(picture)), formats=["WEBP"]) as stored:
        rgba = np.asarray(stored.convert("RGBA"))
    return Still(np.ascontiguousarray(rgba[:, :, 1]), rgba[:, :, 3] > 0)
