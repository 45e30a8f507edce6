# ruff: noqa: PLR2004  # a drawn world is made of numbers; a name for each would say less
"""Draws small pictures of cars, persons and balls, and resizes pictures; with numpy only."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

RGB: Final[dict[str, tuple[int, int, int]]] = {
    "red": (205, 40, 40),
    "green": (40, 165, 60),
    "blue": (45, 70, 210),
    "yellow": (225, 205, 40),
    "white": (238, 238, 238),
}
_SKIN_RGB: Final = (205.0, 165.0, 135.0)
_TYRE_RGB: Final = (18.0, 18.0, 18.0)
_OVERSAMPLING: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprite:
    """Colour times coverage [h,w,3], and coverage [h,w,1].

    To draw it, compute picture * (1 - coverage) + colour.
    """

    color: FloatArray
    coverage: FloatArray


def interpolation(size_out: int, size_in: int) -> FloatArray:
    """Matrix [size_out, size_in] that resizes one axis linearly (pixel centres aligned)."""
    position = (np.arange(size_out) + 0.5) * (size_in / size_out) - 0.5
    position = np.clip(position, 0, size_in - 1)
    left = np.minimum(position.astype(np.int64), max(size_in - 2, 0))
    weight = (position - left).astype(np.float32)
    matrix = np.zeros((size_out, size_in), np.float32)
    rows = np.arange(size_out)
    matrix[rows, left] = 1 - weight
    matrix[rows, np.minimum(left + 1, size_in - 1)] += weight
    return matrix


def resize(picture: FloatArray, height_px: int, width_px: int) -> FloatArray:
    """Picture [h,w,c] resized linearly to [height_px, width_px, c]."""
    rows = interpolation(height_px, picture.shape[0])
    columns = interpolation(width_px, picture.shape[1])
    return np.ascontiguousarray(np.einsum("ah,hwc,bw->abc", rows, picture, columns, optimize=True))


@lru_cache(maxsize=512)
def sprite(
    *, shape: str, rgb: tuple[float, float, float], height_px: int, width_px: int, mirrored: bool
) -> Sprite:
    """The object drawn to fill a box of this size; equal arguments return the same arrays."""
    high, wide = height_px * _OVERSAMPLING, width_px * _OVERSAMPLING
    rows, columns = np.mgrid[0:high, 0:wide]
    u, v = (columns + 0.5) / wide, (rows + 0.5) / high
    aspect = width_px / height_px
    color = np.array(rgb, np.float32)
    picture = np.zeros((high, wide, 3), np.float32)
    coverage = np.zeros((high, wide, 1), np.float32)

    def paint(mask: npt.NDArray[np.bool_], value: npt.ArrayLike) -> None:
        picture[mask] = value
        coverage[mask] = 1

    if shape == "car":
        paint((v > 0.40) & (v < 0.82), color)
        paint((v <= 0.42) & (v > 0.04) & (u > 0.22) & (u < 0.80), color)
        paint((v > 0.12) & (v < 0.38) & (u > 0.28) & (u < 0.74), color * 0.35 + 30)
        for axle in (0.22, 0.78):
            paint(((u - axle) * aspect) ** 2 + (v - 0.82) ** 2 < 0.19**2, _TYRE_RGB)
    elif shape == "person":
        paint((v > 0.25) & (v < 0.64) & (u > 0.12) & (u < 0.88), color)
        legs = ((u > 0.18) & (u < 0.44)) | ((u > 0.56) & (u < 0.82))
        paint((v >= 0.64) & legs, color * 0.75)
        paint(((u - 0.5) * aspect) ** 2 + (v - 0.12) ** 2 < 0.115**2, _SKIN_RGB)
    else:
        paint((u - 0.5) ** 2 + (v - 0.5) ** 2 < 0.25, color)
        paint((u - 0.36) ** 2 + (v - 0.34) ** 2 < 0.012, color * 0.5 + 127)
    if mirrored:
        picture, coverage = picture[:, ::-1], coverage[:, ::-1]

    def shrink(oversampled: FloatArray) -> FloatArray:
        blocks = oversampled.reshape(height_px, _OVERSAMPLING, width_px, _OVERSAMPLING, -1)
        result = np.ascontiguousarray(blocks.mean((1, 3), dtype=np.float32))
        result.flags.writeable = False
        return result

    return Sprite(color=shrink(picture * coverage), coverage=shrink(coverage))
