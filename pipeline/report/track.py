"""One object as one HTML file: its times, places, pictures, zones and its path in the picture."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import hypot
from typing import Any, TypeAlias, TypeVar

from pipeline.config import ZoneConfig
from pipeline.report.render import environment, page_style

Row: TypeAlias = Mapping[str, Any]
_T = TypeVar("_T")

_MAX_PLACES = 100
"""Rows of the list of places; the index has all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture of the object."""

    at: datetime
    webp: bytes

    @property
    def data(self) -> str:
        """As a page holds it."""
        return base64.b64encode(self.webp).decode()


def page_of_track(
    event: Row,
    size: tuple[int, int],
    pictures: Sequence[Shown],
    told: Iterable[Row],
    zones: Mapping[str, ZoneConfig],
) -> str:
    """The page of a row of ``events``; nothing in it becomes markup but what is ours.

    Args:
        event: it has boxes.
        size: width and height of the picture that the boxes are in.
        pictures: of the object, by time; the first one lies under the path.
        told: what zones tell of the object.
        zones: of its camera, to be drawn.
    """
    boxes = event["boxes"]
    feet = [((box["x0"] + box["x1"]) / 2, box["y1"]) for box in boxes]
    return (
        environment()
        .get_template("track.html.jinja")
        .render(
            **page_style(),
            event=event,
            width=size[0],
            height=size[1],
            stroke=max(size) / 250,
            path=" ".join(f"{x:.1f},{y:.1f}" for x, y in feet),
            feet=feet,
            length_px=sum(hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(feet)),
            pictures=[
                (shown, min(boxes, key=lambda box: abs(box["at"] - shown.at))) for shown in pictures
            ],
            places=evenly(boxes, _MAX_PLACES),
            media_s=lambda at: _media_s(event, at),
            told=list(told),
            zones={
                name: " ".join(
                    f"{x * size[0]:.1f},{y * size[1]:.1f}"
                    for x, y in (*zone.polygon, *zone.polygon[:1]) or zone.line
                )
                for name, zone in zones.items()
            },
            clock=lambda at: at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        )
    )


def evenly(items: Sequence[_T], most: int) -> list[_T]:
    """At most so many of the items, spread evenly, with the first and the last."""
    if len(items) <= most:
        return list(items)
    if most == 1:
        return [items[len(items) // 2]]
    return [items[number * (len(items) - 1) // (most - 1)] for number in range(most)]


def _media_s(event: Row, at: datetime) -> str:
    """The seconds in its file at a moment."""
    part = next((one for one in reversed(event["parts"]) if one["start"] <= at), event)
    seconds = part["media_start"] + (at - part["start"]) / timedelta(seconds=1)
    return f"{seconds:.3f}"
