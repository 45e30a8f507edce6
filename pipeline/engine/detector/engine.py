"""Looks at the windows of one shard with an object detector.

A few pictures per second are looked at. Where an object comes or goes, the pictures between are
looked at too, the middle one first, so that its event begins and ends with a sampled frame. Objects
are followed over the consecutive windows of a shard.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import fmean
from typing import Any

import numpy as np

from pipeline.config.task import Task
from pipeline.engine.detector import DetectorEngineConfig
from pipeline.engine.detector.follow import Followed, follow
from pipeline.engine.detector.looks import Looks, every
from pipeline.engine.detector.model_file import Label
from pipeline.engine.detector.network import open_network
from pipeline.errors import EngineStartError
from pipeline.records import Completion, Window
from pipeline.timebase import NS_PER_S, BoolArray, seconds_to_ns

BLACK = "black"


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
            looks = Looks(window, self._network.find, self._config.batch_frames)
            known = self._follow(known, looks)
            yield self._completion(window, looks, known)

    def _follow(self, known: list[Followed], looks: Looks) -> list[Followed]:
        """The objects after this window, each with its sights in it."""
        looks.look(every(looks.frame_ns, seconds_to_ns(1 / self._config.fps)))
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

    def _completion(self, window: Window, looks: Looks, objects: list[Followed]) -> Completion:
        events = [
            _event(one, window, looks, self._network.labels[one.label])
            for one in objects
            if one.sights and self._is_believed(one)
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


def _event(one: Followed, window: Window, looks: Looks, spec: Label) -> dict[str, Any]:
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
        "confidence": round(fmean(spec.confidence(sight.score) for sight in one.sights), 3),
        "boxes": [
            [
                max(0.0, (sight.at_ns - span.start_ns) / NS_PER_S),
                *(round(float(side), 1) for side in sight.box),
                round(sight.score, 3),
            ]
            for sight in one.sights
        ],
    }


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
