"""Cars, persons and balls: how they look, where they are at any time, and when they are in view.

World coordinates are those of a 160 x 96 picture whatever the frame size, so that a bigger frame
shows the same world with more pixels. Times are seconds since the scene's own zero.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.demo.sprites import RGB

WORLD_WIDTH: Final = 160
WORLD_HEIGHT: Final = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A car, person or ball and its way; parked for ever when `label` is None."""

    label: str | None
    color: str
    shape: str
    rgb: tuple[float, float, float]
    width: float
    height: float
    y: float
    knots_s: tuple[float, ...]
    knots_x: tuple[float, ...]
    # The time in which its centre is inside the frame.
    start_s: float
    end_s: float
    mirrored: bool

    def x_at(self, time_s: float) -> float:
        """Where its centre is, in world units from the left border."""
        return float(np.interp(time_s, self.knots_s, self.knots_x))


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """How a thing looks and in which row it moves, before it has a way."""

    color: str
    shape: str
    rgb: tuple[float, float, float]
    width: float
    height: float
    y: float


def make_body(rng: np.random.Generator, *, color: str, shape: str) -> Body:
    """Draw size, shade and row of a thing."""
    match shape:
        case "car":
            width, height = rng.uniform(30, 40), rng.uniform(15, 19)
        case "person":
            width, height = rng.uniform(10, 13), rng.uniform(27, 34)
        case _:
            width = height = rng.uniform(16, 23)
    red, green, blue = np.clip(np.array(RGB[color]) + rng.uniform(-14, 14, 3), 0, 255).tolist()
    y = rng.uniform(max(height / 2 + 4, 30), WORLD_HEIGHT - height / 2 - 3)
    return Body(color=color, shape=shape, rgb=(red, green, blue), width=width, height=height, y=y)


def passing(
    rng: np.random.Generator, body: Body, *, start_s: float, end_s: float, to_left: bool
) -> Thing:
    """Comes in briskly at one side, crosses steadily, leaves briskly at the other.

    Brisk at the borders, so that hardly a frame shows it half: the truth has no grey zone.
    """
    edge = body.width / 2 + 1
    brisk_s = min(rng.uniform(0.15, 0.35), (end_s - start_s) / 4)
    knots_x = np.array((-edge, 0, edge, WORLD_WIDTH - edge, WORLD_WIDTH, WORLD_WIDTH + edge))
    return _thing(
        body,
        label="pass_left" if to_left else "pass_right",
        knots_s=(
            start_s - brisk_s,
            start_s,
            start_s + brisk_s,
            end_s - brisk_s,
            end_s,
            end_s + brisk_s,
        ),
        knots_x=WORLD_WIDTH - knots_x if to_left else knots_x,
        mirrored=to_left,
    )


def loitering(
    rng: np.random.Generator,
    body: Body,
    *,
    start_s: float,
    end_s: float,
    x: float,
    from_left: bool,
    to_left: bool,
) -> Thing:
    """Comes in briskly, stands at `x`, leaves briskly."""
    edge = body.width / 2 + 1

    def way(*, left_side: bool) -> tuple[float, float, float]:
        """Border, beyond it, and the seconds per world unit on the way."""
        border = 0.0 if left_side else float(WORLD_WIDTH)
        beyond = -edge if left_side else WORLD_WIDTH + edge
        pace_s = min(rng.uniform(0.5, 1.2), (end_s - start_s) / 4) / max(abs(x - border), 20)
        return border, beyond, pace_s

    in_border, in_beyond, in_pace_s = way(left_side=from_left)
    out_border, out_beyond, out_pace_s = way(left_side=to_left)
    return _thing(
        body,
        label="loiter",
        knots_s=(
            start_s - edge * in_pace_s,
            start_s,
            start_s + abs(x - in_border) * in_pace_s,
            end_s - abs(x - out_border) * out_pace_s,
            end_s,
            end_s + edge * out_pace_s,
        ),
        knots_x=np.array((in_beyond, in_border, x, x, out_border, out_beyond)),
        mirrored=not from_left,
    )


def parked(body: Body, *, x: float, mirrored: bool) -> Thing:
    """Is there all the time and does nothing."""
    return Thing(
        label=None,
        color=body.color,
        shape=body.shape,
        rgb=body.rgb,
        width=body.width,
        height=body.height,
        y=body.y,
        knots_s=(0.0,),
        knots_x=(x,),
        start_s=-np.inf,
        end_s=np.inf,
        mirrored=mirrored,
    )


def _thing(
    body: Body,
    *,
    label: str,
    knots_s: tuple[float, ...],
    knots_x: npt.NDArray[np.float64],
    mirrored: bool,
) -> Thing:
    return Thing(
        label=label,
        color=body.color,
        shape=body.shape,
        rgb=body.rgb,
        width=body.width,
        height=body.height,
        y=body.y,
        knots_s=knots_s,
        knots_x=tuple(knots_x.tolist()),
        start_s=knots_s[1],
        end_s=knots_s[4],
        mirrored=mirrored,
    )
