"""Makes all pictures of a clip alike: upright, square pixels, one size, one colour space."""

from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias, cast

import av
import numpy as np
from av.filter import Graph
from PIL import Image, ImageDraw, ImageFont

from pipeline.media.clip.stretch import Stretch
from pipeline.media.pixels import assumed_matrix, source_size, upright_sar
from pipeline.records import Video

Caption: TypeAlias = Callable[[Video, int], str]
"""What to write on the picture of a media time in nanoseconds, such as camera and wall clock."""

_TURNS = {0: (), 90: ("cclock",), 180: ("cclock", "cclock"), 270: ("clock",)}
# By their numbers in H.273; 2 is unspecified.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}
_FULL_RANGE = 2
_MAX_GRAPHS = 8
_LINES_PER_PICTURE = 24
_MIN_FONT = 8
_WHITE, _BLACK, _NO_COLOUR = 235, 16, 128


def canvas_size(stretches: list[Stretch]) -> tuple[int, int]:
    """Even width and height in square pixels of the largest picture among them."""
    return max((_shown_size(stretch) for stretch in stretches), key=lambda size: size[0] * size[1])


def _shown_size(stretch: Stretch) -> tuple[int, int]:
    width, height = source_size(stretch.video)
    shown_width = width * upright_sar(stretch.video, stretch.video.sar)
    return max(2, round(shown_width / 2) * 2), max(2, round(height / 2) * 2)


def _colours_of(frame: av.VideoFrame) -> str:
    """Options of the filter scale: the colours as the frame means them."""
    if frame.format.is_rgb:
        return ""
    matrix = int(assumed_matrix(frame) or frame.colorspace)
    is_full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
    known = f":in_color_matrix={_MATRICES[matrix]}" if matrix in _MATRICES else ""
    return f"{known}:in_range={'pc' if is_full else 'tv'}"


class Canvas:
    """Converts pictures to yuv420p of one size; what is missing at the sides is black."""

    def __init__(self, size: tuple[int, int], caption: Caption | None) -> None:
        self._size = size
        self._caption = caption
        self._graphs: dict[tuple[object, ...], Graph] = {}
        self._font_size = max(_MIN_FONT, size[1] // _LINES_PER_PICTURE)

    def paint(self, frame: av.VideoFrame, stretch: Stretch) -> av.VideoFrame:
        """The picture as the clip shows it."""
        picture = (frame.width, frame.height, frame.format.name)
        turned = (stretch.video.rotation, stretch.video.sar)
        key = (*picture, frame.colorspace, frame.color_range, *turned)
        if key not in self._graphs:
            if len(self._graphs) > _MAX_GRAPHS:
                self._graphs.clear()
            self._graphs[key] = self._graph(frame, stretch)
        graph = self._graphs[key]
        pts = frame.pts
        graph.push(frame)
        painted = cast("av.VideoFrame", graph.pull())
        if self._caption is not None and pts is not None:
            painted.make_writable()
            self._write(painted, self._caption(stretch.video, stretch.video.media_ns(pts)))
        return painted

    def _graph(self, frame: av.VideoFrame, stretch: Stretch) -> Graph:
        width, height = self._size
        shown = _shown_size(stretch)
        scale = min(Fraction(width, shown[0]), Fraction(height, shown[1]))
        inner = [max(2, round(side * scale / 2) * 2) for side in shown]
        colours = f"{_colours_of(frame)}:out_color_matrix=bt709:out_range=tv"
        steps = [
            *(("transpose", turn) for turn in _TURNS[stretch.video.rotation]),
            ("scale", f"w={inner[0]}:h={inner[1]}:flags=bicubic{colours}"),
            ("format", "yuv420p"),
            ("pad", f"{width}:{height}:(ow-iw)/2:(oh-ih)/2"),
            ("setsar", "1"),
            ("buffersink", None),
        ]
        graph = Graph()
        last = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(1, 1000),
        )
        for name, options in steps:
            step = graph.add(name, options)
            last.link_to(step)
            last = step
        graph.configure()
        return graph

    def _write(self, frame: av.VideoFrame, text: str) -> None:
        """Draw a line of text at the upper left, straight into the planes."""
        font = ImageFont.load_default(size=self._font_size)
        while font.getlength(text) > frame.width and self._font_size > _MIN_FONT:
            self._font_size -= 1
            font = ImageFont.load_default(size=self._font_size)
        left, top, right, bottom = map(int, font.getbbox(text))
        width = min(frame.width, right - left + 12) // 2 * 2
        height = min(frame.height, bottom - top + 10) // 2 * 2
        patch = Image.new("L", (width, height), _BLACK)
        ImageDraw.Draw(patch).text((6 - left, 5 - top), text, font=font, fill=_WHITE)
        _plane(frame, 0)[:height, :width] = np.asarray(patch)
        for number in (1, 2):
            _plane(frame, number)[: height // 2, : width // 2] = _NO_COLOUR


def _plane(frame: av.VideoFrame, number: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    plane = frame.planes[number]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
