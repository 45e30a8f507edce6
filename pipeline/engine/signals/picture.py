"""What happens to the picture as a whole: cuts, black, frozen, blocked, light that changes at once.

Everything here is judged per frame from a few numbers of the frame and of those around it.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.engine.signals.background import correlation
from pipeline.engine.signals.blocks import ByteArray, FloatArray, runs
from pipeline.timebase import NS_PER_S, BoolArray, Int64Array, seconds_to_ns

_BLACK_MEAN = 24.0
_BLACK_BRIGHT = 30.0
_BRIGHT_QUANTILE = 0.95

_CHANGED_LEVELS = 8.0
_WHOLE_SHARE = 0.5
_CUT_LEVELS = 15.0
_CUT_CORRELATION = 0.5
_PEAK_RATIO = 2.0
_JUMP_LEVELS = 6.0

_EDGE_LEVELS = 8
_MIN_DETAIL = 0.02
_BLOCKED_SHARE = 0.15
_CLEAR_SHARE = 0.4
_SUDDEN_S = 2.0
_BLOCKED_S = 1.0
_DETAIL_LEARN_S = 10.0

_LIVE_PIXELS = 0.01
_LIVE_SHARE = 0.6
_LIVE_S = 5.0
_STILL_PIXELS = 0.0005
_REFRESH_S = 0.5
_REFRESH_LEVELS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """A few numbers per frame; element ``i`` of each array is frame ``i``."""

    frame_ns: Int64Array
    means: FloatArray
    """Block means [T, h/4, w/4]."""
    black: BoolArray
    detail: FloatArray
    """Part of the pixels that differ from their right neighbour."""
    changed: FloatArray
    """Part of the pixels that differ from the frame before; 1 for the first frame of a shard."""
    change: FloatArray
    """Mean difference of the block means from the frame before, in levels."""
    cut: BoolArray
    """The first frame of another picture."""
    jump: BoolArray
    """The first frame in other light: the same place, but unlike it everywhere."""


def measure(
    luma: ByteArray,
    frame_ns: Int64Array,
    means: FloatArray,
    changed: FloatArray,
    before: FloatArray | None,
) -> Measures:
    """Measure the frames of one window.

    Args:
        luma: the frames [T, h, w].
        frame_ns: their times.
        means: their block means.
        changed: part of the pixels that differ from the frame before.
        before: block means of the last two frames of the window before [<=2, h/4, w/4].
    """
    flat = means.reshape(len(means), -1)
    rank = min(int(_BRIGHT_QUANTILE * flat.shape[1]), flat.shape[1] - 1)
    bright = np.partition(flat, rank, axis=1)[:, rank]
    black = (flat.mean(axis=1) < _BLACK_MEAN) & (bright < _BLACK_BRIGHT)
    change = _change(means, before)
    cut, jump = _breaks(means, before, change)
    return Measures(
        frame_ns=frame_ns,
        means=means,
        black=black,
        detail=_detail(luma),
        changed=changed,
        change=change,
        cut=cut,
        jump=jump,
    )


def _detail(luma: ByteArray) -> FloatArray:
    right, left = luma[:, :, 1:], luma[:, :, :-1]
    pixels = max(1, right[0].size)
    return np.array(
        [
            np.count_nonzero(np.maximum(a, b) - np.minimum(a, b) > _EDGE_LEVELS) / pixels
            for a, b in zip(right, left, strict=True)
        ],
        np.float32,
    )


def _change(means: FloatArray, before: FloatArray | None) -> FloatArray:
    joined = means if before is None else np.concatenate([before[-1:], means])
    steps = np.abs(joined[1:] - joined[:-1]).mean(axis=(1, 2))
    return np.append(np.zeros(len(means) - len(steps), np.float32), steps)


def _breaks(
    means: FloatArray, before: FloatArray | None, change: FloatArray
) -> tuple[BoolArray, BoolArray]:
    """Frames with which another picture begins, and frames with which other light begins."""
    cut = np.zeros(len(means), np.bool_)
    jump = cut.copy()
    earlier = 0.0
    if before is not None and len(before) > 1:
        earlier = float(np.abs(before[-1] - before[-2]).mean())
    beside = np.concatenate([[earlier], change, [0.0]])
    peak = (change > _JUMP_LEVELS) & (change > _PEAK_RATIO * np.maximum(beside[:-2], beside[2:]))
    for i in np.flatnonzero(peak):
        old, new = means[i - 1] if i else before[-1], means[i]  # type: ignore[index]
        # Letterbox bars are no part of the picture.
        seen = np.maximum(old, new) > _BLACK_MEAN
        levels = np.abs(new - old)
        if not seen.any() or (levels > _CHANGED_LEVELS)[seen].mean() <= _WHOLE_SHARE:
            continue
        likeness = correlation(old[None], new[None])[0]
        if change[i] > _CUT_LEVELS and likeness < _CUT_CORRELATION:
            cut[i] = True
        else:
            old_rest, new_rest = old - old.mean(), new - new.mean()
            gain = (old_rest * new_rest).mean() / max(float((old_rest**2).mean()), 1.0)
            rest = np.abs(new_rest - gain * old_rest)
            jump[i] = (rest > _CHANGED_LEVELS)[seen].mean() > _WHOLE_SHARE
    return cut, jump


class DetailWatch:
    """Tells frames whose view is suddenly covered, over the windows of a shard."""

    def __init__(self) -> None:
        self._usual: float | None = None
        self._blocked = False
        self._clear_ns = 0
        self._clear: FloatArray | None = None
        self._last_ns = 0

    def watch(self, measures: Measures) -> BoolArray:
        """Which frames show a blocked view; bool [T]."""
        out = np.zeros(len(measures.frame_ns), np.bool_)
        if self._usual is None:
            early = measures.frame_ns <= measures.frame_ns[0] + seconds_to_ns(_SUDDEN_S)
            lit = early & ~measures.black
            self._usual = float(np.median(measures.detail[lit])) if lit.any() else None
            self._clear_ns = self._last_ns = int(measures.frame_ns[0])
            self._clear = measures.means[:1]
        if self._usual is None or self._clear is None:
            return out
        sudden_ns = seconds_to_ns(_SUDDEN_S)
        for i, (now_ns, detail) in enumerate(
            zip(measures.frame_ns.tolist(), measures.detail.tolist(), strict=True)
        ):
            if measures.black[i]:
                self._blocked = False
                self._last_ns = now_ns
                continue
            low = detail < _MIN_DETAIL and detail < _BLOCKED_SHARE * self._usual
            if self._blocked:
                self._blocked = detail < _CLEAR_SHARE * self._usual
            elif low and self._usual > _MIN_DETAIL and now_ns - self._clear_ns <= sudden_ns:
                # In dim light the detail is lost too, but the picture is still similar.
                likeness = correlation(self._clear, measures.means[i : i + 1])[0]
                self._blocked = bool(likeness < _CUT_CORRELATION)
            out[i] = self._blocked
            if not self._blocked:
                learn = 1 - np.exp(-(now_ns - self._last_ns) / NS_PER_S / _DETAIL_LEARN_S)
                self._usual += float(learn) * (detail - self._usual)
                if detail >= 0.5 * self._usual:
                    self._clear_ns, self._clear = now_ns, measures.means[i : i + 1]
            self._last_ns = now_ns
        return _drop_short(out, measures.frame_ns, seconds_to_ns(_BLOCKED_S))


class FreezeWatch:
    """Tells frames of a picture that was live and has stopped, over the windows of a shard."""

    def __init__(self, frozen_s: float) -> None:
        self._frozen_ns = seconds_to_ns(frozen_s)
        self._liveliness = 0.0
        self._was_live = False
        self._still_ns: int | None = None
        self._refreshed_ns = 0
        self._last_ns: int | None = None

    def watch(self, measures: Measures) -> BoolArray:
        """Which frames of this window are frozen; bool [T]."""
        out = np.zeros(len(measures.frame_ns), np.bool_)
        first = 0
        for i, now_ns in enumerate(measures.frame_ns.tolist()):
            changed = float(measures.changed[i])
            if self._still_ns is not None and not self._stays(now_ns, measures, i):
                self._still_ns = None
            if self._still_ns is None and changed <= _STILL_PIXELS:
                self._still_ns = self._refreshed_ns = now_ns
                self._was_live = self._liveliness >= _LIVE_SHARE
                first = i
            if self._still_ns is None:
                passed_s = (now_ns - (self._last_ns or now_ns)) / NS_PER_S
                learn = 1 - float(np.exp(-passed_s / _LIVE_S))
                self._liveliness += learn * (float(changed >= _LIVE_PIXELS) - self._liveliness)
            elif self._was_live and now_ns - self._still_ns >= self._frozen_ns:
                out[first : i + 1] = True
            self._last_ns = now_ns
        return out

    def _stays(self, now_ns: int, measures: Measures, i: int) -> bool:
        """Whether a still picture goes on: unchanged, or merely coded anew by a keyframe."""
        if measures.changed[i] <= _STILL_PIXELS:
            return True
        refresh = (
            (i + 1 == len(measures.changed) or measures.changed[i + 1] <= _STILL_PIXELS)
            and measures.change[i] < _REFRESH_LEVELS
            and now_ns - self._refreshed_ns >= seconds_to_ns(_REFRESH_S)
        )
        if refresh:
            self._refreshed_ns = now_ns
        return bool(refresh)


def _drop_short(mask: BoolArray, frame_ns: Int64Array, min_ns: int) -> BoolArray:
    """Clear runs that begin and end inside and are shorter than ``min_ns``."""
    out = mask.copy()
    for start, stop in runs(mask):
        if start > 0 and stop < len(mask) and frame_ns[stop] - frame_ns[start] < min_ns:
            out[start:stop] = False
    return out
