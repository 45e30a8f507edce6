"""A model's text becomes observations, or a reason why it cannot. Pure, strict, no repairs.

Beyond the keys of the task's schema an event may have ``text``, ``confidence`` and, where the task
asks for no boxes, ``boxes`` as ``[seconds, x0, y0, x1, y1]`` in pixels of the upright source
picture: engines without a model write them. A sixth number is how sure the box is; only the
window's row keeps it. Times are seconds since the window's start.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from pipeline.config.task import MAX_COORDINATE, Task
from pipeline.engine.answer_values import read_field, read_number, read_text, shown
from pipeline.engine.prompt import FRAMES_PER_PATCH, expected_markers, image_markers
from pipeline.errors import WindowError
from pipeline.records import Box, Observation, Video, WindowPlan
from pipeline.records.strict_json import read_json
from pipeline.timebase import NS_PER_S, NS_PER_US, TimeRange, seconds_to_ns

MAX_REPEATS = 8
"""So often may one window tell the same sentence before it is taken for a loop."""
MAX_COPIES = 4
"""So often may the very same event at the very same time stand in an answer (two may enter as
one), and the same sentence in its caption."""

_EXTRA_KEYS = frozenset({"text", "boxes", "confidence"})
_MAX_LABEL_CHARS = 64
_LENGTHS_OF_BOX = (5, 6)
_MAX_SUMMARY_CHARS = 1200
# Markers have one decimal.
_MARKER_ROUNDING_S = 0.05


def parse_completion(
    text: str,
    finish_reason: str,
    plan: WindowPlan,
    task: Task,
    video: Video,
    *,
    markers: Sequence[str] = (),
    confidences: Sequence[float] = (),
) -> tuple[tuple[Observation, ...], str]:
    """Check one answer; return what it claims (media time) and its caption ("" if none is asked).

    ``markers`` are those the model was shown: one per frame, or one per patch of two.
    ``confidences`` has one value per event, or none.

    Raises:
        WindowError: says which rule the answer breaks, with the value.
    """
    if finish_reason == "length":
        raise WindowError("the answer was cut off: raise engine.max_output_tokens")
    if finish_reason in {"abort", "error"}:
        raise WindowError(f"the engine gave up on the answer (finish_reason={finish_reason!r})")
    answer = _load(text)
    known = {"events", "summary"} if task.summary else {"events"}
    _check_keys(answer, "the answer", required=known, allowed=known)
    events = answer["events"]
    if not isinstance(events, list):
        raise WindowError(f"events must be a list, not {shown(events)}")
    # An engine that needs no prompt is no model, and cannot loop.
    if task.prompt and len(events) > task.max_events:
        raise WindowError(f"{len(events)} events, but at most {task.max_events} are allowed")
    clock = _Clock(plan, video, asked=bool(task.prompt), markers=markers)
    observations = tuple(
        _observation(event, f"events[{i}]", clock, task) for i, event in enumerate(events)
    )
    if len(confidences) == len(observations):
        observations = tuple(map(_with_confidence, observations, confidences))
    _check_repeats(events, task)
    caption = read_text(answer["summary"], "summary", _MAX_SUMMARY_CHARS) if task.summary else ""
    if task.prompt:
        _check_caption(caption)
    return observations, caption


class _Clock:
    """The window's seconds as media time."""

    def __init__(
        self, plan: WindowPlan, video: Video, *, asked: bool, markers: Sequence[str]
    ) -> None:
        self.window_id = plan.window_id
        self.video = video
        self.span = plan.span
        self.frame_ns = [video.media_ns(pts) for pts in plan.frame_pts]
        self.length_s = plan.span.duration_ns / NS_PER_S
        per_marker = 1 if len(markers) == len(self.frame_ns) else FRAMES_PER_PATCH
        num_markers = max(1, math.ceil(len(plan.frame_pts) / per_marker))
        self.tolerance_s = max(self.length_s / num_markers / 2, _MARKER_ROUNDING_S)
        self.patches = _patches(self.frame_ns, plan.span.start_ns, per_marker) if asked else ()

    @property
    def source_size(self) -> tuple[int, int]:
        """Width and height of the upright source picture in its own pixels."""
        return self.video.upright_size

    def media_ns(self, seconds: Any, where: str) -> int:  # noqa: ANN401 - any JSON
        """A time within half a marker step of the window, moved into it."""
        s = read_number(seconds, where)
        if not -self.tolerance_s <= s <= self.length_s + self.tolerance_s:
            raise WindowError(
                f"{where} = {shown(seconds)} is outside the window of {self.length_s:.1f} s"
            )
        ns = self.span.start_ns + seconds_to_ns(s)
        return min(max(ns, self.span.start_ns), self.span.end_ns)

    def range(self, start: Any, end: Any, where: str) -> TimeRange:  # noqa: ANN401 - any JSON
        """From ``start`` to ``end``; an instant lasts until the next frame.

        A marker stands for its whole patch: an event from marker to marker began by the first
        frame of the one and was there until the last frame of the other.
        """
        start_ns = self.media_ns(start, f"{where}.start")
        end_ns = self.media_ns(end, f"{where}.end")
        if start > end:
            raise WindowError(f"{where} ends at {shown(end)}, before it starts at {shown(start)}")
        for patch in self.patches:
            if abs(start - patch.marker_s) < _MARKER_ROUNDING_S:
                start_ns = patch.first_ns
            if abs(end - patch.marker_s) < _MARKER_ROUNDING_S:
                end_ns = patch.last_ns
        if start_ns < end_ns:
            return TimeRange(start_ns, end_ns)
        if start_ns == self.span.end_ns:
            earlier = (ns for ns in self.frame_ns if self.span.start_ns < ns < self.span.end_ns)
            return TimeRange(max(earlier, default=self.span.start_ns), self.span.end_ns)
        later = (ns for ns in self.frame_ns if start_ns < ns < self.span.end_ns)
        return TimeRange(start_ns, min(later, default=self.span.end_ns))


