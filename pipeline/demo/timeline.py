"""Long scenes: hours of one camera with a few events; frames are rendered on demand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.demo.language import COLORS, LABELS, SHAPES
from pipeline.demo.scene import Appearance, Scene, draw_loitering, draw_parked, make_appearance
from pipeline.demo.things import Thing, make_body, passing

# Two things of the same colour are at least this long apart: the colour identifies a thing.
_SAME_COLOR_GAP_S: Final = 40.0
_ROW_DISTANCE: Final = 16.0
_SAME_LABEL_GAP_S: Final = 10.0
_MAX_OVERLAP_S: Final = 5.0
_TRIES: Final = 200

# Slow enough to be in several sampled frames, fast enough to differ from standing at 2 fps.
_DURATION_S: Final[dict[str, tuple[float, float]]] = {
    "pass_left": (8.0, 20.0),
    "pass_right": (8.0, 20.0),
    "loiter": (12.0, 40.0),
    "light_off": (12.0, 40.0),
    "door_open": (10.0, 30.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The time of one event to draw."""

    label: str
    start_s: float
    end_s: float


def draw_slots(
    rng: np.random.Generator,
    *,
    start_s: float,
    end_s: float,
    num_events: int,
    taken: Sequence[Slot] = (),
) -> list[Slot]:
    """Up to `num_events` random events in `[start_s, end_s)` without conflict with `taken`."""
    slots: list[Slot] = []
    for _ in range(num_events):
        for _attempt in range(50):
            label = str(rng.choice(LABELS))
            duration_s = draw_duration_s(rng, label)
            if duration_s + 2 > end_s - start_s:
                continue
            begin_s = float(rng.uniform(start_s + 1, end_s - duration_s - 1))
            slot = Slot(label=label, start_s=begin_s, end_s=begin_s + duration_s)
            if not any(_conflict(slot, other) for other in (*taken, *slots)):
                slots.append(slot)
                break
    return slots


def draw_duration_s(rng: np.random.Generator, label: str) -> float:
    """A random duration for an event of this label."""
    return float(rng.uniform(*_DURATION_S[label]))


def _conflict(slot: Slot, other: Slot) -> bool:
    # Two events of one label have a gap, so that no sampling can join them; others may overlap.
    gap_s = _SAME_LABEL_GAP_S if slot.label == other.label else -_MAX_OVERLAP_S
    return slot.start_s < other.end_s + gap_s and other.start_s < slot.end_s + gap_s


def draw_needles(rng: np.random.Generator, *, duration_s: float, num_needles: int) -> list[Slot]:
    """A few events in an otherwise empty recording: one in each equal part of it."""
    part_s = duration_s / num_needles
    slots: list[Slot] = []
    for index in range(num_needles):
        label = LABELS[index % len(LABELS)]
        event_s = float(rng.uniform(*_DURATION_S[label]))
        at_s = float(rng.uniform(0.1, 0.9)) * (part_s - event_s - 2) + 1 + index * part_s
        slots.append(Slot(label=label, start_s=at_s, end_s=at_s + event_s))
    return slots


def make_timeline(
    rng: np.random.Generator, slots: Sequence[Slot], *, height_px: int, width_px: int
) -> Scene:
    """A scene with exactly these events, and with parked things that never move."""
    appearance = make_appearance(rng, height_px=height_px, width_px=width_px)
    while appearance.door is None:
        # A timeline may need a door, so draw again until the camera has one.
        appearance = make_appearance(rng, height_px=height_px, width_px=width_px)
    things: list[Thing] = []
    for _ in range(int(rng.integers(0, 3))):
        _try_to_park(rng, appearance, things)
    for slot in slots:
        if slot.label not in ("light_off", "door_open"):
            things.append(_draw_thing(rng, appearance, slot, things))
    spans = {
        label: tuple((slot.start_s, slot.end_s) for slot in slots if slot.label == label)
        for label in ("light_off", "door_open")
    }
    return Scene(
        appearance=appearance,
        things=tuple(things),
        dark_s=spans["light_off"],
        door_open_s=spans["door_open"],
    )


def _try_to_park(rng: np.random.Generator, appearance: Appearance, things: list[Thing]) -> None:
    taken = {thing.color for thing in things}
    color = str(rng.choice([color for color in COLORS if color not in taken]))
    for _ in range(30):
        thing = draw_parked(rng, appearance, color)
        if thing and all(abs(thing.y - other.y) >= _ROW_DISTANCE for other in things):
            things.append(thing)
            return


def _draw_thing(
    rng: np.random.Generator, appearance: Appearance, slot: Slot, things: Sequence[Thing]
) -> Thing:
    def distance_s(other: Thing) -> float:
        return max(other.start_s - slot.end_s, slot.start_s - other.end_s)

    simultaneous = [thing for thing in things if distance_s(thing) < 0]
    # Colours that are not used near this slot; if there are none, the one used farthest away.
    nearest_use_s = {
        color: min([distance_s(thing) for thing in things if thing.color == color], default=np.inf)
        for color in COLORS
    }
    unused = [color for color in COLORS if nearest_use_s[color] >= _SAME_COLOR_GAP_S]
    colors = unused or [max(COLORS, key=lambda color: nearest_use_s[color])]
    for attempt in range(2 * _TRIES):
        color = str(rng.choice(colors))
        shape = "person" if slot.label == "loiter" else str(rng.choice(SHAPES))
        body = make_body(rng, color=color, shape=shape)
        # In separate rows if there is room; otherwise the nearer thing hides the other for a while.
        distance = _ROW_DISTANCE if attempt < _TRIES else 0.0
        if any(abs(body.y - other.y) < distance for other in simultaneous):
            continue
        if slot.label == "loiter":
            loiterer = draw_loitering(rng, appearance, body, start_s=slot.start_s, end_s=slot.end_s)
            if loiterer is not None:
                return loiterer
            continue
        return passing(
            rng,
            body,
            start_s=slot.start_s,
            end_s=slot.end_s,
            to_left=slot.label == "pass_left",
        )
    raise AssertionError(f"no free place beside the door after {2 * _TRIES} attempts")
