"""The file that a clip is written into."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from pipeline.errors import ConfigError
from pipeline.media.clip.pieces import Piece
from pipeline.media.container import open_container, use_stream
from pipeline.media.demux import AnyPacket
from pipeline.storage.access import Access
from pipeline.storage.retry import oneline
from pipeline.storage.targets import refused

SUFFIXES = (".mp4", ".mkv")


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
