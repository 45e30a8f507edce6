"""Converts decoded frames to small upright pictures: grey for signals, RGB for models."""

import math
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.filter import Graph
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from PIL import Image

from pipeline.config import FrameConfig
from pipeline.records import Video

_GRID = 32
_MIN_LUMA = 16
_UNSPECIFIED = 2
_HD_WIDTH, _HD_HEIGHT = 1280, 576
WEBP_WIDTH = 320

# From limited range (16..235) to full range: black is 0 and white is 255 for every camera.
_FULL_RANGE = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)


def source_size(video: Video) -> tuple[int, int]:
    """Width and height of the upright source picture in its own pixels.

    The luma and RGB pictures show the whole source picture. So a box in one of them maps to the
    source by the ratio of the sizes, even if source pixels are not square.
    """
    if video.rotation in (90, 270):
        return video.height, video.width
    return video.width, video.height


def upright_sar(video: Video, sar: Fraction) -> Fraction:
    """The sample aspect ratio of the upright picture."""
    return 1 / sar if video.rotation in (90, 270) else sar


def target_size(width: int, height: int, sar: Fraction, max_pixels: int) -> tuple[int, int]:
    """Width and height for a model: multiples of 32 with at most ``max_pixels`` in all.

    A picture is never enlarged, except that a side below 32 becomes 32.

    Args:
        width: of the source in its own pixels.
        height: likewise.
        sar: width of a source pixel over its height.
        max_pixels: limit of the result.
    """
    shown_width, shown_height = float(width * sar), float(height)
    scale = min(1.0, math.sqrt(max_pixels / (shown_width * shown_height)))
    sides = [
        max(_GRID, min(round(side * scale / _GRID), int(side // _GRID)) * _GRID)
        for side in (shown_width, shown_height)
    ]
    while sides[0] * sides[1] > max_pixels and max(sides) > _GRID:
        over = [sides[0] / shown_width, sides[1] / shown_height]
        longest = int(over[1] > over[0] or sides[0] == _GRID) if sides[1] > _GRID else 0
        sides[longest] -= _GRID
    return sides[0], sides[1]


def luma_size(width: int, height: int, sar: Fraction, luma_width: int) -> tuple[int, int]:
    """Even width and height of the grey picture: the displayed aspect ratio, never enlarged."""
    small_width = max(_MIN_LUMA, min(luma_width, int(width * sar)) // 2 * 2)
    small_height = max(_MIN_LUMA, round(small_width * height / float(width * sar) / 2) * 2)
    return small_width, small_height


class Converter:
    """Makes small upright pictures of one video, all of one size even if the stream's changes."""

    def __init__(self, video: Video, *, sar: Fraction, frame: FrameConfig, rgb: bool) -> None:
        width, height = source_size(video)
        self._turns = video.rotation // 90
        sar = upright_sar(video, sar)
        self._luma_size = luma_size(width, height, sar, frame.luma_width)
        self._rgb_size = target_size(width, height, sar, frame.rgb_max_pixels) if rgb else None
        self._scalers: dict[tuple[int, int, str], _Scalers] = {}

    def luma(self, frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
        """Grey picture [h, w]; 0 is black and 255 is white."""
        small = self._scalers_for(frame).scale_luma(frame, self._unrotated(self._luma_size))
        plane = small.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        return _upright(_FULL_RANGE[rows[:, : plane.width]], self._turns)

    def colour(self, frame: av.VideoFrame) -> "SmallColour | None":
        """Colour picture; None unless the converter was made with ``rgb``."""
        if self._rgb_size is None:
            return None
        scalers = self._scalers_for(frame)
        small, matrix = scalers.scale_colour(frame, self._unrotated(self._rgb_size))
        return SmallColour(small, scalers.colour, matrix, self._turns)

    def _unrotated(self, size: tuple[int, int]) -> tuple[int, int]:
        return size[::-1] if self._turns % 2 else size

    def _scalers_for(self, frame: av.VideoFrame) -> "_Scalers":
        key = (frame.width, frame.height, frame.format.name)
        if key not in self._scalers:
            if len(self._scalers) > 8:  # noqa: PLR2004 - a stream that changes all the time
                self._scalers.clear()
            self._scalers[key] = _Scalers()
        return self._scalers[key]


class SmallColour:
    """A scaled colour picture that is not yet RGB; see ``records.Colour``."""

    def __init__(
        self, small: av.VideoFrame, to_rgb: VideoReformatter, matrix: Colorspace | None, turns: int
    ) -> None:
        self._small, self._to_rgb, self._matrix, self._turns = small, to_rgb, matrix, turns
        self.num_bytes = small.width * small.height * 3

    def rgb(self) -> npt.NDArray[np.uint8]:
        """Colour picture [H, W, 3]."""
        rgb = self._to_rgb.reformat(
            self._small, format="rgb24", src_colorspace=self._matrix, threads=1
        )
        return _upright(np.asarray(rgb.to_ndarray(), dtype=np.uint8), self._turns)


def _upright(picture: npt.NDArray[np.uint8], turns: int) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(np.rot90(picture, turns))


class _Scalers:
    """One swscale context per conversion, because a context is fast only while sizes stay."""

    def __init__(self) -> None:
        self.colour = VideoReformatter()
        self._luma = VideoReformatter()
        self._area = VideoReformatter()
        self._field: Graph | None = None

    def scale_luma(self, frame: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
        return _area(self._luma, self._one_field(frame), size, "yuv420p", assumed_matrix(frame))

    def scale_colour(
        self, frame: av.VideoFrame, size: tuple[int, int]
    ) -> tuple[av.VideoFrame, Colorspace | None]:
        # Scaling in 4:4:4 first is faster than scaling to RGB, and keeps the chroma.
        matrix = assumed_matrix(frame)
        return _area(self._area, self._one_field(frame), size, "yuv444p", matrix), matrix

    def _one_field(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The picture of one instant: the upper field if the frame is interlaced.

        The lower field is half a frame earlier or later, so both together show combs on motion.
        """
        if not frame.interlaced_frame:
            return frame
        if self._field is None:
            self._field = Graph()
            source = self._field.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=Fraction(1, 1000),
            )
            upper, sink = self._field.add("field", "type=top"), self._field.add("buffersink")
            source.link_to(upper)
            upper.link_to(sink)
            self._field.configure()
        self._field.push(frame)
        return cast("av.VideoFrame", self._field.pull())


def _area(
    scaler: VideoReformatter,
    frame: av.VideoFrame,
    size: tuple[int, int],
    pixels: str,
    matrix: Colorspace | None,
) -> av.VideoFrame:
    return scaler.reformat(
        frame,
        *size,
        pixels,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.AREA,
        threads=1,
    )


def assumed_matrix(frame: av.VideoFrame) -> Colorspace | None:
    """The colour matrix to assume if the frame names none: by its size, as players do."""
    if frame.colorspace != _UNSPECIFIED:
        return None
    if frame.format.is_rgb:
        return Colorspace.ITU601
    is_hd = frame.width >= _HD_WIDTH or frame.height > _HD_HEIGHT
    return Colorspace.ITU709 if is_hd else Colorspace.ITU601


def small_webp(rgb: npt.NDArray[np.uint8], video: Video, max_width: int = WEBP_WIDTH) -> bytes:
    """One colour picture [H, W, 3] of a video, at most so many pixels wide, as it is shown."""
    width, height = source_size(video)
    shown_width = float(width * upright_sar(video, video.sar))
    small_width = max(1, min(max_width, round(shown_width)))
    small_height = max(1, round(small_width * height / shown_width))
    size = small_width, small_height
    return webp_of(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))


def webp_of(picture: Image.Image) -> bytes:
    """A picture as evidence is kept."""
    out = BytesIO()
    picture.save(out, "WEBP", quality=70, method=2)
    return out.getvalue()


def save_jpeg(rgb: npt.NDArray[np.uint8], path: Path, quality: int = 90) -> None:
    """Write one colour picture [H, W, 3]."""
    Image.fromarray(rgb).save(path, "JPEG", quality=quality)
