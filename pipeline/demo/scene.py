# ruff: noqa: PLR2004  # a drawn world is made of numbers; a name for each would say less
"""A generated camera view with exact truth: where each thing is at any time, and its picture.

Times are seconds since the start of the scene.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.demo.language import LABELS, SeenEvent
from pipeline.demo.sprites import FloatArray, resize, sprite
from pipeline.demo.things import (
    WORLD_HEIGHT,
    WORLD_WIDTH,
    Body,
    Thing,
    loitering,
    make_body,
    parked,
)

FRAME_MULTIPLE_PX: Final = 32
FRAMES_PER_PATCH: Final = 2

_LEAST_FRAMES_SEEN: Final = 2
_NOISE_VALUES: Final = 1 << 21
_OPEN_DOOR_RGB: Final = (10.0, 12.0, 18.0)
# The door reaches down to the floor, so things that stand still are kept out of its columns.
_DOOR_TOP: Final = (2.0, 12.0)

Frame = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthEvent:
    """A state that lasts for `[start_s, end_s)` of the scene's time."""

    label: str
    color: str | None
    shape: str | None
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """The view of a camera in which nothing happens, and the properties of its sensor."""

    height_px: int
    width_px: int
    background: FloatArray
    # Left, top, width and height in world units.
    door: tuple[float, float, float, float] | None
    # Left, width and grey value of a pole in front of everything else.
    pole: tuple[float, float, float] | None
    gain: float
    gain_swing: float
    gain_period_s: float
    flicker: float
    noise_sigma: float
    dark_gain: float
    noise_seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An appearance, the things that come and go, and when the light is off or the door open."""

    appearance: Appearance
    things: tuple[Thing, ...]
    dark_s: tuple[tuple[float, float], ...] = ()
    door_open_s: tuple[tuple[float, float], ...] = ()

    def events(self) -> tuple[TruthEvent, ...]:
        """Everything that happens, sorted by start."""
        events = [
            TruthEvent(
                label=thing.label,
                color=thing.color,
                shape=thing.shape,
                start_s=thing.start_s,
                end_s=thing.end_s,
            )
            for thing in self.things
            if thing.label is not None
        ]
        for label, spans in (("light_off", self.dark_s), ("door_open", self.door_open_s)):
            events += [
                TruthEvent(label=label, color=None, shape=None, start_s=start, end_s=end)
                for start, end in spans
            ]
        return tuple(sorted(events, key=lambda e: (e.start_s, e.end_s, LABELS.index(e.label))))


@lru_cache(maxsize=1)
def _noise() -> FloatArray:
    noise = np.random.default_rng(7).standard_normal(_NOISE_VALUES, dtype=np.float32)
    noise.flags.writeable = False
    return noise


def _mix(seed: int, time_ms: int) -> int:
    """A hash of 64 bits: the noise of a frame depends on its time, not on the order of frames."""
    value = (seed * 0x9E3779B97F4A7C15 + time_ms * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    value = ((value ^ (value >> 30)) * 0x94D049BB133111EB) & (2**64 - 1)
    return value ^ (value >> 31)


def make_appearance(rng: np.random.Generator, *, height_px: int, width_px: int) -> Appearance:
    """Draw a camera's view: walls, floor, clutter, perhaps a door and a pole, and its sensor."""
    if height_px % FRAME_MULTIPLE_PX or width_px % FRAME_MULTIPLE_PX:
        raise ValueError(
            f"frame of {width_px}x{height_px} pixels: both sides must be multiples of "
            f"{FRAME_MULTIPLE_PX}, since the model sees cells of that size"
        )
    grey = rng.uniform(80, 140)
    tint = rng.uniform(-12, 12, 3).astype(np.float32)
    coarse = rng.normal(0, rng.uniform(1, 6), (7, 11, 3)) + rng.normal(0, 6, (7, 11, 1))
    world = grey + tint + resize(coarse.astype(np.float32), WORLD_HEIGHT, WORLD_WIDTH)
    world[int(WORLD_HEIGHT * rng.uniform(0.25, 0.55)) :] += rng.uniform(-28, 28)
    if rng.random() < 0.2:
        stripes = np.sin(np.arange(WORLD_WIDTH) * (2 * np.pi / rng.uniform(6, 30)))
        world += (stripes * rng.uniform(2, 10)).astype(np.float32)[None, :, None]
    offset = int(rng.integers(_NOISE_VALUES - world.size))
    world += _noise()[offset : offset + world.size].reshape(world.shape) * rng.uniform(1, 5)
    for _ in range(int(rng.integers(0, 5))):
        wide, high = int(rng.integers(6, 40)), int(rng.integers(6, 30))
        left, top = int(rng.integers(0, WORLD_WIDTH - 6)), int(rng.integers(0, WORLD_HEIGHT - 6))
        world[top : top + high, left : left + wide] = grey + rng.uniform(-45, 45) + tint
    scale_x, scale_y = width_px / WORLD_WIDTH, height_px / WORLD_HEIGHT
    background = world if scale_x == scale_y == 1 else resize(world, height_px, width_px)
    door = _add_door(rng, background, scale_x, scale_y) if rng.random() < 0.75 else None
    pole: tuple[float, float, float] | None = None
    if rng.random() < 0.25:
        left_at, pole_wide = float(rng.uniform(0, WORLD_WIDTH - 10)), float(rng.uniform(3, 8))
        shade = grey + rng.choice((-1, 1)) * rng.uniform(15, 50)
        pole = (left_at, pole_wide, float(np.clip(shade, 40, 200)))
    background = np.ascontiguousarray(background, np.float32)
    background.flags.writeable = False
    return Appearance(
        height_px=height_px,
        width_px=width_px,
        background=background,
        door=door,
        pole=pole,
        gain=rng.uniform(0.87, 1.13),
        gain_swing=rng.uniform(0, 0.08),
        gain_period_s=float(np.exp(rng.uniform(np.log(4), np.log(200)))),
        flicker=rng.uniform(0, 0.02),
        noise_sigma=rng.uniform(0.3, 7),
        dark_gain=rng.uniform(0.2, 0.33),
        noise_seed=int(rng.integers(2**31)),
    )


