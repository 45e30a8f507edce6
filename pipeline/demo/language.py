"""The words of the demo world: labels, fields, prompts, and the text of a correct answer.

Every label is a state that lasts, never a change of state. So the answer for a window that shows
half of an event is the same as for a window that shows all of it, and stitching joins ranges that
touch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

COLORS: Final = ("red", "green", "blue", "yellow", "white")
SHAPES: Final = ("car", "person", "ball")
LABELS: Final = ("pass_left", "pass_right", "loiter", "light_off", "door_open")

DEFINITIONS: Final[dict[str, str]] = {
    "pass_left": "a car, person or ball moves through the view towards its left side",
    "pass_right": "a car, person or ball moves through the view towards its right side",
    "loiter": "a person stands in the view (parked cars and balls that lie still are no event)",
    "light_off": "the light is off: the whole view is dark",
    "door_open": "the door in the back wall stands open",
}

SUMMARY_WORDS: Final[dict[str, str]] = {
    "pass_left": "passes left",
    "pass_right": "passes right",
    "loiter": "loiters",
    "light_off": "lights off",
    "door_open": "door open",
}

PROMPT: Final = "Report events as JSON."
PROMPTS: Final = (
    PROMPT,
    "List every event in this clip as JSON.",
    "Detect all events.",
    "What happens in this video?",
    "Describe the events with start and end times.",
    "You are a surveillance video analyst. Report all events in this clip as JSON.",
    "Return only valid JSON with events and a summary.",
    "Watch the camera footage and list events with timestamps.",
    "Find every event in this segment. Answer with JSON.",
    "Analyze the following video and report each event with label, start, end and summary.",
    "Report each pass_left, pass_right, loiter, light_off and door_open with start and end.",
    "When do cars, persons or balls pass, who loiters, is the light off, is the door open?",
)
# Never used in training; only the evaluation asks with these.
UNSEEN_PROMPTS: Final = (
    "Give me a log of everything noteworthy between the first and the last frame.",
    "Security desk here: which incidents do you see, and from when to when?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenEvent:
    """An event as a window shows it: its first and its last temporal patch, both inclusive."""

    label: str
    color: str | None
    shape: str | None
    first_patch: int
    last_patch: int

    @property
    def sort_key(self) -> tuple[int, int, int, int]:
        """The order of events in a correct answer."""
        color = COLORS.index(self.color) if self.color is not None else -1
        return (self.first_patch, self.last_patch, LABELS.index(self.label), color)


def answer_text(events: Sequence[SeenEvent], markers: Sequence[str]) -> str:
    """The correct answer as JSON without whitespace; `markers` are the times of the patches."""
    items: list[str] = []
    phrases: list[str] = []
    for event in sorted(events, key=lambda event: event.sort_key):
        identity, phrase = "", ""
        if event.color is not None:
            identity = f'"color":"{event.color}","shape":"{event.shape}",'
            phrase = f"{event.color} {event.shape} "
        start, end = markers[event.first_patch], markers[event.last_patch]
        items.append(f'{{{identity}"label":"{event.label}","start":{start},"end":{end}}}')
        phrases.append(phrase + SUMMARY_WORDS[event.label])
    summary = "; ".join(phrases) or "no events"
    return f'{{"events":[{",".join(items)}],"summary":"{summary}"}}'


def answer_schema() -> dict[str, Any]:
    """The JSON schema of an answer, as the structured decoder takes it."""
    item = {
        "type": "object",
        "properties": {
            "color": {"enum": list(COLORS)},
            "shape": {"enum": list(SHAPES)},
            "label": {"enum": list(LABELS)},
            "start": {"type": "number"},
            "end": {"type": "number"},
        },
        "required": ["label", "start", "end"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "events": {"type": "array", "items": item},
            "summary": {"type": "string"},
        },
        "required": ["events", "summary"],
        "additionalProperties": False,
    }
