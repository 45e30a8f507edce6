"""Decodes the wanted frames of one packet range, bit-exact, each with its own pts."""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise

import av
import numpy as np

from pipeline.config import DecodeConfig, FrameConfig
from pipeline.media.demux import AnyPacket
from pipeline.media.pixels import Converter
from pipeline.media.reader import Reader
from pipeline.media.reorder_buffer import ReorderBuffer
from pipeline.records import LEAD_IN_KEYFRAMES, NO_PTS, Frame, PacketIndex, Video
from pipeline.storage.access import PUBLIC, Access

# More packets than any decoder delays before it outputs a frame.
_MAX_DELAY = 33
# After strict decoders have failed on this many GOPs, the stream is unusual and not damaged.
_MAX_LENIENT = 3


def decode_frames(
    video: Video,
    packets: PacketIndex,
    want_pts: Sequence[int],
    *,
    frame: FrameConfig,
    rgb: bool,
    rgb_pts: Collection[int] | None = None,
    max_pixels: int = DecodeConfig().max_pixels,
    access: Access = PUBLIC,
) -> Iterator[Frame]:
    """Decode the frames at ``want_pts``, ascending; omit those that cannot be decoded.

    If the decoder does not output a wanted frame, its GOP is decoded again, without any skipping,
    from up to three keyframes earlier. If that fails too, the frame is omitted. A neighbour never
    replaces it. Damage makes the whole GOP suspect, so frames wait until their GOP is complete (see
    ``ReorderBuffer``).

    Args:
        video: as probed.
        packets: any slice of the packet index in decode order that begins at a keyframe (or at the
            start) and holds the packets of all wanted frames; earlier keyframes serve as lead-in.
        want_pts: pts of shown frames in this slice.
        frame: sizes of the pictures.
        rgb: whether to make colour pictures too.
        rgb_pts: of which frames; None means of all.
        max_pixels: limit for one picture; a stream may change to larger pictures after the probe.
        access: what may be opened.

    Raises:
        SourceError: the file cannot be read, or it has changed since the probe.
        UnreachableError: the medium does not answer; omitted frames may exist.
    """
    wanted = frozenset(int(pts) for pts in want_pts)
    gops = _gops(packets, wanted)
    if not any(gop.wanted for gop in gops):
        return
    buffer = ReorderBuffer([gop.wanted for gop in gops])
    open_reader = partial(Reader, video, packets, max_pixels, access=access)
    with open_reader() as reader, closing(buffer):
        yield from _Session(
            video,
            packets,
            gops,
            reader,
            buffer,
            open_reader=open_reader,
            frame=frame,
            rgb=rgb,
            rgb_pts=rgb_pts,
        ).frames()


@dataclass(slots=True)
class _Gop:
    """The packets from one keyframe to the next."""

    first: int
    last: int
    wanted: frozenset[int]
    """Pts of the wanted frames whose last packet is in this GOP."""
    last_wanted: int
    """Row of the last packet that must be decoded; less than ``first`` if there is none."""
    leading: bool
    """Whether a wanted frame is shown before the keyframe, so that the GOP before is needed."""


def _gops(packets: PacketIndex, wanted: frozenset[int]) -> list[_Gop]:
    starts = np.flatnonzero(packets.keyframe).tolist()
    if not starts or starts[0] != 0:
        starts.insert(0, 0)
    rows_wanted = np.isin(packets.pts, np.fromiter(wanted, np.int64, len(wanted)))
    rows_wanted &= packets.pts != NO_PTS
    row_of = {int(packets.pts[row]): int(row) for row in np.flatnonzero(rows_wanted)}
    gops = []
    for first, end in pairwise([*starts, len(packets)]):
        rows = first + np.flatnonzero(rows_wanted[first:end])
        ticks = packets.pts[rows].tolist()
        gops.append(
            _Gop(
                first=first,
                last=end - 1,
                wanted=frozenset(
                    pts for pts, row in zip(ticks, rows.tolist(), strict=True) if row_of[pts] == row
                ),
                last_wanted=int(rows[-1]) if len(rows) else first - 1,
                leading=any(pts < packets.pts[first] for pts in ticks),
            )
        )
    for former, gop in pairwise(gops):
        if gop.leading:
            former.last_wanted = former.last
    return gops


