"""Reads the words on the pages that a watcher has found: each page once in a shard. Pure."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pipeline.records import Frame, PageView, Video
from pipeline.slides.picture import Still, change_between, decode

Read = Callable[[npt.NDArray[np.uint8]], str]
"""The words in an RGB picture [H, W, 3], line by line."""

_KNOWN_PAGES = 64
"""Of a shard; a page that is shown again after so many others is read again."""


class PageTexts:
    """Adds the words to the views of consecutive windows.

    To read takes a hundred times as long as to look, so a page that stands through many windows,
    or comes back, is read once.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: deque[tuple[Still, str]] = deque(maxlen=_KNOWN_PAGES)

    def added(
        self, views: Iterable[PageView], frames: Sequence[Frame], video: Video
    ) -> tuple[PageView, ...]:
        """The views of a window with the words that its frames show."""
        return tuple(
            replace(view, text=self._text(view, frames, video)) if view.picture else view
            for view in views
        )

    def _text(self, view: PageView, frames: Sequence[Frame], video: Video) -> str:
        still = decode(view.picture)
        for known, text in self._known:
            if change_between(known, still) == "same":
                return text
        picture = _whole_page(view, frames, video).rgb
        text = "" if picture is None else self._read(picture)
        self._known.append((still, text))
        return text


def _whole_page(view: PageView, frames: Sequence[Frame], video: Video) -> Frame:
    """The frame in the middle of the time after the last step: it shows all, and no fade."""
    last_step = view.frame_pts[-1]
    shown = [
        frame
        for frame in frames
        if frame.pts >= last_step and video.media_ns(frame.pts) < view.span.end_ns
    ]
    return shown[len(shown) // 2]
