"""What to look for: a validated file of labels, a prompt and extra fields; it yields the schema."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.config.task_field import TaskField

MAX_TIME_S = 99_999
"""Longer than any window, in seconds."""
NAME = r"^[a-z][a-z0-9_-]*$"
"""What the name of a task looks like."""
PLACEHOLDERS = frozenset({"labels", "fields", "rules"})
"""What a prompt may hold in braces."""
RESERVED_FIELDS = frozenset({"label", "start", "end", "boxes", "confidence"})


MAX_COORDINATE = 1000
"""Qwen3-VL's boxes are in thousandths of the picture's width and height, whatever its size.

Its cookbooks ask for them so (cookbooks/2d_grounding.ipynb and video_understanding.ipynb of
github.com/QwenLM/Qwen3-VL; also its issue 1486), and over time as a list of ``time, bbox_2d``.
"""

# The keys and their order are those of the cookbook.
_WHERE = """\
- One event is about one person, vehicle or object: two that do the same are two events.
- "boxes": where it is in the picture, at the markers at which it can be seen, at most {max_boxes} \
of them, spread over the event: [{{"time": 1.0, "bbox_2d": [x_min, y_min, x_max, y_max]}}, ...]. \
"time" is the time of the marker. Coordinates run from 0 to 1000, from left to right and from top \
to bottom, whatever the size of the picture. [] if the event is in no one place."""
_RULES = """\
Before the pictures stand markers such as <12.5 seconds>. A marker gives the time, counted from \
the start of this video, of the pictures that follow it. All times in your answer are such \
seconds, as plain numbers. Never use a clock that is visible in the picture.

Answer with one JSON object:
{"events": [{{keys}}, ...]{summary}}
{fields}
- "label": one of the labels above, the one that fits best.
- "start": the time of the first marker at which the event is visible; "end": the time of the last \
one. Both lie between the first and the last marker. An event that was already going on as the \
video began starts at the first marker.
- Events in the order of their start, each event once. Something that goes on is one event with a \
long duration, not many short ones.
- If there is no such event, "events" is []."""
_SUMMARY_RULE = """
- "summary": one or two sentences on the whole video, also if there is no event."""


class Task(BaseModel):
    """What to look for; everything here is part of the run's fingerprint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    """Name of the task, as the rows have it."""
    labels: dict[str, str] = Field(min_length=1)
    """Label -> its definition, as the prompt will tell it."""
    vocabulary: Literal["closed", "open"] = "closed"
    """``closed``: only these labels can be answered. ``open``: they are examples."""
    system: str | None = None
    """System text of the prompt; None sends none."""
    prompt: str = "Report the events in this video."
    """The question. ``{labels}`` is replaced by a list of the labels and their definitions,
    ``{fields}`` by one of the fields that have a description; without it that list comes last.
    ``{rules}`` is replaced by what every task needs: markers, form of the answer, the fields."""
    fields: dict[str, TaskField] = Field(default_factory=dict)
    """Extra fields of every event, by name."""
    summary: bool = True
    """Also ask for one caption of the window; it becomes a segment."""
    max_events: int = Field(default=16, gt=0)
    """Per window: a bound that a looping model cannot pass."""
    boxes: bool = False
    """Also ask where: each event is about one object then, and has its boxes over time, a track."""
    max_boxes: int = Field(default=16, gt=0)
    """Per event of a window; a window of 32 frames has 16 markers."""

    @model_validator(mode="after")
    def _check_names(self) -> "Task":
        if taken := RESERVED_FIELDS & set(self.fields):
            raise ValueError(f"fields {sorted(taken)}: these names are reserved, choose others")
        if self.boxes and not self.prompt:
            raise ValueError("boxes: need a prompt; nobody is asked without one")
        if empty := [label for label in self.labels if not label.strip()]:
            raise ValueError(f"labels {empty}: a label must not be empty")
        if unknown := self._labels_of_limits - set(self.labels):
            raise ValueError(f"labels: {sorted(unknown)} are labels of limits; define them there")
        if not self.asked_labels:
            raise ValueError("labels: all are labels of limits; a model needs one to choose")
        return self

    @property
    def _labels_of_limits(self) -> set[str]:
        numbers = [field.number for field in self.fields.values() if field.number]
        return {label for one in numbers for label in one.above | one.below}

    @property
    def asked_labels(self) -> dict[str, str]:
        """The labels from which a model chooses: all but those that code gives to numbers."""
        given = self._labels_of_limits
        return {label: text for label, text in self.labels.items() if label not in given}

    @property
    def question(self) -> str:
        """The text that follows the video in the prompt."""
        listed = "\n".join(f"- {label}: {text}" for label, text in self.asked_labels.items())
        described = "\n".join(
            f'- "{name}": {field.told}' for name, field in self.fields.items() if field.told
        )
        prompt = self.prompt.replace("{rules}", self._rules)
        question = prompt.replace("{labels}", listed).replace("{fields}", described)
        if described and "{fields}" not in prompt:
            question = f"{question.rstrip()}\n{described}"
        if self.boxes:
            question = f"{question.rstrip()}\n{_WHERE.format(max_boxes=self.max_boxes)}"
        return question

    @property
    def _rules(self) -> str:
        names = [*self.fields, "label", "start", "end", *(["boxes"] if self.boxes else [])]
        keys = ", ".join(f'"{name}": ...' for name in names)
        rules = _RULES.replace("{keys}", keys)
        rules = rules.replace("{summary}", ', "summary": ...' if self.summary else "")
        return rules + (_SUMMARY_RULE if self.summary else "")

    def json_schema(self) -> dict[str, Any]:
        """JSON schema of one answer: events in time order, then the caption.

        Times are numbers with bounds, which also bound their digits: a model that gets stuck in
        one ends. One schema serves every window, so that it is compiled once; the parser refuses
        times outside the window.
        """
        properties: dict[str, Any] = {
            name: field.json_schema() for name, field in self.fields.items()
        }
        properties["label"] = (
            {"enum": list(self.asked_labels)}
            if self.vocabulary == "closed"
            else {"type": "string", "minLength": 1, "maxLength": 64}
        )
        properties["start"] = {"type": "number", "minimum": 0, "maximum": MAX_TIME_S}
        properties["end"] = properties["start"]
        if self.boxes:
            properties["boxes"] = {
                "type": "array",
                "items": _box(properties["start"]),
                "maxItems": self.max_boxes,
            }
        event = {
            "type": "object",
            "properties": properties,
            "required": [
                *(name for name, field in self.fields.items() if field.required),
                "label",
                "start",
                "end",
                *(["boxes"] if self.boxes else []),
            ],
            "additionalProperties": False,
        }
        answer: dict[str, Any] = {
            "events": {"type": "array", "items": event, "maxItems": self.max_events}
        }
        if self.summary:
            answer["summary"] = {"type": "string", "maxLength": 1200}
        return {
            "type": "object",
            "properties": answer,
            "required": list(answer),
            "additionalProperties": False,
        }

    def json_schema_text(self) -> str:
        """The schema as text: inside an Arrow struct its differing keys would be null-filled."""
        return json.dumps(self.json_schema(), separators=(",", ":"))


def _box(time: dict[str, Any]) -> dict[str, Any]:
    coordinate = {"type": "integer", "minimum": 0, "maximum": MAX_COORDINATE}
    return {
        "type": "object",
        "properties": {
            "time": time,
            "bbox_2d": {"type": "array", "items": coordinate, "minItems": 4, "maxItems": 4},
        },
        "required": ["time", "bbox_2d"],
        "additionalProperties": False,
    }
