"""The embedded engine: what can be seen in small grey pictures without a model.

Each window is looked at three times: the picture as a whole (cuts, black, frozen, blocked), then
frame by frame against a background that is learned on the way, then the foreground over time,
which becomes motion events. State is carried over the consecutive windows of a shard, so that an
event that runs through several windows begins and ends exactly at their borders.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.config.task import Task
from pipeline.engine.signals import SignalsEngineConfig
from pipeline.engine.signals.events import Detection, PixelBox, limit_events
from pipeline.engine.signals.watcher import Watcher
from pipeline.records import Completion, Window
from pipeline.timebase import NS_PER_S

TEXTS = {
    "motion": "something moves",
    "scene_cut": "the picture changes to another one",
    "black": "the picture is black",
    "frozen": "the picture has stopped changing",
    "blocked": "the view is covered or has lost its detail",
}
"""What an event of each label says."""


class SignalsEngine:
    """Answers the consecutive windows of one shard; each call of ``answer`` is a new shard."""

    def __init__(self, config: SignalsEngineConfig, task: Task) -> None:
        self._config = config
        self._task = task

    def answer(self, windows: Iterable[Window]) -> Iterator[Completion]:
        """Yield one completion per window, each before the next window is asked for."""
        watcher = Watcher(self._config)
        for window in windows:
            yield self._completion(window, watcher.find_events(window))

    def _completion(self, window: Window, found: list[Detection]) -> Completion:
        start_ns = window.plan.span.start_ns
        found = sorted(
            (one for one in found if one.label in self._task.labels),
            key=lambda one: (one.start_ns, one.end_ns),
        )
        if self._task.prompt:
            # The bound is there for models that loop, and holds for tasks that are asked of one.
            found = limit_events(found, self._task.max_events)
        answer: dict[str, Any] = {
            "events": [
                {
                    "label": one.label,
                    "text": TEXTS[one.label],
                    "start": (one.start_ns - start_ns) / NS_PER_S,
                    "end": (one.end_ns - start_ns) / NS_PER_S,
                    "confidence": round(one.confidence, 3),
                    "boxes": [
                        [(at_ns - start_ns) / NS_PER_S, *_to_source(box, window)]
                        for at_ns, box in one.boxes
                    ],
                }
                for one in found
            ]
        }
        if self._task.summary:
            answer["summary"] = _summary(found, window)
        return Completion(text=json.dumps(answer), finish_reason="stop")


def _to_source(box: PixelBox, window: Window) -> list[float]:
    """Pixels of the small picture to pixels of the upright source picture."""
    height, width = window.luma.shape[1:]
    upright = window.video.upright_size
    across, down = upright[0] / width, upright[1] / height
    return [round(v * f, 1) for v, f in zip(box, (across, down) * 2, strict=True)]


def _summary(found: list[Detection], window: Window) -> str:
    """One sentence that says how much of what there was."""
    total_s = window.plan.span.duration_ns / NS_PER_S
    if not len(window.frame_ns):
        return "No frame of this window could be looked at."
    if not found:
        return f"Nothing happens in {total_s:.1f} s."
    parts = []
    for label in dict.fromkeys(one.label for one in found):
        times = [one.end_ns - one.start_ns for one in found if one.label == label]
        name = label.replace("_", " ")
        events = "event" if len(times) == 1 else "events"
        parts.append(
            f"{len(times)} {name}{'' if len(times) == 1 else 's'}"
            if label == "scene_cut"
            else f"{len(times)} {name} {events}; {name} {sum(times) / NS_PER_S:.1f} s"
        )
    return f"{'; '.join(parts)} of {total_s:.1f} s."
