"""Looks at the windows of one shard in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.engine.signals import SignalsEngineConfig
from pipeline.engine.signals.background import MAX_SAMPLES, Background
from pipeline.engine.signals.blocks import (
    ByteArray,
    FloatArray,
    block_counts,
    block_means,
    pad_to_blocks,
    runs,
    widen,
)
from pipeline.engine.signals.events import Detection, Frames, find_motion, find_states
from pipeline.engine.signals.picture import DetailWatch, FreezeWatch, Measures, measure
from pipeline.records import Window
from pipeline.timebase import NS_PER_S, BoolArray, Int64Array, seconds_to_ns

_CHUNK_S = 1.0
_MAX_CHUNK_FRAMES = 16
_EARLY_FRAMES = 8
_ACTIVE_PIXELS = 3
"""Pixels of a block that change from frame to frame where something moves."""
_LOST_SHARE = 0.6
_LOST_S = 3.0
_CALM_LEVELS = 1.5
_MAX_GAP_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The frames of one window, and what was measured of each."""

    luma: ByteArray
    steps: ByteArray
    """How much each pixel differs from the frame before [T, h, w]."""
    measures: Measures
    borders_ns: Int64Array
    """When each frame comes, and the window's end [T + 1]."""
    dark: BoolArray
    """Nothing can be seen."""
    new: BoolArray
    """The background has to be learned anew from here."""

    def first_within(self, seconds: float, end: int) -> int:
        """The first frame that is at most so long before frame ``end``."""
        since_ns = int(self.borders_ns[end]) - seconds_to_ns(seconds)
        return int(np.searchsorted(self.borders_ns, since_ns))


