"""Reads exactly the packets that a plan names, and refuses a file that has changed."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Self

import av
from av.video.stream import VideoStream

from pipeline.errors import SourceError
from pipeline.media.codec import Decoder
from pipeline.media.container import open_container, use_stream
from pipeline.media.demux import AnyPacket, Demuxer
from pipeline.records import NO_PTS, PacketIndex, Video
from pipeline.storage.access import PUBLIC, Access, is_remote, local_path
from pipeline.storage.retry import retried

# To read and discard this many packets costs less than a seek.
_MAX_READ_AHEAD_PACKETS = 400
_SEEK_BACK_S = (0, 2, 4, 8)


class Reader:
    """Yields packets by their row in a slice of the packet index.

    In many containers a seek by time lands after the wanted packet. So the reader compares packets
    with the index until it finds the wanted one: first after a seek, then after seeks to earlier
    times, finally from the start of the file.
    """

    def __init__(
        self,
        video: Video,
        packets: PacketIndex,
        max_pixels: int,
        *,
        strict: bool = True,
        access: Access = PUBLIC,
    ) -> None:
        self._video = video
        self._packets = packets
        self._max_pixels = max_pixels
        self._access = access
        self._stack = ExitStack()
        self._reopened = self._stack.enter_context(ExitStack())
        self._position: int | None = None
        self._from_start = False
        self._pending: AnyPacket | None = None
        _check_unchanged(video)
        self._open(self._stack)
        self.decoder = Decoder(self._stream.codec_context, max_pixels, strict=strict)
        """The decoder stays when the file is reopened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def rows(self, first: int, last: int) -> Iterator[tuple[int, AnyPacket]]:
        """The packets ``first`` to ``last`` (inclusive), in decode order.

        Raises:
            SourceError: the file differs from its index.
        """
        if self._position is None or not 0 <= first - self._position <= _MAX_READ_AHEAD_PACKETS:
            self._go_to(first)
        while (row := self._position or 0) <= last:
            packet = self._take()
            if packet is None or not self._is_row(packet, row):
                if self._from_start:
                    raise SourceError(
                        f"{self._video.uri}: has changed since it was probed; run again when it is"
                        " complete"
                    )
                self._restart(row)
                continue
            self._position = row + 1
            if row >= first:
                pts = int(self._packets.pts[row])
                packet.pts = None if pts == NO_PTS else pts
                yield row, packet

    def _take(self) -> AnyPacket | None:
        packet, self._pending = self._pending, None
        if packet is None:
            packet = next(self._source, None)
        return packet

    def _open(self, stack: ExitStack) -> None:
        container = stack.enter_context(
            open_container(
                self._video.uri,
                num_bytes=self._video.num_bytes,
                max_pixels=self._max_pixels,
                access=self._access,
            )
        )
        if len(container.streams) <= self._video.stream_index:
            raise SourceError(f"{self._video.uri}: has changed since it was probed; run again")
        self._container = container
        self._stream: VideoStream = use_stream(container, self._video.stream_index)
        self._source = self._read()

    def _read(self) -> Iterator[AnyPacket]:
        for packet, pts, dts in Demuxer(self._container, self._stream):
            self._times = pts, dts
            yield packet

    def _go_to(self, row: int) -> None:
        """Move before packet ``row`` by the cheapest way that the packet index confirms."""
        dts, pts = int(self._packets.dts[row]), int(self._packets.pts[row])
        target = dts if dts != NO_PTS else pts
        for back_s in _SEEK_BACK_S:
            if target == NO_PTS:
                break
            try:
                self._container.seek(
                    target - int(back_s / self._video.time_base), stream=self._stream
                )
            except av.FFmpegError:
                continue
            self._source = self._read()
            self._from_start = False
            if self._find(row):
                return
        self._restart(row)

    def _restart(self, row: int) -> None:
        """Reopen the file and read up to packet ``row`` from its start."""
        self._reopened.close()
        self._open(self._reopened)
        self._from_start = True
        if not self._find(row):
            raise SourceError(
                f"{self._video.uri}: has changed since it was probed; run again when it is complete"
            )

    def _find(self, row: int) -> bool:
        """Read up to packet ``row``; False if it does not come or was already passed."""
        for packet in self._source:
            if not self._from_start and packet.pts is None and packet.dts is None:
                return False  # times counted from the start mean nothing after a seek
            if self._is_row(packet, row):
                self._pending, self._position = packet, row
                return True
            if not self._from_start and self._is_behind(packet, row):
                return False
        return False

    def _is_row(self, packet: AnyPacket, row: int) -> bool:
        """Compare one of pts and dts, because some demuxers lose the other one after a seek."""
        if packet.size != self._packets.num_bytes[row]:
            return False
        pts, dts = self._times
        return bool(
            (pts != NO_PTS and pts == self._packets.pts[row])
            or (dts != NO_PTS and dts == self._packets.dts[row])
        )

    def _is_behind(self, packet: AnyPacket, row: int) -> bool:
        if packet.dts is not None and self._packets.dts[row] != NO_PTS:
            return bool(packet.dts > self._packets.dts[row])
        return packet.pts is not None and bool(packet.pts > self._packets.pts[row])


def _check_unchanged(video: Video) -> None:
    if is_remote(video.uri):
        return
    try:
        message = f"{video.uri}: cannot be read any more"
        num_bytes = retried(partial(os.stat, local_path(video.uri)), message).st_size
    except OSError as exc:
        raise SourceError(
            f"{video.uri}: cannot be read any more ({exc.strerror}); was it moved?"
        ) from exc
    if video.num_bytes and num_bytes != video.num_bytes:
        raise SourceError(
            f"{video.uri}: has changed since it was listed ({video.num_bytes} bytes then,"
            f" {num_bytes} now); run again when the recording is complete"
        )