@dataclass(slots=True)
class _Pass:
    """One range of packets that is decoded without a flush."""

    reader: Reader
    skip: bool
    """Whether to skip unwanted frames that no other frame refers to."""
    first: int
    """Row of the first packet."""
    begin: int
    """The first GOP whose frames are used; earlier GOPs are lead-in."""


class _Session:
    def __init__(
        self,
        video: Video,
        packets: PacketIndex,
        gops: list[_Gop],
        reader: Reader,
        buffer: ReorderBuffer,
        *,
        open_reader: partial[Reader],
        frame: FrameConfig,
        rgb: bool,
        rgb_pts: Collection[int] | None,
    ) -> None:
        self._video = video
        self._rgb_pts = rgb_pts
        self._packets = packets
        self._gops = gops
        self._reader = reader
        self._open_reader = open_reader
        self._pixels = Converter(video, sar=video.sar, frame=frame, rgb=rgb)
        self._starts = [gop.first for gop in gops]
        self._rows_by_pts = np.argsort(packets.pts, kind="stable")
        self._buffer = buffer
        # If packets have no pts, nobody knows which frame a packet shows, so none may be skipped.
        self._may_skip = not bool(np.any((packets.pts == NO_PTS) & ~packets.discard))
        self._never_flush = False
        self._num_lenient = 0

    def frames(self) -> Iterator[Frame]:
        """All wanted frames, ascending."""
        number = 0
        while number < len(self._gops):
            if self._gops[number].last_wanted < self._gops[number].first:
                self._buffer.close_gop(number)
                number += 1
                continue
            end = self._end_of_pass(number)
            yield from self._run(number, end)
            number = end + 1
        yield from self._buffer.release()

    def _end_of_pass(self, number: int) -> int:
        """The last GOP that can be decoded after this one without a flush."""
        while number + 1 < len(self._gops):
            gop, following = self._gops[number], self._gops[number + 1]
            joined = self._never_flush or gop.last_wanted == gop.last
            if not joined or following.last_wanted < following.first:
                break
            number += 1
        return number

    def _run(self, begin: int, end: int) -> Iterator[Frame]:
        """Decode GOPs ``begin`` to ``end`` and yield the frames of complete GOPs."""
        first = self._gops[max(0, begin - LEAD_IN_KEYFRAMES) if self._never_flush else begin].first
        skip = self._may_skip and not self._never_flush
        work = _Pass(self._reader, skip=skip, first=first, begin=begin)
        unfinished = begin
        self._reader.decoder.flush()
        for row, packet in self._reader.rows(first, self._gops[end].last_wanted):
            self._decode(work, row, packet)
            while unfinished < end and row > self._gops[unfinished].last + _MAX_DELAY:
                self._finish(unfinished, work)
                unfinished += 1
            yield from self._buffer.release()
        self._decode(work, self._gops[end].last_wanted, None)
        for number in range(unfinished, end + 1):
            self._finish(number, work)
            yield from self._buffer.release()

    def _decode(self, work: _Pass, row: int, packet: AnyPacket | None) -> None:
        for gop, picture in self._pictures(work, row, packet):
            if gop < work.begin:
                continue
            frame = self._small(picture) if picture is not None else None
            if frame is not None:
                self._buffer.put(frame)
            elif picture is None or self._buffer.wants(picture.pts):
                self._buffer.mark_damaged(gop)

    def _pictures(
        self, work: _Pass, row: int, packet: AnyPacket | None
    ) -> Iterator[tuple[int, av.VideoFrame | None]]:
        """The pictures that one packet outputs, each with its GOP; None stands for damage."""
        pts = int(self._packets.pts[row])
        if packet is not None and self._is_undecodable(work, row, pts):
            return
        may_skip = work.skip and not self._buffer.wants(pts)
        pictures, is_damaged = work.reader.decoder.decode(packet, may_skip=may_skip)
        for picture in pictures:
            picture_row = self._row_of(picture.pts)
            if picture_row is not None:
                gop = self._gop_of(picture_row)
                if picture.is_corrupt:
                    yield gop, None
                yield gop, picture
        if is_damaged:
            yield self._gop_of(row), None

    def _is_undecodable(self, work: _Pass, row: int, pts: int) -> bool:
        """Whether it is an unwanted leading picture of the keyframe at which decoding began."""
        return (
            work.first < row <= self._gops[self._gop_of(work.first)].last
            and bool(self._packets.keyframe[work.first])
            and NO_PTS < pts < self._packets.pts[work.first]
            and not self._buffer.wants(pts)
        )

    def _small(self, picture: av.VideoFrame) -> Frame | None:
        """The record of a wanted frame; None if it is unwanted or cannot be converted."""
        if not self._buffer.wants(picture.pts):
            return None
        try:
            is_coloured = self._rgb_pts is None or picture.pts in self._rgb_pts
            luma = self._pixels.luma(picture)
            colour = self._pixels.colour(picture) if is_coloured else None
        except av.FFmpegError:
            return None
        return Frame(
            pts=int(picture.pts or 0),
            keyframe=picture.key_frame,
            suspect=False,
            luma=luma,
            colour=colour,
        )

    def _finish(self, number: int, work: _Pass) -> None:
        """Close a GOP whose packets are all decoded; first decode it again if it is incomplete."""
        entered_here = self._gop_of(work.first) == number
        if self._buffer.missing(number) or (entered_here and self._buffer.is_damaged(number)):
            self._retry(number, work)
        if self._buffer.missing(number):
            self._buffer.mark_damaged(number)
        self._buffer.close_gop(number)
        following = number + 1
        if following < len(self._gops) and self._gops[following].leading:
            # The leading pictures of the next GOP were predicted from this one.
            self._buffer.inherit_damage(
                following, number, int(self._packets.pts[self._starts[following]])
            )

    def _retry(self, number: int, work: _Pass) -> None:
        """Decode a GOP again, without skipping, from zero to three keyframes earlier.

        Keyframes of intra-refresh streams, and packets that are wrongly flagged as keyframes, need
        the packets before them.
        """
        last = self._gops[number].last_wanted
        for first, strict in self._attempts(number, work):
            frames: dict[int, Frame] = {}
            damaged = not strict
            with self._open_reader(strict=strict) as reader:
                retry = _Pass(reader, skip=False, first=first, begin=number)
                for row, packet in chain(reader.rows(first, last), [(last, None)]):
                    for gop, picture in self._pictures(retry, row, packet):
                        if gop != number:
                            continue
                        frame = self._small(picture) if picture is not None else None
                        if frame is not None:
                            frames[frame.pts] = frame
                        damaged = damaged or picture is None
            missing = self._buffer.missing(number)
            if damaged or missing - frames.keys():
                for pts in missing & frames.keys():
                    self._buffer.put(frames[pts])
                continue
            for frame in frames.values():
                self._buffer.put(frame)
            self._buffer.clear_damage(number)
            self._never_flush = self._never_flush or first < work.first
            return

    def _attempts(self, number: int, work: _Pass) -> Iterator[tuple[int, bool]]:
        """The first row of each further attempt, and whether its decoder is strict."""
        for back in range(min(LEAD_IN_KEYFRAMES, number) + 1):
            if self._num_lenient >= _MAX_LENIENT:
                break
            first = self._starts[number - back]
            if first < work.first or (work.skip and self._buffer.missing(number)):
                yield first, True
        if self._reader.decoder.is_strict and self._buffer.missing(number):
            self._num_lenient += 1
            self._buffer.mark_damaged(number)
            yield self._starts[max(0, number - self._gops[number].leading)], False

    def _row_of(self, pts: int | None) -> int | None:
        """Row of the last packet with this pts."""
        if pts is None:
            return None
        ordered = self._rows_by_pts
        at = int(np.searchsorted(self._packets.pts, pts, side="right", sorter=ordered)) - 1
        row = int(ordered[at]) if at >= 0 else 0
        return row if self._packets.pts[row] == pts else None

    def _gop_of(self, row: int) -> int:
        return bisect_right(self._starts, row) - 1
