"""The adaptive background: what the picture would show if nothing stood in it."""

from collections import deque
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.engine.signals.blocks import (
    BLOCK,
    ByteArray,
    FloatArray,
    IntArray,
    around,
    block_counts,
    block_means,
    components,
    to_pixels,
    widen,
)
from pipeline.timebase import BoolArray

MAX_SAMPLES = 48
"""Pictures that a background is learned from."""
MIN_PIXELS = 4
"""Pixels of a block that must differ before the block counts as covered."""

_LEARN_S = 12.0
_DRIFT_S = 60.0
_NOISE_S = 30.0
_MIN_LEVELS = 9.0
_MAX_LEVELS = 40.0
_SIGMAS = 5.0
_STILL_SHARE = 0.1
_GHOST_STILL_S = 1.0
_GHOST_EDGE_RATIO = 1.25
_LEFT_STILL_S = 3.0
_LEFT_SHARE = 0.6
_LARGE_SHARE = 0.05
_LEFT_WITHIN_S = 3.0
_MEMORY_S = 20.0
_MAX_AGE_S = 900.0
_DARKEST = 0.45
_BRIGHTEST = 1.6
_SHADING_REST = 0.7
_FEW_BESIDE = 0.12

_Number = TypeVar("_Number", bound=np.generic)


