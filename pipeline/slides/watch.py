"""Finds the pages that stand on the screen in one window, among frames of the same shard. Pure.

The rules were found by experiment on generated decks (`pipeline/demo/deck.py`):

* Pixels that change in more than an eighth of the frames around a moment do not rest: a webcam, a
  clip, a clock. They are not compared. If they are a third of the picture, nothing rests: that is
  a camera or a clip, and no page.
* The median of the frames of `HOLD_NS` is what stands on the screen: it holds neither the cursor
  nor a fade.
* A page that loses nothing of what was written on it, and gains something, is built up further.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pipeline.records import Frame, PageView, Video, WindowPlan
from pipeline.slides.picture import (
    CHANGED_SHARE,
    Grey,
    Still,
    change_between,
    differs,
    encode,
    is_page,
)
from pipeline.timebase import NS_PER_S, BoolArray, TimeRange

HOLD_NS = 1_400_000_000
"""What is on the screen for a shorter time is on its way to another page."""
AROUND_NS = 15 * NS_PER_S
"""How far before and after a moment a pixel is watched for whether it rests."""
_RESTLESS_SHARE = 0.12
_MIN_RESTLESS = 3
"""Changes that a pixel may always have: pages change too."""
_MOVING_SHARE = 0.35
"""Share of pixels without rest in a picture that moves as a whole."""
_MOVES_NOW_SHARE = 0.05
"""Share of pixels that change from one frame to the next while it moves."""
_GROWN_PIXELS = 3
_MASK_EVERY = 4
"""Frames for which one mask is taken: it changes slowly, and costs most of the time."""


class PageWatcher:
    """Looks at the consecutive windows of one shard; remembers the frames of `AROUND_NS` before.

    What it finds in a window depends on that window and on what lies before it, so it stays the
    same when a file grows.
    """

    def __init__(self, fps: float) -> None:
        self._step_ns = step_ns = round(NS_PER_S / fps)
        self._last_slot = -1
        self._before: deque[Grey] = deque(maxlen=max(1, AROUND_NS // step_ns))

    def views(
        self, plan: WindowPlan, frames: Iterable[Frame], video: Video
    ) -> tuple[PageView, ...]:
        """The views that tile the window, as far as its frames could be decoded."""
        taken = list(self._take(frames, video))
        if not taken:
            return ()
        pictures = [*self._before, *(frame.luma for frame in taken)]
        found = _Stretches(pictures, len(self._before), self._step_ns)
        self._before.extend(frame.luma for frame in taken)
        starts_ns = [video.media_ns(frame.pts) for frame in taken]
        starts_ns[0] = plan.span.start_ns
        ends = [*(starts_ns[first] for first, *_ in found.stretches[1:]), plan.span.end_ns]
        return tuple(
            PageView(
                span=TimeRange(starts_ns[first], end_ns),
                frame_pts=tuple(taken[i].pts for i in (first, *steps)),
                picture=encode(still) if still is not None and is_page(still) else "",
            )
            for (first, steps, still), end_ns in zip(found.stretches, ends, strict=True)
        )

    def _take(self, frames: Iterable[Frame], video: Video) -> Iterator[Frame]:
        for frame in frames:
            # The nearest step: a sampled frame may begin a little before its point of the grid.
            slot = (2 * video.media_ns(frame.pts) + self._step_ns) // (2 * self._step_ns)
            if slot > self._last_slot:
                self._last_slot = slot
                yield frame


class _Stretches:
    """The stretches of consecutive pictures with one page each, from `first` on."""

    def __init__(self, pictures: Sequence[Grey], first: int, step_ns: int) -> None:
        self._pictures = pictures
        self._offset = first
        self._keep = max(1, round(HOLD_NS / step_ns))
        self._around = max(_MIN_RESTLESS, AROUND_NS // step_ns)
        self._counted = (0, 0)
        self._left: int | None = None
        """The first picture since the standing page was last seen; None while it is seen."""
        self._counts = np.zeros(pictures[0].shape, np.uint16)
        self.stretches: list[tuple[int, list[int], Still | None]] = []
        """Number of the first picture, those of the steps, and what stands; None if it moves."""
        self._find()

    def _find(self) -> None:
        for k in range(self._offset, len(self._pictures)):
            if (k - self._offset) % _MASK_EVERY == 0:
                rests = self._rests(k)
            if not _is_moving_share(rests):
                self._look(k, rests)
            elif not self._moves_now(k):
                # A clip before or after moves, and not this page.
                self._look(k, np.ones_like(rests))
            elif not self.stretches or self.stretches[-1][2] is not None:
                self.stretches.append((k - self._offset, [], None))
                self._left = None

    def _look(self, k: int, rests: BoolArray) -> None:
        """Compare picture ``k`` with the page that stands."""
        standing = self.stretches[-1][2] if self.stretches else None
        if standing is not None:
            standing = Still(standing.grey, rests)
            changed = differs(self._pictures[k], standing.grey) & rests
            if changed.mean() <= CHANGED_SHARE:
                self._stand(standing)
                self._left = None
                return
        if self._left is None or k - self._left > 2 * self._keep:
            self._left = k
        now = Still(self._settled(k), rests)
        later = Still(self._pictures[min(len(self._pictures) - 1, k + self._keep)], rests)
        is_on_its_way = change_between(now, later) == "new"
        if standing is None:
            # Every moment has a view, also one that begins on the way to another page.
            first = Still(self._pictures[k], rests) if is_on_its_way else now
            self.stretches.append((k - self._offset, [], first))
            self._left = None
        elif not is_on_its_way:
            match change_between(standing, now):
                case "new":
                    self.stretches.append((self._left - self._offset, [], now))
                case "build":
                    self.stretches[-1][1].append(k - self._offset)
                    self._stand(now)
                case "same":
                    pass
            self._left = None

    def _stand(self, still: Still) -> None:
        first, steps, _ = self.stretches[-1]
        self.stretches[-1] = (first, steps, still)

    def _settled(self, k: int) -> Grey:
        # An odd number: the mean of two pictures shows neither of them.
        num = min(self._keep | 1, (len(self._pictures) - k - 1) | 1)
        settled: Grey = np.median(self._pictures[k : k + num], axis=0).astype(np.uint8)
        return settled

    def _moves_now(self, k: int) -> bool:
        near = range(max(1, k - 1), min(len(self._pictures), k + self._keep + 1))
        changes = [differs(self._pictures[i - 1], self._pictures[i]).mean() for i in near]
        return bool(changes) and float(np.median(changes)) > _MOVES_NOW_SHARE

    def _rests(self, k: int) -> BoolArray:
        """Where the picture rests around picture ``k``."""
        low, high = max(1, k - self._around + 1), min(len(self._pictures), k + self._around + 1)
        old_low, old_high = self._counted
        if old_high == 0:
            old_low = old_high = low
        for i in range(old_low, low):
            self._counts -= differs(self._pictures[i - 1], self._pictures[i])
        for i in range(old_high, high):
            self._counts += differs(self._pictures[i - 1], self._pictures[i])
        self._counted = low, high
        restless = self._counts > max(_MIN_RESTLESS, _RESTLESS_SHARE * (high - low))
        return ~_grown(restless)


def _is_moving_share(rests: BoolArray) -> bool:
    return bool(1 - rests.mean() > _MOVING_SHARE)


def _grown(mask: BoolArray) -> BoolArray:
    for _ in range(_GROWN_PIXELS):
        wider = mask.copy()
        wider[1:] |= mask[:-1]
        wider[:-1] |= mask[1:]
        wider[:, 1:] |= mask[:, :-1]
        wider[:, :-1] |= mask[:, 1:]
        mask = wider
    return mask
