"""Reads exactly the packets that a plan names, and refuses a file that has changed."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Self, TypeAlias

import av
import numpy as np
from av.video.stream import VideoStream

from pipeline.errors import SourceError
from pipeline.media.clock_jumps import clock_period
from pipeline.media.codec import Decoder
from pipeline.media.container import open_container, use_stream
from pipeline.media.demux import AnyPacket, Demuxer
from pipeline.records import NO_PTS, PacketIndex, Video
from pipeline.storage.access import PUBLIC, Access, check, is_remote, local_path
from pipeline.storage.retry import retried

# To read and discard this many packets costs less than a seek.
_MAX_READ_AHEAD_PACKETS = 400
_SEEK_BACK_S = (0, 2, 4, 8)
_SEEK_BACK_BYTES = (0, 2**18, 2**22)
# In a row, more packets without a time than any format puts behind one time.
_MAX_WITHOUT_TIME = 400


_Read: TypeAlias = tuple[AnyPacket, int, int]
"""A packet with its pts and dts in the file."""


class Reader:
    """Yields packets by their row in a slice of the packet index.

    In many containers a seek by time lands after the wanted packet. So the reader compares packets
    with the index until it finds the wanted one: first after a seek, then after seeks to earlier
    places. Finally it counts packets from the start of the file.
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
        self._pending: deque[_Read] = deque()
        check(video.uri, access)
        _check_unchanged(video)
        self._open(self._stack)
        self.stream: VideoStream = self._stream
        """As it was when the file was opened first."""
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
            read = self._take()
            if read is None or not self._agrees(read, row):
                if self._from_start:
                    raise SourceError(
                        f"{self._video.uri}: has changed since it was probed; run again when it is"
                        " complete"
                    )
                self._restart(row)
                continue
            self._position = row + 1
            if row >= first:
                packet, pts = read[0], int(self._packets.pts[row])
                if packet.is_discard and not self._packets.discard[row]:
                    packet = _shown(packet)
                packet.pts = None if pts == NO_PTS else pts
                yield row, packet

    def _take(self) -> "_Read | None":
        return self._pending.popleft() if self._pending else next(self._source, None)

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
        self._period = clock_period(container.format.name)
        self._source = iter(Demuxer(container, self._stream))

    def _go_to(self, row: int) -> None:
        """Move before packet ``row`` by the cheapest way that the packet index confirms."""
        for seek in self._seeks(row):
            try:
                seek()
            except av.FFmpegError:
                continue
            self._source = iter(Demuxer(self._container, self._stream))
            self._pending.clear()
            self._from_start = False
            if self._find(row):
                return
        self._restart(row)

    def _seeks(self, row: int) -> Iterator[Callable[[], None]]:
        """Ways to move before packet ``row``: by its place in the file if the index knows it."""
        if len(self._packets.offsets):
            offset = self._offset(row)
            for back in _SEEK_BACK_BYTES:
                if offset >= 0:
                    yield partial(
                        self._container.seek, max(0, offset - back), unsupported_byte_offset=True
                    )
            return
        dts, pts = int(self._packets.dts[row]), int(self._packets.pts[row])
        target = dts if dts != NO_PTS else pts
        for back_s in _SEEK_BACK_S:
            if target != NO_PTS:
                back = self._shift(row) + int(back_s / self._video.time_base)
                yield partial(self._container.seek, target - back, stream=self._stream)

    def _offset(self, row: int) -> int:
        """Where the packet begins, or else the last one before it of which that is known."""
        known = np.flatnonzero(self._packets.offsets[: row + 1] >= 0)
        return int(self._packets.offsets[known[-1]]) if len(known) else -1

    def _restart(self, row: int) -> None:
        """Reopen the file and count up to packet ``row`` from its start."""
        self._reopened.close()
        self._open(self._reopened)
        self._pending.clear()
        self._from_start = True
        for _ in range(self._packets.first_row + row):
            next(self._source, None)
        self._position = row

    def _find(self, row: int) -> bool:
        """Read up to packet ``row``; False if it does not come or was already passed.

        A packet without a time of its own is known by the next one that has one, and by the sizes
        of those between.
        """
        ahead = self._rows_to_next_time(row)
        recent: deque[_Read] = deque(maxlen=ahead)
        num_without_time = 0
        for packet, pts, dts in self._source:
            # Times that are counted from where a seek ended mean nothing.
            read = packet, pts, NO_PTS if packet.dts is None else dts
            if packet.pts is None and packet.dts is None:
                num_without_time += 1
                if num_without_time > _MAX_WITHOUT_TIME or not self._times_of(row + ahead):
                    return False
            elif self._is_at(read, row + ahead) and self._precede(recent, row):
                self._pending.extend([*recent, read])
                self._position = row
                return True
            elif self._is_behind(packet, row + ahead):
                return False
            else:
                num_without_time = 0
            recent.append(read)
        return False

    def _rows_to_next_time(self, row: int) -> int:
        timed = np.flatnonzero(self._packets.dts[row : row + _MAX_WITHOUT_TIME] != NO_PTS)
        return int(timed[0]) if len(timed) else 0

    def _precede(self, recent: "deque[_Read]", row: int) -> bool:
        """Whether these packets are those from ``row`` on."""
        sizes = [packet.size for packet, _, _ in recent]
        return len(sizes) == recent.maxlen and sizes == (
            self._packets.num_bytes[row : row + len(sizes)].tolist()
        )

    def _agrees(self, read: "_Read", row: int) -> bool:
        """Whether this may be the packet that follows the one before ``row``."""
        packet, pts, dts = read
        known = [
            time
            for time, indexed in ((pts, self._packets.pts[row]), (dts, self._packets.dts[row]))
            if NO_PTS not in (time, indexed)
        ]
        if known:
            return self._is_at(read, row)
        return bool(packet.size == self._packets.num_bytes[row])

    def _is_at(self, read: "_Read", row: int) -> bool:
        """Compare one of pts and dts, because some demuxers lose the other one after a seek."""
        packet, pts, dts = read
        if packet.size != self._packets.num_bytes[row]:
            return False
        return any(
            NO_PTS not in (time, indexed) and self._is_same_time(time, int(indexed), row)
            for time, indexed in ((pts, self._packets.pts[row]), (dts, self._packets.dts[row]))
        )

    def _is_same_time(self, time: int, indexed: int, row: int) -> bool:
        off = time + self._shift(row) - indexed
        if self._period is None or not len(self._packets.shifts):
            return off == 0
        return off % self._period == 0

    def _times_of(self, row: int) -> bool:
        return bool(self._packets.dts[row] != NO_PTS or self._packets.pts[row] != NO_PTS)

    def _is_behind(self, packet: AnyPacket, row: int) -> bool:
        if len(self._packets.offsets):
            later = self._packets.offsets[row + 1 :]
            following = later[later >= 0][:1]
            return packet.pos is not None and bool((following <= packet.pos).any())
        shift = self._shift(row)
        if packet.dts is not None and self._packets.dts[row] != NO_PTS:
            return packet.dts + shift > int(self._packets.dts[row])
        return packet.pts is not None and packet.pts + shift > int(self._packets.pts[row])

    def _shift(self, row: int) -> int:
        return int(self._packets.shifts[row]) if len(self._packets.shifts) else 0


def _shown(packet: AnyPacket) -> AnyPacket:
    """A copy without the mark by which the decoder would drop its picture."""
    copy = AnyPacket(bytes(packet))
    copy.dts, copy.time_base, copy.duration = packet.dts, packet.time_base, packet.duration
    copy.stream, copy.is_keyframe = packet.stream, packet.is_keyframe
    return copy


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