@dataclass(frozen=True, slots=True)
class _Patch:
    """A marker as a model reads it, and the first and last frame that it stands for."""

    marker_s: float
    first_ns: int
    last_ns: int


def _patches(frame_ns: Sequence[int], start_ns: int, per_marker: int) -> tuple[_Patch, ...]:
    marked = image_markers if per_marker == 1 else expected_markers
    times = [float(marker[1:].split()[0]) for marker in marked(frame_ns, start_ns)]
    firsts = frame_ns[::per_marker]
    lasts = [
        frame_ns[min(i + per_marker, len(frame_ns)) - 1]
        for i in range(0, len(frame_ns), per_marker)
    ]
    return tuple(map(_Patch, times, firsts, lasts))


def _observation(
    event: Any,  # noqa: ANN401 - any JSON
    where: str,
    clock: _Clock,
    task: Task,
) -> Observation:
    required = {name for name, spec in task.fields.items() if spec.required}
    required |= {"boxes"} if task.boxes else set()
    allowed = {"label", "start", "end", *task.fields, *_EXTRA_KEYS}
    _check_keys(event, where, required=required | {"label", "start", "end"}, allowed=allowed)
    label = _label(event["label"], f"{where}.label", task)
    fields = {}
    for name, spec in task.fields.items():
        if name in event:
            fields[name], limit = read_field(event[name], f"{where}.{name}", spec)
            label = limit or label
    if "text" in event and "text" not in fields:
        text = read_text(event["text"], f"{where}.text", _MAX_SUMMARY_CHARS)
    else:
        text = fields.pop("text", "")
    confidence = None
    # A model's own word on how sure it is says little.
    if event.get("confidence") is not None and not task.prompt:
        confidence = read_number(event["confidence"], f"{where}.confidence")
        if not 0 <= confidence <= 1:
            raise WindowError(f"{where}.confidence = {confidence} is not between 0 and 1")
    during = clock.range(event["start"], event["end"], where)
    return Observation(
        window_id=clock.window_id,
        span=during,
        label=label,
        text=text or " ".join([*filter(None, fields.values()), label]),
        confidence=confidence,
        boxes=_boxes(event.get("boxes", []), f"{where}.boxes", clock, task, during),
        fields=tuple(fields.items()),
    )


