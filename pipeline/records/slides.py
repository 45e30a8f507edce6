"""What stands still on a screen: the views of windows, and the slides that follow from them."""

from dataclasses import dataclass

from pipeline.timebase import TimeRange


@dataclass(frozen=True, slots=True, kw_only=True)
class PageView:
    """A stretch of one window with one page on screen, or with none."""

    span: TimeRange
    """Media time."""
    frame_pts: tuple[int, ...]
    """The frame that shows the page first, then each that adds something to it."""
    picture: str
    """What stands still, at the end of the stretch: a grey WebP in base64, transparent where the
    picture never rests. "" if that is no page: footage of a camera, a clip, an empty screen."""
    text: str = ""
    """The words on it, line by line; "" if nobody reads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slide:
    """One showing of a page; times in UTC. A page that is shown again is another slide."""

    slide_id: str
    camera: str
    video_id: str
    uri: str
    span: TimeRange
    media: TimeRange
    page: int
    """Pages count from 1 as they appear; one that is shown again keeps its number."""
    frame_pts: tuple[int, ...]
    steps: tuple[int, ...]
    """Media time in nanoseconds at which a build added something to the page."""
    picture: str
    """The page at the end, as in ``PageView``."""
    window_ids: tuple[str, ...]
    text: str = ""
    """The words on the page, line by line; "" if nobody reads them."""
