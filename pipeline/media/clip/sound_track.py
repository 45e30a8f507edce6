"""The sound track of a clip: AAC, as long as the pictures, written beside them."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import TypeAlias

import av
import numpy as np
from av.container import OutputContainer

from pipeline.media.clip.sound import RATE_HZ, Samples
from pipeline.media.demux import AnyPacket

BLOCK = 1024
"""Samples of one packet; by so many, a decoder of AAC is late."""
_BITS_PER_S = 160_000

Mux: TypeAlias = Callable[[Sequence[AnyPacket]], None]


class SoundTrack:
    """A new stream of a file; the sum of samples follows the sum of times, so nothing drifts."""

    def __init__(
        self,
        container: OutputContainer,
        mux: Mux,
        blocks: Iterable[Samples],
        *,
        first_sample: int = 0,
    ) -> None:
        """Add the stream.

        Args:
            container: the file.
            mux: writes packets into it.
            blocks: the sound.
            first_sample: the place in the clip where the sound begins.
        """
        self._mux = mux
        self._stream = container.add_stream("aac", rate=RATE_HZ)
        self._stream.layout, self._stream.bit_rate = "stereo", _BITS_PER_S
        self._blocks = iter(blocks)
        self._rest: Samples = np.zeros((2, 0), np.float32)
        self._next_sample = first_sample

    def write_until(self, at_s: Fraction) -> None:
        """Write all whole blocks that begin before a time of the clip."""
        while self._next_sample < at_s * RATE_HZ:
            while self._rest.shape[1] < BLOCK:
                block = next(self._blocks, None)
                if block is None:
                    return
                self._rest = np.concatenate([self._rest, block], axis=1)
            self._write(self._rest[:, :BLOCK])
            self._rest = self._rest[:, BLOCK:]

    def end(self) -> None:
        """Write what is left."""
        if self._rest.shape[1]:
            self._write(self._rest)
        self._mux(self._stream.encode(None))

    def _write(self, block: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(block), format="fltp", layout="stereo"
        )
        frame.sample_rate, frame.pts = RATE_HZ, self._next_sample
        frame.time_base = Fraction(1, RATE_HZ)
        self._next_sample += block.shape[1]
        self._mux(self._stream.encode(frame))
