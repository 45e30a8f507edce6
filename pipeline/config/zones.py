"""Parts of a camera's picture and lines in it, and what is reported of the objects there."""

from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.section import Seconds, Section

ZoneRule = Literal["in_zone", "enters", "leaves"]
Share = Annotated[float, Field(ge=0, le=1)]
Point = tuple[Share, Share]
"""Shares of the width and of the height of the upright picture, from the upper left corner."""

_LEAST_CORNERS = 3


class ZoneConfig(Section):
    """A part of the picture, or a line in it. An object is where the middle of its lower edge is.

    Changing a zone asks no model: the next run derives the events again from stored answers.
    """

    camera: str = "*"
    """Camera or glob."""
    polygon: tuple[Point, ...] = ()
    """Corners of a part of the picture as ``[x, y]``, 0 to 1; its border belongs to it."""
    line: tuple[Point, ...] = ()
    """Points of a line instead; ``crosses`` is reported, with the side that is walked to as one
    looks from the first point to the last: ``left`` or ``right``."""
    labels: tuple[str, ...] = ()
    """Labels of the objects that count; empty: all."""
    rules: tuple[ZoneRule, ...] = ()
    """What is reported of a polygon: ``in_zone`` is each stay, ``enters`` and ``leaves`` are the
    first frame inside and the first frame outside."""
    loiters_s: Seconds | None = Field(default=None, gt=0)
    """Also report ``loiters``: each stay of at least so many seconds."""
    min_count: int | None = Field(default=None, ge=2)
    """Also report ``count``: each time in which at least so many objects are inside."""

    @model_validator(mode="after")
    def _is_one_shape(self) -> Self:
        if bool(self.polygon) == bool(self.line):
            raise ValueError("a zone has either a polygon or a line")
        asks = bool(self.rules) or self.loiters_s is not None or self.min_count is not None
        if self.line and asks:
            raise ValueError(
                "a line reports crosses alone; rules, loiters_s and min_count are of a polygon"
            )
        if self.polygon and not asks:
            raise ValueError("a polygon needs rules, loiters_s or min_count")
        if self.polygon and len(set(self.polygon)) < _LEAST_CORNERS:
            raise ValueError("a polygon needs three different corners")
        if self.line and (len(self.line) == 1 or len(set(self.line)) < len(self.line)):
            raise ValueError("a line needs two or more points, all of them different")
        return self

    def is_of(self, camera: str) -> bool:
        """Whether this zone lies in the pictures of a camera."""
        return camera == self.camera or fnmatchcase(camera, self.camera)
