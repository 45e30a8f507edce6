"""What to look for: a validated file of labels, a prompt and extra fields; it yields the schema."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_TIME_S = 99_999
"""Longer than any window, in seconds."""
RESERVED_FIELDS = frozenset({"label", "start", "end", "boxes", "confidence"})


class TaskField(BaseModel):
    """One extra field of every event; the model writes it before the label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    values: tuple[str, ...] | None = None
    """Allowed values; None is free text."""
    required: bool = True
    max_chars: int = Field(default=400, gt=0)


class Task(BaseModel):
    """What to look for; everything here is part of the run's fingerprint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    labels: dict[str, str] = Field(min_length=1)
    """Label -> its definition, as the prompt will tell it."""
    vocabulary: Literal["closed", "open"] = "closed"
    """``closed``: only these labels can be answered. ``open``: they are examples."""
    system: str | None = None
    prompt: str = "Report the events in this video."
    """The question. ``{labels}`` is replaced by a list of the labels and their definitions."""
    fields: dict[str, TaskField] = Field(default_factory=dict)
    summary: bool = True
    """Also ask for one caption of the window; it becomes a segment."""
    max_events: int = Field(default=16, gt=0)
    """Per window: a bound that a looping model cannot pass."""

    @model_validator(mode="after")
    def _check_names(self) -> "Task":
        if taken := RESERVED_FIELDS & set(self.fields):
            raise ValueError(f"fields {sorted(taken)}: these names are reserved, choose others")
        if empty := [label for label in self.labels if not label.strip()]:
            raise ValueError(f"labels {empty}: a label must not be empty")
        return self

    @property
    def question(self) -> str:
        """The text that follows the video in the prompt."""
        listed = "\n".join(f"- {label}: {text}" for label, text in self.labels.items())
        return self.prompt.replace("{labels}", listed)

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
        event = {
            "type": "object",
            "properties": properties,
            "required": [
                *(name for name, field in self.fields.items() if field.required),
                "label",
                "start",
                "end",
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


SIGNALS_TASK = Task(
    name="signals",
    labels={
        "motion": "something moves against the learned background",
        "scene_cut": "the picture changes to another one from one frame to the next",
        "black": "the picture is black",
        "frozen": "a live picture stops changing at all",
        "blocked": "the view is covered or has lost its detail",
    },
    prompt="",
)
"""What the embedded signals engine can see; it needs no prompt."""