def _with_confidence(one: Observation, confidence: float) -> Observation:
    return replace(one, confidence=confidence)


def _label(value: Any, where: str, task: Task) -> str:  # noqa: ANN401 - any JSON
    label = read_text(value, where, _MAX_LABEL_CHARS if task.vocabulary == "open" else None)
    if not label:
        raise WindowError(f"{where} is empty")
    if task.vocabulary == "closed" and label not in task.asked_labels:
        raise WindowError(f"{where} = {shown(label)} is none of {', '.join(task.asked_labels)}")
    if label in task.labels and label not in task.asked_labels:
        raise WindowError(f"{where} = {shown(label)} is given by a limit, never by the model")
    return label


def _boxes(
    value: Any,  # noqa: ANN401 - any JSON
    where: str,
    clock: _Clock,
    task: Task,
    during: TimeRange,
) -> tuple[Box, ...]:
    """Boxes in pixels of the upright source picture, by time.

    A model was shown the whole upright picture, scaled: never cropped, never padded, with square
    pixels where the source's are not. Thousandths of its sides are thus thousandths of the
    source's: x = thousandths * width / 1000, an edge and not the middle of a pixel, to 0.1 pixel;
    0 is the left edge of the first column and 1000 the right edge of the last. What lies outside
    is refused, since a model that answers in pixels would come out wrong without a sign of it.
    """
    if not isinstance(value, list):
        raise WindowError(f"{where} must be a list, not {shown(value)}")
    if task.boxes and len(value) > task.max_boxes:
        raise WindowError(f"{where}: {len(value)} boxes, but at most {task.max_boxes} are allowed")
    read = _thousandths if task.boxes else _pixels
    boxes = [read(one, f"{where}[{i}]", clock) for i, one in enumerate(value)]
    if task.boxes:
        boxes = [_within(box, f"{where}[{i}]", clock, during) for i, box in enumerate(boxes)]
        boxes.sort(key=lambda box: box.at_ns)
        if any(one.at_ns == then.at_ns for one, then in pairwise(boxes)):
            raise WindowError(f"{where}: two boxes at one time; one event is about one object")
    return tuple(boxes)


def _thousandths(one: Any, here: str, clock: _Clock) -> Box:  # noqa: ANN401 - any JSON
    _check_keys(one, here, required={"time", "bbox_2d"}, allowed={"time", "bbox_2d"})
    sides = one["bbox_2d"]
    if not isinstance(sides, list) or len(sides) != len(("x0", "y0", "x1", "y1")):
        raise WindowError(f"{here}.bbox_2d must be [x_min, y_min, x_max, y_max]")
    x0, y0, x1, y1 = (read_number(side, here) for side in sides)
    if min(x0, y0) < 0 or max(x1, y1) > MAX_COORDINATE or x0 > x1 or y0 > y1:
        raise WindowError(
            f"{here}.bbox_2d = {shown(sides)}: 0 <= min <= max <= {MAX_COORDINATE} must hold"
        )
    width, height = clock.source_size
    return Box(
        at_ns=clock.media_ns(one["time"], f"{here}.time"),
        x0=round(x0 * width / MAX_COORDINATE, 1),
        y0=round(y0 * height / MAX_COORDINATE, 1),
        x1=round(x1 * width / MAX_COORDINATE, 1),
        y1=round(y1 * height / MAX_COORDINATE, 1),
    )


