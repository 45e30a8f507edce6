"""Looks at the windows of one shard with an object detector.

A few pictures per second are looked at. Where an object comes or goes, the pictures between are
looked at too, the middle one first, so that its event begins and ends with a sampled frame. Objects
are followed over the consecutive windows of a shard.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from pipeline.config.task import Task
from pipeline.engine.detector import DetectorEngineConfig
from pipeline.engine.detector.follow import Followed, follow
from pipeline.engine.detector.network import Found, open_network
from pipeline.errors import EngineStartError
from pipeline.records import Completion, Window
from pipeline.timebase import NS_PER_S, BoolArray, seconds_to_ns

BLACK = "black"
_BLACK_MEAN = 24.0
_BLACK_BRIGHT = 30.0
_BRIGHT_SHARE = 0.98
"""As of the signals engine: so much of a black picture is darker than ``_BLACK_BRIGHT``."""


class DetectorEngine:
    """Answers the consecutive windows of one shard; each call of ``answer`` is a new shard."""

    def __init__(self, config: DetectorEngineConfig, task: Task) -> None:
        if task.boxes:
            raise EngineStartError(
                f"task.boxes: the detector gives boxes by itself; take boxes and prompt out of the "
                f"task {task.name}"
            )
        self._config = config
        self._task = task
        self._gap_ns = seconds_to_ns(config.gap_s)
        self._network = open_network(
            config.model,
            [label for label in task.labels if label != BLACK],
            threads=config.threads,
        )

    def answer(self, windows: Iterable[Window]) -> Iterator[Completion]:
        """Yield one completion per window, each before the next window is asked for."""
        known: list[Followed] = []
        for window in windows:
            start_ns = window.plan.span.start_ns
            known = [one for one in known if start_ns - one.last.at_ns <= self._gap_ns]
            looks = _Looks(window, self._network.find, self._config.batch_frames)
            known = self._follow(known, looks)
            yield self._completion(window, looks, known)

    def _follow(self, known: list[Followed], looks: "_Looks") -> list[Followed]:
        """The objects after this window, each with its sights in it."""
        looks.look(_every(looks.frame_ns, seconds_to_ns(1 / self._config.fps)))
        while True:
            objects = follow(known, looks.taken(), self._network.labels, gap_ns=self._gap_ns)
            between = {
                middle
                for one in objects
                if one.sights and one.was_sure
                for middle in looks.around(one.sights[0].at_ns, one.sights[-1].at_ns)
            }
            if not between:
                return objects
            looks.look(sorted(between))

    def _completion(self, window: Window, looks: "_Looks", objects: list[Followed]) -> Completion:
        events = [
            _event(one, window, looks) for one in objects if one.sights and self._is_believed(one)
        ]
        if BLACK in self._task.labels:
            events += _black(window, looks.black)
        if self._task.prompt:
            # The bound is there for models that loop, and holds for tasks that are asked of one.
            events = sorted(events, key=lambda one: -one["confidence"])[: self._task.max_events]
        answer: dict[str, Any] = {"events": sorted(events, key=lambda one: one["start"])}
        if self._task.summary:
            answer["summary"] = _summary(events, window)
        return Completion(text=json.dumps(answer), finish_reason="stop")

    def _is_believed(self, one: Followed) -> bool:
        spec = self._network.labels[one.label]
        is_there = one.was_sure and one.num_looks >= self._config.min_looks
        return is_there and one.moved >= spec.moves


class _Looks:
    """The pictures of one window that were looked at, and what was found in them."""

    def __init__(self, window: Window, find: Any, batch_frames: int) -> None:  # noqa: ANN401
        self.frame_ns: list[int] = window.frame_ns.tolist()
        self.black = _is_black(window)
        self._window = window
        self._find = find
        self._batch_frames = batch_frames
        self._found: dict[int, Mapping[str, Found]] = {}
        """By the number of the frame."""

    def look(self, numbers: Iterable[int]) -> None:
        """Look at these frames too; nothing is found in black ones."""
        new = [number for number in numbers if number not in self._found]
        self._found |= {number: {} for number in new if self.black[number]}
        seen = [number for number in new if not self.black[number]]
        video, rgb = self._window.video, self._window.rgb
        assert rgb is not None  # noqa: S101 - the kind wants colour
        for first in range(0, len(seen), self._batch_frames):
            batch = seen[first : first + self._batch_frames]
            found = self._find([rgb[number] for number in batch], video.upright_size)
            self._found |= dict(zip(batch, found, strict=True))

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


def _every(frame_ns: list[int], step_ns: int) -> list[int]:
    """The numbers of frames at least about ``step_ns`` apart, with the first and the last."""
    chosen: list[int] = []
    for number, at_ns in enumerate(frame_ns):
        # Of two frames beside the wanted time the nearer one.
        usual_ns = at_ns - frame_ns[number - 1] if number else 0
        if not chosen or at_ns - frame_ns[chosen[-1]] + usual_ns // 2 >= step_ns:
            chosen.append(number)
    return sorted({*chosen, len(frame_ns) - 1}) if frame_ns else []


def _event(one: Followed, window: Window, looks: _Looks) -> dict[str, Any]:
    """The object in this window, as an answer has it."""
    span = window.plan.span
    first, last = one.sights[0], one.sights[-1]
    # One that was there at the last look of the window before never went away.
    is_going_on = one.first is not first and first.at_ns == looks.frame_ns[0]
    start_ns = span.start_ns if is_going_on else max(first.at_ns, span.start_ns)
    kind = Counter(sight.kind for sight in one.sights).most_common(1)[0][0]
    return {
        "label": one.label,
        "text": kind,
        "start": (start_ns - span.start_ns) / NS_PER_S,
        "end": (looks.end_ns(last.at_ns) - span.start_ns) / NS_PER_S,
        "confidence": round(median(sight.score for sight in one.sights), 3),
        "boxes": [
            [
                max(0.0, (sight.at_ns - span.start_ns) / NS_PER_S),
                *(round(float(side), 1) for side in sight.box),
                round(sight.score, 3),
            ]
            for sight in one.sights
        ],
    }


def _is_black(window: Window) -> BoolArray:
    """Which frames show nothing at all [T]."""
    if not len(window.luma):
        return np.zeros(0, np.bool_)
    flat = window.luma.reshape(len(window.luma), -1)
    rank = int(_BRIGHT_SHARE * (flat.shape[1] - 1))
    bright = np.partition(flat, rank, axis=1)[:, rank]
    return np.asarray((flat.mean(axis=1) < _BLACK_MEAN) & (bright < _BLACK_BRIGHT))


def _black(window: Window, black: BoolArray) -> Iterator[dict[str, Any]]:
    """An event for each run of black frames."""
    span = window.plan.span
    borders = [*window.frame_ns.tolist(), span.end_ns]
    steps = np.flatnonzero(np.diff(np.concatenate([[False], black, [False]]))).tolist()
    for first, stop in zip(steps[::2], steps[1::2], strict=True):
        yield {
            "label": BLACK,
            "text": "the picture is black",
            "start": max(0, borders[first] - span.start_ns) / NS_PER_S,
            "end": (borders[stop] - span.start_ns) / NS_PER_S,
            "confidence": 0.9,
        }


def _summary(events: list[dict[str, Any]], window: Window) -> str:
    """One sentence that says how many of what there were."""
    total_s = window.plan.span.duration_ns / NS_PER_S
    if not len(window.frame_ns):
        return "No frame of this window could be looked at."
    counts = Counter(event["text"] for event in events if event["label"] != BLACK)
    if not counts:
        return f"Nothing that is looked for is seen in {total_s:.1f} s."
    told = ", ".join(f"{count} x {kind}" if count > 1 else kind for kind, count in counts.items())
    return f"Seen in {total_s:.1f} s: {told}."
