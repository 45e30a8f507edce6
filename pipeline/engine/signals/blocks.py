"""Arithmetic on the coarse grid of 4 x 4 pixel blocks that all signals are judged on."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.timebase import BoolArray

BLOCK = 4
"""Pixels along one side of a block."""

ByteArray: TypeAlias = npt.NDArray[np.uint8]
FloatArray: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.intp]

_BYTE_SUM = np.uint32(0x01010101)
_AROUND = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


def pad_to_blocks(luma: ByteArray) -> ByteArray:
    """Repeat the last row and column until blocks tile the picture; [T, h, w]."""
    _, height, width = luma.shape
    rows, columns = -height % BLOCK, -width % BLOCK
    if rows or columns:
        return np.pad(luma, ((0, 0), (0, rows), (0, columns)), mode="edge")
    return np.ascontiguousarray(luma)


def block_means(luma: ByteArray | FloatArray) -> FloatArray:
    """Mean of each block; [T, h, w] to [T, h/4, w/4]."""
    rows: npt.NDArray[Any] = luma[:, 0::BLOCK].astype(
        np.uint16 if luma.dtype == np.uint8 else np.float32
    )
    for offset in range(1, BLOCK):
        rows += luma[:, offset::BLOCK]
    total = rows[:, :, 0::BLOCK].astype(np.float32)
    for offset in range(1, BLOCK):
        total += rows[:, :, offset::BLOCK]
    total *= 1 / BLOCK**2
    return total


def block_counts(mask: BoolArray) -> ByteArray:
    """How many pixels of each block are set, 0 to 16; [T, h, w] to [T, h/4, w/4].

    Four neighbouring bytes are read as one number: multiplying it adds them up in its top byte.
    """
    bits = mask.view(np.uint8)
    rows = bits[:, 0::BLOCK] + bits[:, 1::BLOCK]
    rows += bits[:, 2::BLOCK]
    rows += bits[:, 3::BLOCK]
    packed = rows.view(np.uint32)
    packed *= _BYTE_SUM
    packed >>= np.uint32(24)
    return packed.astype(np.uint8)


def to_pixels(blocks: BoolArray) -> BoolArray:
    """Repeat each block for its pixels; [h/4, w/4] to [h, w]."""
    return np.repeat(np.repeat(blocks, BLOCK, axis=0), BLOCK, axis=1)


def around(blocks: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Sum over each block and its eight neighbours; [T, h, w] to the same."""
    padded = np.pad(blocks, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    total: npt.NDArray[np.uint16] = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    return total


def widen(mask: BoolArray) -> BoolArray:
    """Set also the eight neighbours of what is set; [h, w]."""
    out = mask.copy()
    out[1:] |= mask[:-1]
    out[:-1] |= mask[1:]
    sideways = out.copy()
    out[:, 1:] |= sideways[:, :-1]
    out[:, :-1] |= sideways[:, 1:]
    return out


def components(mask: BoolArray) -> list[tuple[IntArray, IntArray]]:
    """Connected groups of set blocks (by side or corner), as rows and columns of each."""
    left = set(zip(*(index.tolist() for index in np.nonzero(mask)), strict=True))
    found = []
    while left:
        group = [left.pop()]
        for row, column in group:
            for dy, dx in _AROUND:
                if (near := (row + dy, column + dx)) in left:
                    left.remove(near)
                    group.append(near)
        rows, columns = np.array(group, dtype=np.intp).T
        found.append((rows, columns))
    return found


def runs(mask: BoolArray) -> list[tuple[int, int]]:
    """Half-open ranges of set elements."""
    steps = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]