def _within(box: Box, here: str, clock: _Clock, during: TimeRange) -> Box:
    """A box within half a marker step of its event, moved into it."""
    slack_ns = seconds_to_ns(clock.tolerance_s)
    if not during.start_ns - slack_ns <= box.at_ns <= during.end_ns + slack_ns:
        at_s = (box.at_ns - clock.span.start_ns) / NS_PER_S
        raise WindowError(f"{here}.time = {at_s:.1f} is outside its event")
    last_ns = max(during.start_ns, during.end_ns - NS_PER_US)
    return replace(box, at_ns=min(max(box.at_ns, during.start_ns), last_ns))


def _pixels(one: Any, here: str, clock: _Clock) -> Box:  # noqa: ANN401 - any JSON
    if not isinstance(one, list) or len(one) not in _LENGTHS_OF_BOX:
        raise WindowError(f"{here} must be [seconds, x0, y0, x1, y1, score], not {shown(one)}")
    x0, y0, x1, y1 = (read_number(side, here) for side in one[1:5])
    if x0 > x1 or y0 > y1:
        raise WindowError(f"{here} = {shown(one)}: x0 <= x1 and y0 <= y1 must hold")
    width, height = clock.source_size
    return Box(
        at_ns=clock.media_ns(one[0], here),
        x0=min(max(x0, 0), width),
        y0=min(max(y0, 0), height),
        x1=min(max(x1, 0), width),
        y1=min(max(y1, 0), height),
    )


def _check_repeats(events: Sequence[dict[str, Any]], task: Task) -> None:
    """Refuse an answer that repeats itself, as models do that are stuck.

    The same event at the same time; one sentence as time advances; or one event that comes again
    and again by the clock. That the same label comes often is what happens at a busy door, but
    doors keep no time.
    """
    repeats_of = Counter((_identity(event, task), event["start"], event["end"]) for event in events)
    for (identity, start, _), repeats in repeats_of.items():
        if repeats > MAX_COPIES and task.prompt:
            raise WindowError(
                f"the answer tells {shown(identity)} at {shown(start)} {repeats} times"
            )
    prose = [
        name for name, spec in task.fields.items() if spec.values is None and spec.number is None
    ]
    sentences = Counter((event["label"], *(event.get(name) for name in prose)) for event in events)
    for sentence, repeats in sentences.items():
        if repeats > MAX_REPEATS and any(sentence[1:]):
            raise WindowError(f"the answer tells {shown(sentence)} {repeats} times")
    steps = Counter(
        (_identity(event, task), _step(event, then), _duration(event), _duration(then))
        for event, then in pairwise(events)
        if _identity(event, task) == _identity(then, task)
    )
    for (identity, step, *_), repeats in steps.items():
        if repeats >= MAX_REPEATS and task.prompt:
            raise WindowError(
                f"the answer tells {shown(identity)} every {step:g} s, {repeats + 1} times"
            )


def _identity(event: dict[str, Any], task: Task) -> tuple[Any, ...]:
    return (event["label"], *(event.get(name) for name in task.fields))


def _step(event: dict[str, Any], then: dict[str, Any]) -> float:
    return round(float(then["start"]) - float(event["start"]), 1)


def _duration(event: dict[str, Any]) -> float:
    return round(float(event["end"]) - float(event["start"]), 1)


def _check_caption(caption: str) -> None:
    sentences = Counter(part.strip().lower() for part in re.split(r"[.;!?\n]+", caption))
    del sentences[""]
    for sentence, repeats in sentences.items():
        if repeats > MAX_COPIES:
            raise WindowError(f"the summary tells {shown(sentence)} {repeats} times")


def _load(text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return read_json(text)
    except (ValueError, RecursionError) as exc:
        raise WindowError(f"the answer is not JSON ({exc}): {shown(text)}") from exc


def _check_keys(value: Any, where: str, *, required: set[str], allowed: set[str]) -> None:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict):
        raise WindowError(f"{where} must be an object, not {shown(value)}")
    if missing := sorted(required - set(value)):
        raise WindowError(f"{where} lacks {', '.join(missing)}")
    if unknown := sorted(set(value) - allowed):
        raise WindowError(f"{where} has unknown keys {shown(unknown)}")