def _add_door(
    rng: np.random.Generator, background: FloatArray, scale_x: float, scale_y: float
) -> tuple[float, float, float, float]:
    """Paint a closed door into the background; returns its left, top, width and height."""
    wide, high = float(rng.uniform(15, 20)), float(rng.uniform(30, 38))
    left_at, top_at = float(rng.uniform(4, WORLD_WIDTH - wide - 4)), float(rng.uniform(*_DOOR_TOP))
    door = (left_at, top_at, wide, high)
    left, top, right, bottom = _box_px(door, scale_x, scale_y)
    background[top:bottom, left:right] = np.array([118, 76, 44]) + rng.uniform(-18, 18, 3)
    frame_px = max(1, round(scale_x))
    background[top : top + frame_px, left:right] *= 0.5
    background[top:bottom, left : left + frame_px] *= 0.5
    return door


def _box_px(
    box: tuple[float, float, float, float], scale_x: float, scale_y: float
) -> tuple[int, int, int, int]:
    left, top, wide, high = box
    return (
        round(left * scale_x),
        round(top * scale_y),
        round((left + wide) * scale_x),
        round((top + high) * scale_y),
    )


def _holds(spans_s: Sequence[tuple[float, float]], time_s: float) -> bool:
    return any(start <= time_s < end for start, end in spans_s)


def render(scene: Scene, time_s: float) -> Frame:
    """The frame [H, W, RGB] at this time; the same time always gives the same pixels."""
    appearance = scene.appearance
    scale_x, scale_y = appearance.width_px / WORLD_WIDTH, appearance.height_px / WORLD_HEIGHT
    picture = appearance.background.copy()
    if appearance.door is not None and _holds(scene.door_open_s, time_s):
        left, top, right, bottom = _box_px(appearance.door, scale_x, scale_y)
        inset_x, inset_y = round(2 * scale_x), round(2 * scale_y)
        picture[top + inset_y : bottom, left + inset_x : right - 2 * inset_x] = _OPEN_DOOR_RGB
    # A thing that is lower in the picture is nearer, and hides the others.
    for thing in sorted(scene.things, key=lambda thing: thing.y + thing.height / 2):
        if thing.label is None or thing.knots_s[0] <= time_s <= thing.knots_s[-1]:
            _draw(picture, thing, time_s, scale_x, scale_y)
    if appearance.pole is not None:
        left_at, wide, grey = appearance.pole
        picture[:, round(left_at * scale_x) : round((left_at + wide) * scale_x)] = grey
    # Rounded, not truncated: a frame time read back from a file may be slightly less.
    number = _mix(appearance.noise_seed, round(time_s * 1000))
    unit = (number & 0xFFFF) / 0xFFFF * 2 - 1
    swing = appearance.gain_swing * np.sin(2 * np.pi * time_s / appearance.gain_period_s)
    gain = appearance.gain * (1 + swing) * (1 + appearance.flicker * unit)
    if _holds(scene.dark_s, time_s):
        gain *= appearance.dark_gain
    picture *= np.float32(gain)
    offset = (number >> 16) % (_NOISE_VALUES - picture.size)
    noise = _noise()[offset : offset + picture.size].reshape(picture.shape)
    picture += noise * np.float32(appearance.noise_sigma)
    return np.clip(picture, 0, 255, out=picture).astype(np.uint8)


