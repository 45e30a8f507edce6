"""Foreground and picture states over the frames of one window become events."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from pipeline.engine.signals import SignalsEngineConfig
from pipeline.engine.signals.background import MIN_PIXELS
from pipeline.engine.signals.blocks import BLOCK, ByteArray, around, components, runs
from pipeline.timebase import (
    NS_PER_S,
    BoolArray,
    Int64Array,
    TimeRange,
    seconds_to_ns,
)

_BEGIN_PIXELS = 24
"""Foreground pixels among 3 x 3 blocks with which motion begins ..."""
_GO_ON_PIXELS = 9
"""... and with which it goes on."""
_BORDER_PIXELS = 48
"""Foreground pixels with which one frame is enough, where the window ends beside it."""
_BOX_NS = NS_PER_S

PixelBox = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One event in one window; media time, boxes in pixels of the small picture."""

    label: str
    start_ns: int
    end_ns: int
    confidence: float
    boxes: tuple[tuple[int, PixelBox], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The time axis of one window."""

    span: TimeRange
    frame_ns: Int64Array
    going_on: frozenset[str] = frozenset()
    """Labels of the events that ran to the end of the window before, if that ended here."""

    def range_ns(self, first: int, stop: int, label: str) -> tuple[int, int]:
        """Time from frame ``first`` until frame ``stop`` comes, or until the window's end."""
        start_ns = max(int(self.frame_ns[first]), self.span.start_ns)
        if first == 0 and label in self.going_on:
            start_ns = self.span.start_ns
        end_ns = int(self.frame_ns[stop]) if stop < len(self.frame_ns) else self.span.end_ns
        return start_ns, min(end_ns, self.span.end_ns)


def find_states(mask: BoolArray, label: str, frames: Frames, *, min_s: float) -> list[Detection]:
    """Events of a state of the whole picture; shorter ones count only at the window's borders."""
    found = []
    for first, stop in runs(mask):
        start_ns, end_ns = frames.range_ns(first, stop, label)
        inside = first > 0 and stop < len(mask)
        if end_ns > start_ns and not (inside and end_ns - start_ns < seconds_to_ns(min_s)):
            found.append(Detection(label=label, start_ns=start_ns, end_ns=end_ns, confidence=0.9))
    return found


def find_motion(
    counts: ByteArray, size: tuple[int, int], frames: Frames, config: SignalsEngineConfig
) -> list[Detection]:
    """Motion events from the foreground pixels per block [T, h/4, w/4].

    Args:
        counts: foreground pixels per block.
        size: width and height of the small picture.
        frames: the time axis.
        config: thresholds.
    """
    covered = np.where(counts >= MIN_PIXELS, counts, 0).astype(np.uint16)
    score = around(covered).max(axis=(1, 2))
    parts = [
        (first, stop)
        for first, stop in runs(score >= _GO_ON_PIXELS)
        if _begins(score, first, stop, frames, config)
    ]
    # What is short after a pause is noise, not the end of what was before the pause.
    parts = _join(parts, frames, config.min_event_s)
    parts = [part for part in parts if _is_long(part, frames, config.min_event_s)]
    found = []
    for first, stop in _join(parts, frames, config.merge_gap_s):
        start_ns, end_ns = frames.range_ns(first, stop, "motion")
        strength = float(score[first:stop].max()) / (9 * BLOCK**2)
        found.append(
            Detection(
                label="motion",
                start_ns=start_ns,
                end_ns=end_ns,
                confidence=min(1.0, 0.4 + 0.6 * strength),
                boxes=_boxes(counts, size, frames, first, stop),
            )
        )
    return found


def _join(parts: list[tuple[int, int]], frames: Frames, gap_s: float) -> list[tuple[int, int]]:
    """Join ranges of frames that lie less than ``gap_s`` apart."""
    joined: list[tuple[int, int]] = []
    for first, stop in parts:
        if joined and frames.frame_ns[first] - frames.frame_ns[joined[-1][1]] < seconds_to_ns(
            gap_s
        ):
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((first, stop))
    return joined


def _is_long(part: tuple[int, int], frames: Frames, min_s: float) -> bool:
    """Whether a range lasts long enough; the window's border may have cut it shorter."""
    first, stop = part
    start_ns, end_ns = frames.range_ns(first, stop, "motion")
    inside = first > 0 and stop < len(frames.frame_ns)
    return end_ns > start_ns and not (inside and end_ns - start_ns < seconds_to_ns(min_s))


def _begins(
    score: np.ndarray[tuple[int], np.dtype[np.uint16]],
    first: int,
    stop: int,
    frames: Frames,
    config: SignalsEngineConfig,
) -> bool:
    """Whether a run of weak foreground is strong for long enough to be more than noise."""
    if first == 0 and "motion" in frames.going_on:
        return True
    part = score[first:stop]
    if (first == 0 or stop == len(score)) and part.max() >= _BORDER_PIXELS:
        return True
    strong = np.flatnonzero(part >= _BEGIN_PIXELS) + first
    borders = np.append(frames.frame_ns, frames.span.end_ns)
    shown_ns = int((borders[strong + 1] - borders[strong]).sum())
    return shown_ns * 2 >= seconds_to_ns(config.min_event_s)


def _boxes(
    counts: ByteArray, size: tuple[int, int], frames: Frames, first: int, stop: int
) -> tuple[tuple[int, PixelBox], ...]:
    """Where the largest foreground was, about once a second."""
    width, height = size
    boxes = []
    next_ns = 0
    for i in range(first, stop):
        at_ns = max(int(frames.frame_ns[i]), frames.span.start_ns)
        if at_ns < next_ns:
            continue
        groups = components(counts[i] >= MIN_PIXELS)
        if not groups:
            continue
        rows, columns = max(groups, key=lambda group: int(counts[i][group].sum()))
        box = (
            float(columns.min() * BLOCK),
            float(rows.min() * BLOCK),
            float(min((columns.max() + 1) * BLOCK, width)),
            float(min((rows.max() + 1) * BLOCK, height)),
        )
        boxes.append((at_ns, box))
        next_ns = at_ns + _BOX_NS
    return tuple(boxes)


def limit_events(found: list[Detection], max_events: int) -> list[Detection]:
    """Keep to the task's bound: join the motion events that are closest, then drop the weakest."""
    found = list(found)
    while len(found) > max_events:
        motion = [i for i, one in enumerate(found) if one.label == "motion"]
        pairs = list(pairwise(motion))
        if not pairs:
            found.remove(min(found, key=lambda one: one.confidence))
            continue
        i, j = min(pairs, key=lambda pair: found[pair[1]].start_ns - found[pair[0]].end_ns)
        second = found.pop(j)
        found[i] = replace(
            found[i],
            end_ns=second.end_ns,
            confidence=max(found[i].confidence, second.confidence),
            boxes=found[i].boxes + second.boxes,
        )
    return found
