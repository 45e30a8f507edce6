"""The file that a clip is written into, and its sound track."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from pipeline.errors import ConfigError
from pipeline.media.clip.pieces import Piece
from pipeline.media.clip.sound import RATE_HZ, Samples, samples
from pipeline.media.container import open_container, use_stream
from pipeline.media.demux import AnyPacket
from pipeline.storage.access import Access
from pipeline.storage.retry import oneline
from pipeline.storage.targets import refused

SUFFIXES = (".mp4", ".mkv")
_BLOCK = 1024
_BITS_PER_S = 160_000


class Output:
    """An open file; whatever it refuses is a ``TargetError``."""

    def __init__(self, path: Path, container: OutputContainer) -> None:
        self.container = container
        self._path = path

    def mux(self, packets: AnyPacket | Sequence[AnyPacket]) -> None:
        """Write packets; the container puts those of several streams in order."""
        with _refusals(self._path):
            self.container.mux(packets)

    def same_stream(self, piece: Piece, access: Access) -> VideoStream:
        """A new stream for packets that are copied from this file."""
        video = piece.stretch.video
        with open_container(video.uri, num_bytes=video.num_bytes, access=access) as source:
            template = use_stream(source, video.stream_index)
            try:
                stream = self.container.add_stream_from_template(template)
            except (av.FFmpegError, ValueError) as exc:
                raise ConfigError(
                    f"{video.uri}: {video.codec} cannot be copied into {self._path.suffix}"
                    f" ({oneline(exc)}); leave out --copy, or name a file that ends with .mkv"
                ) from exc
        return stream


@contextmanager
def new_file(path: Path) -> Iterator[Output]:
    """A new file; it is complete when the block is left without an exception.

    Raises:
        TargetError: it cannot be written.
    """
    options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
    with _refusals(path):
        container = av.open(str(path), "w", options=options)
    try:
        yield Output(path, container)
    except BaseException:
        with suppress(av.FFmpegError):
            container.close()
        raise
    with _refusals(path):
        container.close()


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, OSError) as exc:
        raise refused(str(path), exc) from exc


class SoundTrack:
    """The sound of all pieces; the sum of samples follows the sum of times, so nothing drifts."""

    def __init__(self, output: Output, pieces: Sequence[Piece], access: Access) -> None:
        self._output = output
        self._stream = output.container.add_stream("aac", rate=RATE_HZ)
        self._stream.layout, self._stream.bit_rate = "stereo", _BITS_PER_S
        self._blocks = chain.from_iterable(_of_pieces(pieces, access))
        self._rest: Samples = np.zeros((2, 0), np.float32)
        self._num_written = 0

    def write_until(self, at_s: Fraction) -> None:
        """Write all whole blocks that begin before a time of the clip."""
        while self._num_written < at_s * RATE_HZ:
            while self._rest.shape[1] < _BLOCK:
                block = next(self._blocks, None)
                if block is None:
                    return
                self._rest = np.concatenate([self._rest, block], axis=1)
            self._write(self._rest[:, :_BLOCK])
            self._rest = self._rest[:, _BLOCK:]

    def end(self) -> None:
        """Write what is left."""
        if self._rest.shape[1]:
            self._write(self._rest)
        self._output.mux(self._stream.encode(None))

    def _write(self, block: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(block), format="fltp", layout="stereo"
        )
        frame.sample_rate, frame.pts = RATE_HZ, self._num_written
        frame.time_base = Fraction(1, RATE_HZ)
        self._num_written += block.shape[1]
        self._output.mux(self._stream.encode(frame))


def _of_pieces(pieces: Sequence[Piece], access: Access) -> Iterator[Iterator[Samples]]:
    for piece in pieces:
        begin, end = (round(at_s * RATE_HZ) for at_s in (piece.at_s, piece.end_s))
        yield samples(piece.stretch, piece.media, end - begin, access)
