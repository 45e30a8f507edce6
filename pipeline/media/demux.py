"""Reads the packets of one stream in decode order, in the same way each time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.processes.watchdog import extend_limit
from pipeline.records import NO_PTS

if TYPE_CHECKING:
    AnyPacket: TypeAlias = Packet[Any]
else:
    AnyPacket = Packet  # generic in the stubs only

_MAX_FAILURES = 100


class Demuxer:
    """Iterates over ``(packet, pts, dts)``; missing timestamps are ``NO_PTS``.

    Containers without timestamps (raw H.264) get a ``dts`` that counts from the start of the file,
    so they can only be read from there. Ranges that cannot be read are skipped and counted.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.num_errors = 0
        self.num_counted = 0
        """Packets at the start whose ``dts`` was counted: all, if the container has no times."""
        self._container = container
        self._stream = stream

    def __iter__(self) -> Iterator[tuple[AnyPacket, int, int]]:
        """Read from the current position of the container."""
        failures = 0
        elapsed = 0
        has_no_times = True
        while failures < _MAX_FAILURES:
            try:
                for packet in self._container.demux(self._stream):
                    extend_limit()
                    if not packet.size:
                        continue
                    failures = 0
                    pts = NO_PTS if packet.pts is None else packet.pts
                    dts = NO_PTS if packet.dts is None else packet.dts
                    has_no_times = has_no_times and pts == dts == NO_PTS
                    self.num_counted += has_no_times
                    yield packet, pts, elapsed if has_no_times else dts
                    elapsed += packet.duration or 1
            except IndexError:
                # PyAV raises this for a packet of a stream that appeared after the file was opened.
                # That packet is not needed, and the next one can be read.
                continue
            except av.FFmpegError:
                failures += 1
                self.num_errors += 1
            else:
                return
