"""What to look for: a validated file of labels, a prompt and extra fields; it yields the schema."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_TIME_S = 99_999
"""Longer than any window, in seconds."""
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


class TaskField(BaseModel):
    """One extra field of every event; the model writes it before the label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    """What is to be written there, as the prompt will tell it."""
    values: tuple[str, ...] | None = None
    """Allowed values; None is free text."""
    required: bool = True
    """Whether the model must write it in every event."""
    max_chars: int = Field(default=400, gt=0)
    """Longest text of a free field."""
    alike: bool = False
    """Events are joined over a border only if their words here are similar, as titles of slides."""


class Task(BaseModel):
    """What to look for; everything here is part of the run's fingerprint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    """Name of the task, as the rows have it."""
    labels: dict[str, str] = Field(min_length=1)
    """Label -> its definition, as the prompt will tell it."""
    vocabulary: Literal["closed", "open"] = "closed"
    """``closed``: only these labels can be answered. ``open``: they are examples."""
    system: str | None = None
    """System text of the prompt; None sends none."""
    prompt: str = "Report the events in this video."
    """The question. ``{labels}`` is replaced by a list of the labels and their definitions,
    ``{fields}`` by one of the fields that have a description; without it that list comes last."""
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
        return self

    @property
    def question(self) -> str:
        """The text that follows the video in the prompt."""
        listed = "\n".join(f"- {label}: {text}" for label, text in self.labels.items())
        described = "\n".join(
            f'- "{name}": {field.description}'
            for name, field in self.fields.items()
            if field.description
        )
        question = self.prompt.replace("{labels}", listed).replace("{fields}", described)
        if described and "{fields}" not in self.prompt:
            question = f"{question.rstrip()}\n{described}"
        if self.boxes:
            question = f"{question.rstrip()}\n{_WHERE.format(max_boxes=self.max_boxes)}"
        return question

    def json_schema(self) -> dict[str, Any]:
        """JSON schema of one answer: events in time order, then the caption.

        Times are numbers with bounds, which also bound their digits: a model that gets stuck in
        one ends. One schema serves every window, so that it is compiled once; the parser refuses
        times outside the window.
        """
        properties: dict[str, Any] = {
            name: {"enum": list(field.values)}
            if field.values is not None
            else {"type": "string", "maxLength": field.max_chars}
            for name, field in self.fields.items()
        }
        properties["label"] = (
            {"enum": list(self.labels)}
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
