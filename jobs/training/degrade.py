"""Degrades frames as lenses and codecs do, in numpy: blur, coarse colour, quantised blocks."""

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.demo.sprites import FloatArray

_BLOCK_PX: Final = 8
_TO_YUV: Final = np.array(
    ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081)), np.float32
)
_BLUR_CHANCE: Final = 0.4
_BLOCKS_CHANCE: Final = 0.5


def degrade(rng: np.random.Generator, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The frames [N, H, W, RGB] after a random mix of blur, chroma subsampling and blocks."""
    work = frames.astype(np.float32)
    if rng.random() < _BLUR_CHANCE:
        _blurred(work, float(rng.uniform(0.2, 1.0)))
    yuv = work @ _TO_YUV.T
    yuv[..., 1:] = _coarse(yuv[..., 1:])
    if rng.random() < _BLOCKS_CHANCE:
        yuv = _quantised(yuv, float(np.exp(rng.uniform(np.log(4), np.log(40)))))
    work = yuv @ np.linalg.inv(_TO_YUV).T.astype(np.float32)
    clipped: npt.NDArray[np.float32] = np.clip(work + 0.5, 0, 255)
    return clipped.astype(np.uint8)


def _blurred(frames: FloatArray, weight: float) -> None:
    """Mixes every pixel with its neighbours, in place; weight 1 is like a lens out of focus."""
    for axis in (1, 2):
        size = frames.shape[axis]
        inner, before, after = (
            (slice(None),) * axis + (slice(1 + shift, size - 1 + shift),) for shift in (0, -1, 1)
        )
        around = (frames[before] + frames[after]) * np.float32(weight / 3)
        frames[inner] *= np.float32(1 - weight * 2 / 3)
        frames[inner] += around


def _coarse(chroma: FloatArray) -> FloatArray:
    """Every 2x2 block replaced by its mean, as 4:2:0 chroma subsampling does."""
    # Slices, not mean(): reducing over two short axes is ten times slower.
    mean = (
        chroma[:, ::2, ::2] + chroma[:, 1::2, ::2] + chroma[:, ::2, 1::2] + chroma[:, 1::2, 1::2]
    ) * np.float32(0.25)
    return np.repeat(np.repeat(mean, 2, axis=1), 2, axis=2)


@lru_cache(maxsize=1)
def _cosines() -> FloatArray:
    """The orthonormal cosine transform of one block side."""
    index = np.arange(_BLOCK_PX)
    matrix = np.cos(np.pi * (2 * index[None] + 1) * index[:, None] / (2 * _BLOCK_PX))
    matrix *= np.sqrt(2 / _BLOCK_PX)
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)


def _quantised(frames: FloatArray, step: float) -> FloatArray:
    """Every block's cosine coefficients rounded to multiples that grow with frequency."""
    number, high, wide, channels = frames.shape
    blocks = frames.reshape(
        number, high // _BLOCK_PX, _BLOCK_PX, wide // _BLOCK_PX, _BLOCK_PX, channels
    ).transpose(0, 1, 3, 5, 2, 4)
    cosines = _cosines()
    frequency = np.arange(_BLOCK_PX)
    steps = (step * (0.5 + 0.25 * (frequency[:, None] + frequency[None]))).astype(np.float32)
    coefficients = np.round(cosines @ blocks @ cosines.T / steps) * steps
    back = (cosines.T @ coefficients @ cosines).transpose(0, 1, 4, 2, 5, 3)
    return np.asarray(back.reshape(frames.shape), np.float32)
