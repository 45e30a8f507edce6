"""What is cut out of a file, and what a clip really shows of it."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from pipeline.records.footage import Video
from pipeline.timebase import TimeRange

CutMode: TypeAlias = Literal["exact", "copy"]
"""``exact``: the frames of the range and no others; ``copy``: from a keyframe, nothing encoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A range of one file."""

    video: Video
    media: TimeRange
    event_ids: tuple[str, ...] = ()

    @property
    def utc(self) -> TimeRange:
        """When it was recorded."""
        return self.video.utc(self.media)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a clip shows of one cut."""

    cut: Cut
    media: TimeRange
    """What was really cut: in mode ``copy`` it may begin earlier and end later than the cut."""
    at_s: Fraction
    """Seconds from the start of the clip."""
    first_pts: int
    last_pts: int
    """Ticks of the first and the last frame in the file."""
    time_base: Fraction
    num_frames: int
    num_copied: int
    """Of these, how many were copied without encoding."""
    num_missing: int
    """Frames of the range that could not be decoded; the frame before stays on screen."""
    has_sound: bool