class Background:
    """Background and noise level of one camera position, per pixel of the small picture.

    A frame is compared with ``gain * background + offset``, both fitted robustly to that frame,
    so that auto exposure and dimmed light are no foreground. What is covered is not learned, but
    * what has stood perfectly still for ``standing_s`` has become part of the scene;
    * where something was taken away, the frame has no edges where the background has them: it is
      learned as soon as it is still;
    * a small still remainder of something bigger that has left was put down by it, and is learned.
    """

    def __init__(self, samples: ByteArray, *, standing_s: float) -> None:
        self._standing_s = standing_s
        self._levels, self._noise = _learn(samples)
        height, width = samples.shape[1:]
        grid = (height // BLOCK, width // BLOCK)
        self._still_s = np.zeros(grid, np.float32)
        self._age_s = np.zeros(grid, np.float32)
        self._covered: BoolArray = np.zeros(grid, np.bool_)
        self._ever_active: BoolArray = np.zeros(grid, np.bool_)
        self._sizes: deque[tuple[float, int]] = deque()
        self._refresh()

    def _refresh(self) -> None:
        self._means = block_means(self._levels[None])[0]
        limit = np.clip(_SIGMAS * self._noise + 4.0, _MIN_LEVELS, _MAX_LEVELS)
        limit[1:] = np.maximum(limit[1:], limit[:-1])
        limit[:-1] = np.maximum(limit[:-1], limit[1:])
        limit[:, 1:] = np.maximum(limit[:, 1:], limit[:, :-1])
        limit[:, :-1] = np.maximum(limit[:, :-1], limit[:, 1:])
        self._limit = limit
        self.change_limit: ByteArray = np.clip(6.0 * self._noise + 1.0, 4.0, 40.0).astype(np.uint8)
        """How much a pixel changes from frame to frame only if something moves there."""

    @property
    def share(self) -> float:
        """Part of the picture that was covered last."""
        return float(self._covered.mean())

    def resembles(self, means: FloatArray) -> bool:
        """Whether pictures (block means [T, h, w]) show this place."""
        return bool(np.median(correlation(means, self._means[None])) > 0.8)  # noqa: PLR2004

    def watch(
        self, luma: ByteArray, means: FloatArray, active: BoolArray, duration_s: float
    ) -> tuple[ByteArray, list[tuple[IntArray, IntArray, float]]]:
        """Compare some consecutive frames and learn from them.

        Args:
            luma: about one second of frames [T, h, w].
            means: their block means.
            active: blocks that changed from frame to frame at any time [h/4, w/4].
            duration_s: how long the frames are on screen.

        Returns:
            The number of foreground pixels per block [T, h/4, w/4], and the groups of blocks that
            turned out to be scenery, each with the seconds for which it had been.
        """
        gain, offset = self._fit(means)
        expected = self._levels * gain[:, None, None]
        expected += offset[:, None, None]
        rest = np.subtract(luma, expected)
        signed = rest.mean(axis=0)
        np.abs(rest, out=rest)
        counts = block_counts(rest > self._limit)
        covered = counts >= MIN_PIXELS
        ever = covered.max(axis=0)
        _drop_shading(counts, covered, luma, expected, self._limit)
        self._covered = covered[-1]
        self._ever_active |= active
        self._still_s = np.where(active, 0.0, self._still_s + np.float32(duration_s))
        self._age_s = np.where(covered.min(axis=0), self._age_s + np.float32(duration_s), 0.0)
        fit = (float(gain.mean()), float(offset.mean()))
        self._adapt(signed, rest.mean(axis=0), ever, fit, duration_s)
        scenery = self._find_scenery(luma[-1], gain[-1], offset[-1], duration_s)
        self._refresh()
        return counts, scenery

    def _fit(self, means: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gain and offset of each frame against the background, by reweighted least squares."""
        frames = means.reshape(len(means), -1)
        levels = self._means.ravel()
        trust = np.where(self._covered.ravel(), np.float32(0.1), np.float32(1.0))
        shift = np.median(frames - levels, axis=1, keepdims=True)
        best = np.minimum(np.abs(frames - levels - shift), np.abs(frames - levels))
        weight = trust / (1.0 + (best / 6.0) ** 2)
        gain = offset = np.zeros((len(frames), 1), np.float32)
        for _ in range(3):
            total = weight.sum(axis=1, keepdims=True)
            x_mean = (weight * levels).sum(axis=1, keepdims=True) / total
            y_mean = (weight * frames).sum(axis=1, keepdims=True) / total
            x_rest = levels - x_mean
            variance = (weight * x_rest**2).sum(axis=1, keepdims=True) / total
            covariance = (weight * x_rest * (frames - y_mean)).sum(axis=1, keepdims=True) / total
            gain = np.clip((covariance + 8.0) / (variance + 8.0), 0.1, 8.0)
            offset = y_mean - gain * x_mean
            weight = trust / (1.0 + ((frames - gain * levels - offset) / 4.0) ** 2)
        return gain[:, 0].astype(np.float32), offset[:, 0].astype(np.float32)

    def _adapt(
        self,
        signed: FloatArray,
        absolute: FloatArray,
        ever: BoolArray,
        fit: tuple[float, float],
        duration_s: float,
    ) -> None:
        """Learn what is free now, and the noise there; drift towards the present light."""
        free = ~to_pixels(widen(ever))
        mean_gain, mean_offset = fit
        drift = float(1 - np.exp(-duration_s / _DRIFT_S))
        self._levels *= 1 + drift * (mean_gain - 1)
        self._levels += drift * mean_offset
        learn = np.float32(1 - np.exp(-duration_s / _LEARN_S))
        self._levels += np.where(free, signed * (learn / max(mean_gain, 0.5)), np.float32(0))
        learn = np.float32(1 - np.exp(-duration_s / _NOISE_S))
        self._noise += np.where(free, (absolute * 1.25 - self._noise) * learn, np.float32(0))

    def _find_scenery(
        self, frame: ByteArray, gain: float, offset: float, duration_s: float
    ) -> list[tuple[IntArray, IntArray, float]]:
        """Groups of covered blocks that belong to the scene from now on."""
        groups = components(self._covered)
        size = max((len(rows) for rows, _ in groups), default=0)
        self._remember(size, duration_s)
        now = (frame - np.float32(offset)) / np.float32(max(gain, 0.25))
        found = []
        for rows, columns in groups:
            still_s = float(np.quantile(self._still_s[rows, columns], _STILL_SHARE))
            if still_s >= min(_GHOST_STILL_S, self._standing_s) and self._is_scenery(
                rows, columns, still_s, now
            ):
                found.append((rows, columns, still_s))
        for rows, columns, _ in found:
            pixels = to_pixels(widen(_mask(rows, columns, self._covered.shape)))
            self._levels = np.where(pixels, now, self._levels).astype(np.float32)
            self._age_s[rows, columns] = 0.0
        return found

    def _is_scenery(
        self, rows: IntArray, columns: IntArray, still_s: float, now: FloatArray
    ) -> bool:
        if still_s >= self._standing_s or self._age_s[rows, columns].mean() >= _MAX_AGE_S:
            return True
        mask = _mask(rows, columns, self._covered.shape)
        if _shows_less(now, self._levels, mask, self._limit):
            return True
        if still_s < _LEFT_STILL_S:
            return False
        if len(rows) < _LEFT_SHARE * self._size_before(still_s):
            return True
        # Never seen to come: the background was learned wrong there, unless something large stands
        # clearly before it, like a person who is in view from the start.
        came = self._ever_active[rows, columns].mean() >= _STILL_SHARE
        large = len(rows) >= _LARGE_SHARE * mask.size
        return not came and not (large and _shows_less(self._levels, now, mask, self._limit))

    def _remember(self, size: int, duration_s: float) -> None:
        """Keep for some seconds how large the largest group was."""
        self._sizes.append((duration_s, size))
        while sum(duration for duration, _ in self._sizes) > _MEMORY_S and len(self._sizes) > 1:
            self._sizes.popleft()

    def _size_before(self, still_s: float) -> int:
        """Blocks of the largest group shortly before something became still."""
        largest, ago_s = 0, 0.0
        for duration_s, size in reversed(self._sizes):
            if still_s - duration_s <= ago_s <= still_s + _LEFT_WITHIN_S:
                largest = max(largest, size)
            ago_s += duration_s
        return largest


def _drop_shading(
    counts: ByteArray,
    covered: BoolArray,
    luma: ByteArray,
    expected: FloatArray,
    limit: FloatArray,
) -> None:
    """Clear the counts of blocks that are only lit differently: shadows, reflections.

    There the frame is the background times one number per block, or beside such blocks, at the
    soft border of a shadow, times a slope. Inside a plain thing before a plain wall that holds as
    well, but not along its outline. A few other blocks beside much shading are where two materials
    meet and take the shadow differently.
    """
    frames, rows, columns = np.nonzero(covered)
    if not len(frames):
        return
    here = _blocks_of(luma)[frames, rows, :, columns].reshape(-1, BLOCK**2).astype(np.float32)
    there = _blocks_of(expected)[frames, rows, :, columns].reshape(-1, BLOCK**2)
    there = np.maximum(there, np.float32(8.0))
    allowed = _blocks_of(limit[None])[0][rows, :, columns].reshape(-1, BLOCK**2) * _SHADING_REST
    factor = here.sum(axis=1) / there.sum(axis=1)
    usual = (factor > _DARKEST) & (factor < _BRIGHTEST)
    even = usual & _is_small(here - there * factor[:, None], allowed)
    near = np.zeros(covered.shape, np.uint16)
    near[frames[even], rows[even], columns[even]] = 1
    sloped = usual & (around(near)[frames, rows, columns] > 0)
    sloped &= _is_small((here / there) @ _NOT_SLOPE * there, allowed)
    lit = even | sloped
    counts[frames[lit], rows[lit], columns[lit]] = 0
    near[frames[lit], rows[lit], columns[lit]] = 1
    beside = around(near)[frames, rows, columns] > 0
    num_lit = np.bincount(frames[lit], minlength=len(counts))
    num_beside = np.bincount(frames[beside & ~lit], minlength=len(counts))
    rest = beside & (num_beside < _FEW_BESIDE * num_lit)[frames]
    counts[frames[rest], rows[rest], columns[rest]] = 0


def _is_small(rest: npt.NDArray[Any], allowed: FloatArray) -> BoolArray:
    return np.asarray((np.abs(rest) > allowed).sum(axis=1) < 2, np.bool_)  # noqa: PLR2004


def _not_slope() -> FloatArray:
    """Matrix that takes from a block's 16 numbers what a tilted plane explains."""
    at = np.arange(BLOCK) - (BLOCK - 1) / 2
    down, right = np.meshgrid(at, at, indexing="ij")
    plane = np.stack([np.ones(BLOCK**2), down.ravel(), right.ravel()], axis=1)
    return np.asarray(np.eye(BLOCK**2) - plane @ np.linalg.pinv(plane), np.float32)


_NOT_SLOPE = _not_slope()


def _blocks_of(pictures: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    num, height, width = pictures.shape
    return pictures.reshape(num, height // BLOCK, BLOCK, width // BLOCK, BLOCK)


def _mask(rows: IntArray, columns: IntArray, grid: tuple[int, ...]) -> BoolArray:
    mask = np.zeros(grid, np.bool_)
    mask[rows, columns] = True
    return mask


def correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Correlation of pictures over space, 0 where one has no structure; [T, h, w] to [T]."""
    a_rest = a.reshape(len(a), -1) - a.mean(axis=(1, 2))[:, None]
    b_rest = b.reshape(len(b), -1) - b.mean(axis=(1, 2))[:, None]
    norm = np.sqrt((a_rest**2).sum(axis=1) * (b_rest**2).sum(axis=1))
    product = (a_rest * b_rest).sum(axis=1)
    return np.asarray(product / np.maximum(norm, a.shape[1] * a.shape[2]), np.float32)


def _learn(samples: ByteArray) -> tuple[FloatArray, FloatArray]:
    """Background and noise from pictures spread over some time.

    The most usual value of a pixel is the background only if people stand there less than half
    the time. So the usual values of shorter times are tried as well: where they differ, the one
    with fewer edges around the difference shows the scene, the other one what stands before it.
    """
    levels = _mode(samples)
    noise = _spread(samples, levels)
    limit = np.clip(_SIGMAS * noise + 4.0, _MIN_LEVELS, _MAX_LEVELS * 0.5)
    num_parts = min(8, len(samples) // 3)
    for part in np.array_split(samples, num_parts) if num_parts > 1 else []:
        other = _mode(part)
        shift = np.median(other - levels)
        other -= shift
        differs = block_counts((np.abs(other - levels) > limit)[None])[0] >= MIN_PIXELS
        for rows, columns in components(differs):
            mask = _mask(rows, columns, differs.shape)
            if _shows_less(other, levels, mask, limit):
                levels = np.where(to_pixels(widen(mask)), other, levels)
    return levels, np.asarray(np.clip(_spread(samples, levels), 0.5, 4.0), np.float32)


def _spread(samples: ByteArray, levels: FloatArray) -> FloatArray:
    """Robust standard deviation of each pixel around the background."""
    rest = np.sort(np.abs(samples - levels).astype(np.float32), axis=0)
    return np.asarray(rest[len(rest) // 2] * 1.5, np.float32)


def _mode(samples: ByteArray) -> FloatArray:
    """Middle of the shortest range of values that holds a third of the samples; per pixel."""
    ordered: ByteArray = np.sort(samples, axis=0)
    num = min(len(samples), max(2, -(-len(samples) // 3)))
    if num < 2:  # noqa: PLR2004
        return np.asarray(ordered[0], np.float32)
    widths = ordered[num - 1 :] - ordered[: len(ordered) - num + 1]
    # Of equally short ranges, the middle one: values have few levels.
    first = widths.argmin(axis=0)
    last = len(widths) - 1 - widths[::-1].argmin(axis=0)
    at = (first + last) // 2
    at = np.where(np.take_along_axis(widths, at[None], 0)[0] == widths.min(axis=0), at, first)
    low = np.take_along_axis(ordered, at[None], 0)[0].astype(np.float32)
    high = np.take_along_axis(ordered, (at + num - 1)[None], 0)[0]
    return np.asarray((low + high) / 2, np.float32)


def _shows_less(a: FloatArray, b: FloatArray, blocks: BoolArray, limit: FloatArray) -> bool:
    """Whether ``a`` has clearly fewer edges than ``b`` along the border of where they differ."""
    rows, columns = np.nonzero(blocks)
    top, bottom = max(rows.min() * BLOCK - BLOCK, 0), (rows.max() + 2) * BLOCK
    left, right = max(columns.min() * BLOCK - BLOCK, 0), (columns.max() + 2) * BLOCK
    part = np.s_[top:bottom, left:right]
    mask = (np.abs(a[part] - b[part]) > limit[part]) & to_pixels(widen(blocks))[part]
    border = widen(mask) & widen(~mask)
    if not border.any():
        return False
    edges_a, edges_b = (_edges(picture[part])[border].mean() for picture in (a, b))
    return bool(edges_a * _GHOST_EDGE_RATIO < edges_b)


def _edges(picture: FloatArray) -> FloatArray:
    """How much a pixel differs from those to the right and below."""
    out = np.zeros_like(picture)
    out[:, :-1] = np.abs(picture[:, 1:] - picture[:, :-1])
    out[:-1] += np.abs(picture[1:] - picture[:-1])
    return out
