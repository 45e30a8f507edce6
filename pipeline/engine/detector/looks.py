"""The pictures of one window that a detector looked at, and what it found in them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.engine.detector.network import Found
from pipeline.records import Window
from pipeline.timebase import BoolArray

Find: TypeAlias = Callable[
    [Sequence[npt.NDArray[np.uint8]], tuple[int, int]], Iterator[Mapping[str, Found]]
]
"""RGB pictures and the size of their source become what each shows, by label."""

_BLACK_MEAN = 24.0
_BLACK_BRIGHT = 30.0
_BRIGHT_SHARE = 0.98
"""As of the signals engine: so much of a black picture is darker than ``_BLACK_BRIGHT``."""


class Looks:
    """The pictures of one window that were looked at, and what was found in them."""

    def __init__(self, window: Window, find: Find, batch_frames: int) -> None:
        self.frame_ns: list[int] = window.frame_ns.tolist()
        self.black = _is_black(window)
        self._window = window
        self._find = find
        self._batch_frames = batch_frames
        self._found: dict[int, Mapping[str, Found]] = {}
        """By the number of the frame."""

    def look(self, numbers: Sequence[int]) -> list[Mapping[str, Found]]:
        """What these frames show, by label; nothing is found in black ones."""
        new = [number for number in numbers if number not in self._found]
        self._found |= {number: {} for number in new if self.black[number]}
        seen = [number for number in new if not self.black[number]]
        rgb = self._window.rgb
        assert rgb is not None  # noqa: S101 - whoever looks wants colour
        for first in range(0, len(seen), self._batch_frames):
            batch = seen[first : first + self._batch_frames]
            found = self._find([rgb[number] for number in batch], self._window.video.upright_size)
            self._found |= dict(zip(batch, found, strict=True))
        return [self._found[number] for number in numbers]

    def taken(self) -> list[tuple[int, Mapping[str, Found]]]:
        """Time and findings of every look, in the order of time."""
        return [(self.frame_ns[number], self._found[number]) for number in sorted(self._found)]

    def around(self, first_ns: int, last_ns: int) -> Iterator[int]:
        """The frames in the middle between a first or last sight and the looks beside it."""
        for low, high in pairwise(sorted(self._found)):
            is_border = self.frame_ns[high] == first_ns or self.frame_ns[low] == last_ns
            if is_border and high - low > 1:
                yield (low + high) // 2

    def end_ns(self, last_ns: int) -> int:
        """When the frame after this one comes, or the end of the window."""
        after = int(np.searchsorted(self.frame_ns, last_ns, side="right"))
        return self.frame_ns[after] if after < len(self.frame_ns) else self._window.plan.span.end_ns


def every(frame_ns: list[int], step_ns: int) -> list[int]:
    """The numbers of frames at least about ``step_ns`` apart, with the first and the last."""
    chosen: list[int] = []
    for number, at_ns in enumerate(frame_ns):
        # Of two frames beside the wanted time the nearer one.
        usual_ns = at_ns - frame_ns[number - 1] if number else 0
        if not chosen or at_ns - frame_ns[chosen[-1]] + usual_ns // 2 >= step_ns:
            chosen.append(number)
    return sorted({*chosen, len(frame_ns) - 1}) if frame_ns else []


def _is_black(window: Window) -> BoolArray:
    """Which frames show nothing at all [T]."""
    if not len(window.luma):
        return np.zeros(0, np.bool_)
    flat = window.luma.reshape(len(window.luma), -1)
    rank = int(_BRIGHT_SHARE * (flat.shape[1] - 1))
    bright = np.partition(flat, rank, axis=1)[:, rank]
    return np.asarray((flat.mean(axis=1) < _BLACK_MEAN) & (bright < _BLACK_BRIGHT))
