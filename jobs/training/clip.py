# ruff: noqa: PLR2004  # a drawn world is made of numbers; a name for each would say less
"""Short clips with exact truth, as the model gets them: one clip is one window of one scene."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from jobs.training.degrade import degrade
from pipeline.demo.language import COLORS, SHAPES, SeenEvent, answer_text
from pipeline.demo.scene import (
    FRAMES_PER_PATCH,
    Appearance,
    Frame,
    Scene,
    draw_loitering,
    draw_parked,
    make_appearance,
    markers,
    render,
    seen_in,
)
from pipeline.demo.things import Thing, make_body, passing

_ROW_DISTANCE: Final = 16.0
_MIN_EVENT_FRAMES: Final = 4
_MAX_EVENT_FRAMES: Final = 44


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipMix:
    """How much happens in a clip: chances, and the weights of 0, 1, 2, ... moving things."""

    num_moving_weights: tuple[float, ...] = (0.2, 0.38, 0.28, 0.14)
    num_parked_weights: tuple[float, ...] = (0.55, 0.3, 0.15)
    loiter_chance: float = 0.3
    dark_chance: float = 0.18
    door_chance: float = 0.22


EMPTY: Final = ClipMix(num_moving_weights=(1.0,), dark_chance=0.0, door_chance=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The frames of one window, their times since its start, and what they show."""

    frames: Frame
    frame_times_ms: tuple[int, ...]
    markers: tuple[str, ...]
    events: tuple[SeenEvent, ...]
    scene: Scene = field(repr=False)

    @property
    def answer(self) -> str:
        """The right answer to the clip."""
        return answer_text(self.events, self.markers)


def draw_frame_times_ms(rng: np.random.Generator, num_frames: int) -> tuple[int, ...]:
    """Increasing times from the window's start: 0.5 to 2 fps, often exact, sometimes irregular."""
    step_s = (
        float(rng.choice((0.5, 1.0, 2.0)))
        if rng.random() < 0.6
        else float(np.exp(rng.uniform(np.log(0.45), np.log(2.1))))
    )
    steps_s = np.full(num_frames - 1, step_s)
    if rng.random() < 0.3:
        steps_s *= rng.uniform(0.75, 1.25, num_frames - 1)
    first_s = rng.uniform(0, step_s) if rng.random() < 0.3 else 0.0
    times_s = first_s + np.concatenate(([0.0], np.cumsum(steps_s)))
    return tuple(np.round(times_s * 1000).astype(int).tolist())


def make_clip(
    rng: np.random.Generator,
    *,
    num_frames: int,
    height_px: int = 96,
    width_px: int = 160,
    mix: ClipMix | None = None,
    degraded_chance: float = 0.0,
) -> Clip:
    """Draw times and a scene, render it, and say what the frames show."""
    mix = mix or ClipMix()
    times_ms = draw_frame_times_ms(rng, num_frames)
    appearance = make_appearance(rng, height_px=height_px, width_px=width_px)
    scene = _make_scene(rng, appearance, mix, times_ms)
    frames = np.stack([render(scene, time_ms / 1000) for time_ms in times_ms])
    if rng.random() < degraded_chance:
        frames = degrade(rng, frames)
    seen = (seen_in(event, times_ms) for event in scene.events())
    events = sorted((event for event in seen if event), key=lambda event: event.sort_key)
    return Clip(
        frames=frames,
        frame_times_ms=times_ms,
        markers=markers(times_ms),
        events=tuple(events),
        scene=scene,
    )


def _count(rng: np.random.Generator, weights: tuple[float, ...]) -> int:
    chances = np.array(weights) / sum(weights)
    return int(rng.choice(len(weights), p=chances))


def _make_scene(
    rng: np.random.Generator, appearance: Appearance, mix: ClipMix, times_ms: tuple[int, ...]
) -> Scene:
    times_s = np.array(times_ms) / 1000
    colors = [COLORS[i] for i in rng.permutation(len(COLORS))]
    things: list[Thing] = []
    num_moving = _count(rng, mix.num_moving_weights)
    if len(times_s) < 4 * FRAMES_PER_PATCH:
        # In a short window two events can hardly be distinguished.
        num_moving = min(num_moving, 1 + int(rng.random() < 0.3))
    num_parked = min(_count(rng, mix.num_parked_weights), len(colors) - num_moving)
    for is_moving in [True] * num_moving + [False] * num_parked:
        for _ in range(30):
            thing = (
                _draw_moving(rng, appearance, mix, colors[0], times_s)
                if is_moving
                else draw_parked(rng, appearance, colors[0])
            )
            if thing and all(abs(thing.y - other.y) >= _ROW_DISTANCE for other in things):
                things.append(thing)
                colors.pop(0)
                break
    dark_s = _draw_span(rng, times_s) if rng.random() < mix.dark_chance else None
    open_s = None
    if appearance.door is not None and rng.random() < mix.door_chance:
        open_s = _draw_span(rng, times_s)
    return Scene(
        appearance=appearance,
        things=tuple(things),
        dark_s=(dark_s,) if dark_s else (),
        door_open_s=(open_s,) if open_s else (),
    )


def _draw_span(
    rng: np.random.Generator, times_s: npt.NDArray[np.float64]
) -> tuple[float, float] | None:
    """A range that frames of the clip show; it may begin before the clip and end after it."""
    num_frames = len(times_s)
    step_s = float(times_s[-1] - times_s[0]) / max(1, num_frames - 1) or 1.0
    for _ in range(20):
        longest = min(_MAX_EVENT_FRAMES, max(_MIN_EVENT_FRAMES + 1, 1.3 * num_frames))
        num_event_frames = np.exp(rng.uniform(np.log(_MIN_EVENT_FRAMES), np.log(longest)))
        # As when windows cut a recording: a clip may show only the end of an event.
        first = rng.uniform(-0.9 * num_event_frames, num_frames - 1)
        start_s = float(times_s[0] + first * step_s)
        end_s = float(start_s + num_event_frames * step_s)
        if ((times_s >= start_s) & (times_s < end_s)).any():
            return start_s, end_s
    return None


def _draw_moving(
    rng: np.random.Generator,
    appearance: Appearance,
    mix: ClipMix,
    color: str,
    times_s: npt.NDArray[np.float64],
) -> Thing | None:
    span_s = _draw_span(rng, times_s)
    if span_s is None:
        return None
    start_s, end_s = span_s
    if rng.random() < mix.loiter_chance:
        body = make_body(rng, color=color, shape="person")
        return draw_loitering(rng, appearance, body, start_s=start_s, end_s=end_s)
    body = make_body(rng, color=color, shape=str(rng.choice(SHAPES)))
    to_left = bool(rng.random() < 0.5)
    return passing(rng, body, start_s=start_s, end_s=end_s, to_left=to_left)