class Watcher:
    """Looks at the consecutive windows of one shard and remembers what it has seen."""

    def __init__(self, config: SignalsEngineConfig) -> None:
        self._config = config
        self._going_on: frozenset[str] = frozenset()
        self._end_ns: int | None = None
        self._forget()

    def _forget(self) -> None:
        self._background: Background | None = None
        self._detail = DetailWatch()
        self._freeze = FreezeWatch(self._config.frozen_s)
        self._last: ByteArray | None = None
        self._last_means: FloatArray | None = None
        self._last_ns = 0
        self._lost_s = 0.0
        self._was_dark = self._was_blocked = False

    def find_events(self, window: Window) -> list[Detection]:
        """What happens in the next window."""
        span, frame_ns = window.plan.span, window.frame_ns
        if self._end_ns != span.start_ns:
            self._going_on = frozenset()
        self._end_ns = span.end_ns
        if not len(frame_ns):
            self._going_on = frozenset()
            return []
        luma = pad_to_blocks(window.luma)
        if self._last is not None and (
            self._last.shape != luma.shape[1:]
            or int(frame_ns[0]) - self._last_ns > seconds_to_ns(_MAX_GAP_S)
        ):
            self._forget()
        frames = Frames(span=span, frame_ns=frame_ns, going_on=self._going_on)
        means = block_means(luma)
        steps = _steps(luma, self._last)
        changed = np.array([np.count_nonzero(step) for step in steps]) / luma[0].size
        measures = measure(luma, frame_ns, means, changed, self._last_means)
        blocked = self._detail.watch(measures)
        frozen = self._freeze.watch(measures) & ~measures.black
        seen = _Seen(
            luma=luma,
            steps=steps,
            measures=measures,
            borders_ns=np.append(frame_ns, span.end_ns),
            dark=measures.black | blocked,
            new=measures.cut | measures.jump,
        )
        counts = self._foreground(seen)
        cut = measures.cut & ~(blocked | np.append(self._was_blocked, blocked[:-1]))
        size = (window.luma.shape[2], window.luma.shape[1])
        found = [
            *find_motion(counts, size, frames, self._config),
            *find_states(measures.black, "black", frames, min_s=self._config.min_event_s),
            *find_states(blocked, "blocked", frames, min_s=self._config.min_event_s),
            *find_states(frozen, "frozen", frames, min_s=0.0),
            *(
                one
                for i in np.flatnonzero(cut).tolist()
                for one in find_states(_only(i, len(luma)), "scene_cut", frames, min_s=0.0)
            ),
        ]
        self._going_on = frozenset(
            one.label for one in found if one.end_ns == span.end_ns and one.label != "scene_cut"
        )
        self._last, self._last_ns = luma[-1].copy(), int(frame_ns[-1])
        self._was_dark, self._was_blocked = bool(seen.dark[-1]), bool(blocked[-1])
        kept = means if self._last_means is None else np.concatenate([self._last_means, means[-2:]])
        self._last_means = kept[-2:].copy()
        return found

    def _foreground(self, seen: _Seen) -> ByteArray:
        """Foreground pixels per block of every frame; none where there is nothing to see."""
        counts = np.zeros(seen.measures.means.shape, np.uint8)
        new = seen.new
        for first, stop in _segments(~seen.dark, new):
            after_dark = bool(seen.dark[first - 1]) if first else self._was_dark
            if (
                self._background is None
                or (new[first] and not after_dark)
                or (after_dark and not self._background.resembles(_early(seen, first, stop)))
            ):
                self._background = self._learn(seen, first, stop)
            for begin, end in _chunks(seen.borders_ns, first, stop):
                self._background = self._watch(seen, counts, self._background, (begin, end, stop))
        return counts

    def _learn(self, seen: _Seen, first: int, stop: int) -> Background:
        num = min(MAX_SAMPLES, stop - first)
        picked = np.linspace(first, stop - 1, num).round().astype(np.intp)
        self._lost_s = 0.0
        return Background(seen.luma[picked], standing_s=self._config.standing_s)

    def _watch(
        self, seen: _Seen, counts: ByteArray, background: Background, chunk: tuple[int, int, int]
    ) -> Background:
        """Count the foreground of some frames; the background to go on with."""
        first, end, stop = chunk
        part = np.s_[first:end]
        duration_s = float(seen.borders_ns[end] - seen.borders_ns[first]) / NS_PER_S
        moved = block_counts(seen.steps[part] > background.change_limit)
        active = (moved >= _ACTIVE_PIXELS).max(axis=0)
        counts[part], scenery = background.watch(
            seen.luma[part], seen.measures.means[part], active, duration_s
        )
        for rows, columns, still_s in scenery:
            mask = np.zeros(counts.shape[1:], np.bool_)
            mask[rows, columns] = True
            counts[seen.first_within(still_s, end) : end, widen(mask)] = 0
        calm = float(seen.measures.change[part].max()) < _CALM_LEVELS
        lost = calm and background.share > _LOST_SHARE
        self._lost_s = self._lost_s + duration_s if lost else 0.0
        if self._lost_s < _LOST_S:
            return background
        since = seen.first_within(self._lost_s, end)
        counts[since:end] = 0
        return self._learn(seen, since, stop)


def _early(seen: _Seen, first: int, stop: int) -> FloatArray:
    return seen.measures.means[first : min(stop, first + _EARLY_FRAMES)]


def _only(i: int, num: int) -> BoolArray:
    mask = np.zeros(num, np.bool_)
    mask[i] = True
    return mask


def _steps(luma: ByteArray, before: ByteArray | None) -> ByteArray:
    """How much each pixel differs from the frame before; the first of a shard from itself."""
    steps = np.zeros_like(luma)
    for i in range(len(luma)):
        old = luma[i - 1] if i else before
        if old is not None:
            np.subtract(np.maximum(luma[i], old), np.minimum(luma[i], old), out=steps[i])
    return steps


def _segments(seen: BoolArray, new: BoolArray) -> list[tuple[int, int]]:
    """Runs of visible frames, cut where another picture or other light begins."""
    found = []
    for first, stop in runs(seen):
        borders = [first, *(np.flatnonzero(new[first + 1 : stop]) + first + 1).tolist(), stop]
        found += list(pairwise(borders))
    return found


def _chunks(borders_ns: Int64Array, first: int, stop: int) -> Iterator[tuple[int, int]]:
    """Ranges of frames of at most a second."""
    while first < stop:
        end = int(np.searchsorted(borders_ns, borders_ns[first] + seconds_to_ns(_CHUNK_S)))
        end = min(max(end, first + 1), first + _MAX_CHUNK_FRAMES, stop)
        yield first, end
        first = end
