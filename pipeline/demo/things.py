"""Cars, persons and balls: how they look, where they are at any time, and when they are in view.

World coordinates are those of a 160 x 96 picture for every frame size: a bigger frame shows the
same world with more pixels. Times are seconds since the start of the scene.
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
    """A car, person or ball with its path; it never moves if `label` is None."""

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
        """The x coordinate of its centre, in world units from the left border."""
        return float(np.interp(time_s, self.knots_s, self.knots_x))


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """How a thing looks and in which row it moves, without its path."""

    color: str
    shape: str
    rgb: tuple[float, float, float]
    width: float
    height: float
    y: float


def make_body(rng: np.random.Generator, *, color: str, shape: str) -> Body:
    """A body with a random size, shade and row."""
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
    """Comes in fast at one side, crosses steadily, and leaves fast at the other side.

    It is fast at the borders so that few frames show a half of it, which would be ambiguous.
    """
    edge = body.width / 2 + 1
    border_s = min(rng.uniform(0.15, 0.35), (end_s - start_s) / 4)
    knots_x = np.array((-edge, 0, edge, WORLD_WIDTH - edge, WORLD_WIDTH, WORLD_WIDTH + edge))
    return _thing(
        body,
        label="pass_left" if to_left else "pass_right",
        knots_s=(
            start_s - border_s,
            start_s,
            start_s + border_s,
            end_s - border_s,
            end_s,
            end_s + border_s,
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
    """Comes in fast, stands at `x`, and leaves fast."""
    edge = body.width / 2 + 1

    def path(*, left_side: bool) -> tuple[float, float, float]:
        """The x of the border, an x outside of it, and the seconds per world unit on the path."""
        border = 0.0 if left_side else float(WORLD_WIDTH)
        beyond = -edge if left_side else WORLD_WIDTH + edge
        pace_s = min(rng.uniform(0.5, 1.2), (end_s - start_s) / 4) / max(abs(x - border), 20)
        return border, beyond, pace_s

    in_border, in_beyond, in_pace_s = path(left_side=from_left)
    out_border, out_beyond, out_pace_s = path(left_side=to_left)
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
    """Is in view all the time and does not move."""
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