def _draw(picture: FloatArray, thing: Thing, time_s: float, scale_x: float, scale_y: float) -> None:
    high, wide = picture.shape[:2]
    image = sprite(
        shape=thing.shape,
        rgb=thing.rgb,
        height_px=max(2, round(thing.height * scale_y)),
        width_px=max(2, round(thing.width * scale_x)),
        mirrored=thing.mirrored,
    )
    sprite_high, sprite_wide = image.coverage.shape[:2]
    left = round(thing.x_at(time_s) * scale_x - sprite_wide / 2)
    top = round(thing.y * scale_y - sprite_high / 2)
    from_x, to_x = max(left, 0), min(left + sprite_wide, wide)
    from_y, to_y = max(top, 0), min(top + sprite_high, high)
    if from_x >= to_x or from_y >= to_y:
        return
    part = (slice(from_y - top, to_y - top), slice(from_x - left, to_x - left))
    target = picture[from_y:to_y, from_x:to_x]
    target *= 1 - image.coverage[part]
    target += image.color[part]


def _clear_of_door(appearance: Appearance, body: Body, x: float) -> bool:
    """Whether a thing at x does not hide the opening of the door."""
    if (
        appearance.door is None
        or body.y - body.height / 2 > appearance.door[1] + appearance.door[3] - 6
    ):
        return True
    left, _, wide, _ = appearance.door
    return x + body.width / 2 < left or x - body.width / 2 > left + wide


def draw_loitering(
    rng: np.random.Generator, appearance: Appearance, body: Body, *, start_s: float, end_s: float
) -> Thing | None:
    """A person that stands beside the door; None if the random place hides the door."""
    x = rng.uniform(0.1, 0.9) * WORLD_WIDTH
    if not _clear_of_door(appearance, body, x):
        return None
    from_left, to_left = (bool(side) for side in rng.random(2) < 0.5)
    return loitering(
        rng, body, start_s=start_s, end_s=end_s, x=x, from_left=from_left, to_left=to_left
    )


def draw_parked(rng: np.random.Generator, appearance: Appearance, color: str) -> Thing | None:
    """A car or ball that does not move; None if the random place hides the door."""
    body = make_body(rng, color=color, shape=str(rng.choice(("car", "ball"))))
    x = rng.uniform(0.1, 0.9) * WORLD_WIDTH
    if not _clear_of_door(appearance, body, x):
        return None
    return parked(body, x=x, mirrored=bool(rng.random() < 0.5))


def patch_times_ms(frame_times_ms: Sequence[int]) -> npt.NDArray[np.int64]:
    """The times of the frames as [patch, 2]; an odd last frame is used twice, as in the model."""
    times = list(frame_times_ms)
    if len(times) % FRAMES_PER_PATCH:
        times.append(times[-1])
    return np.array(times, np.int64).reshape(-1, FRAMES_PER_PATCH)


def markers(frame_times_ms: Sequence[int]) -> tuple[str, ...]:
    """The text of each patch's time in seconds, computed as Qwen3-VL's processor does."""
    return tuple(
        f"{(first / 1000 + last / 1000) / 2:.1f}"
        for first, last in patch_times_ms(frame_times_ms).tolist()
    )


def seen_in(
    event: TruthEvent, frame_times_ms: Sequence[int], *, origin_s: float = 0.0
) -> SeenEvent | None:
    """The event as frames at these times (relative to `origin_s`) show it.

    None if fewer than two frames show it, since one frame does not show whether and in which
    direction a thing moves. That happens at the border of a window; then the neighbouring window
    reports the event.
    """
    frames_s = np.array(frame_times_ms) / 1000 + origin_s
    if ((frames_s >= event.start_s) & (frames_s < event.end_s)).sum() < _LEAST_FRAMES_SEEN:
        return None
    times_s = patch_times_ms(frame_times_ms) / 1000 + origin_s
    is_shown = ((times_s >= event.start_s) & (times_s < event.end_s)).any(1)
    patches = np.flatnonzero(is_shown)
    return SeenEvent(
        label=event.label,
        color=event.color,
        shape=event.shape,
        first_patch=int(patches[0]),
        last_patch=int(patches[-1]),
    )
