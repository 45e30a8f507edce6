"""Colour pictures that wait in a temporary file until it is known whether their GOP is whole."""

import os
import tempfile
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from pipeline.records import Colour


class RgbColour:
    """A colour picture that is RGB already; see ``records.Colour``."""

    def __init__(self, rgb: npt.NDArray[np.uint8]) -> None:
        self._rgb = rgb
        self.num_bytes = rgb.nbytes

    def rgb(self) -> npt.NDArray[np.uint8]:
        """Upright picture [H, W, 3]."""
        return self._rgb


class FrameSpill:
    """A file without a name, made when it is first needed, that ends with the process."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._places: dict[int, tuple[int, tuple[int, ...]]] = {}

    def __contains__(self, pts: int) -> bool:
        """Whether the picture of this frame is here."""
        return pts in self._places

    def store(self, pts: int, colour: Colour) -> None:
        """Keep the picture of a frame."""
        if self._file is None:
            self._file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115
        rgb = colour.rgb()
        self._places[pts] = self._file.seek(0, os.SEEK_END), rgb.shape
        self._file.write(rgb.data)

    def take(self, pts: int) -> RgbColour:
        """Give the picture of a frame back; the file goes with the last one."""
        if self._file is None:
            raise KeyError(pts)
        place, shape = self._places.pop(pts)
        rgb = np.empty(shape, np.uint8)
        self._file.seek(place)
        self._file.readinto(rgb.data)  # type: ignore[attr-defined]
        if not self._places:
            self.close()
        return RgbColour(rgb)

    def close(self) -> None:
        """Remove the file, with the pictures that nobody has taken."""
        if self._file is not None:
            self._file.close()
        self._file = None
