"""Packets of one stream in decode order, the same way each time a file is read."""

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

    Containers without any clock (raw H.264) get a ``dts`` counted from the start of the file, so
    they can only be read from there. Stretches that cannot be read are skipped and counted.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.num_errors = 0
        self._container = container
        self._stream = stream

    def __iter__(self) -> Iterator[tuple[AnyPacket, int, int]]:
        """Read on from where the container stands."""
        failures = 0
        elapsed = 0
        clockless = True
        while failures < _MAX_FAILURES:
            try:
                for packet in self._container.demux(self._stream):
                    extend_limit()
                    if not packet.size:
                        continue
                    failures = 0
                    pts = NO_PTS if packet.pts is None else packet.pts
                    dts = NO_PTS if packet.dts is None else packet.dts
                    clockless = clockless and pts == dts == NO_PTS
                    yield packet, pts, elapsed if clockless else dts
                    elapsed += packet.duration or 1
            except IndexError:
                # PyAV knows no stream that appears after the file was opened; its packet is gone,
                # which is as well, and the next one can be read.
                continue
            except av.FFmpegError:
                failures += 1
                self.num_errors += 1
            else:
                return
