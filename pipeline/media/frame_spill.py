"""Keeps colour pictures in a temporary file until their GOP is complete."""

import os
import tempfile
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from pipeline.records import Colour


class RgbColour:
    """A colour picture that is already RGB; see ``records.Colour``."""

    def __init__(self, rgb: npt.NDArray[np.uint8]) -> None:
        self._rgb = rgb
        self.num_bytes = rgb.nbytes

    def rgb(self) -> npt.NDArray[np.uint8]:
        """Upright picture [H, W, 3]."""
        return self._rgb


class FrameSpill:
    """A file without a name: made at the first ``store``, deleted when it is closed."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._pictures: dict[int, tuple[int, tuple[int, ...]]] = {}

    def __contains__(self, pts: int) -> bool:
        """Whether the picture of this frame is in the file."""
        return pts in self._pictures

    def store(self, pts: int, colour: Colour) -> None:
        """Write the picture of a frame to the file."""
        if self._file is None:
            self._file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115
        rgb = colour.rgb()
        self._pictures[pts] = self._file.seek(0, os.SEEK_END), rgb.shape
        self._file.write(rgb.data)

    def take(self, pts: int) -> RgbColour:
        """Return and remove the picture of a frame; the last one closes the file."""
        if self._file is None:
            raise KeyError(pts)
        offset, shape = self._pictures.pop(pts)
        rgb = np.empty(shape, np.uint8)
        self._file.seek(offset)
        self._file.readinto(rgb.data)  # type: ignore[attr-defined]
        if not self._pictures:
            self.close()
        return RgbColour(rgb)

    def close(self) -> None:
        """Close and so delete the file, with the pictures that were not taken."""
        if self._file is not None:
            self._file.close()
        self._file = None
