"""decode: the wanted frames of one packet range, bit-exact, each with its own pts."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, pairwise

import av
import numpy as np

from pipeline.config import DecodeConfig, FrameConfig
from pipeline.media.demux import AnyPacket
from pipeline.media.pixels import Converter
from pipeline.media.reader import Reader
from pipeline.media.reorder_buffer import ReorderBuffer
from pipeline.records import LEAD_IN_KEYFRAMES, NO_PTS, Frame, PacketIndex, Video

# More packets than any decoder keeps back before it puts out a frame.
_MAX_DELAY = 33
# A stream that strict decoders have refused so often is an odd one, not a damaged one.
_MAX_LENIENT = 3


def decode_frames(
    video: Video,
    packets: PacketIndex,
    want_pts: Sequence[int],
    *,
    frame: FrameConfig,
    rgb: bool,
    max_pixels: int = DecodeConfig().max_pixels,
) -> Iterator[Frame]:
    """Decode the frames at ``want_pts``, ascending; what cannot be had is left out.

    A wanted frame that does not come out is tried again from up to three keyframes earlier without
    any skipping, and left out after that: never a neighbour in its place. Damage marks the whole
    GOP suspect, so frames are held back until their GOP is through (see ``ReorderBuffer``).

    Args:
        video: as probed.
        packets: any slice of the index in decode order that begins at a keyframe (or at the start)
            and holds the packets of all wanted frames; keyframes before these serve as lead-in.
        want_pts: shown ticks of this slice.
        frame: sizes of the pictures.
        rgb: whether to make colour pictures too.
        max_pixels: of one picture; a stream may change to larger ones after it was probed.

    Raises:
        SourceError: the file cannot be read or is no longer the one that was probed.
        UnreachableError: where it lies does not answer; frames that were left out may be there.
    """
    wanted = frozenset(int(pts) for pts in want_pts)
    gops = _gops(packets, wanted)
    if not any(gop.wanted for gop in gops):
        return
    buffer = ReorderBuffer([gop.wanted for gop in gops])
    with Reader(video, packets, max_pixels) as reader, closing(buffer):
        yield from _Session(
            video, packets, gops, reader, buffer, max_pixels=max_pixels, frame=frame, rgb=rgb
        ).frames()


@dataclass(slots=True)
class _Gop:
    """The packets from one keyframe to the next."""

    first: int
    last: int
    wanted: frozenset[int]
    """Ticks of the wanted frames whose last packet stands here."""
    last_wanted: int
    """Row of the last packet needed; before ``first`` if there is none."""
    leading: bool
    """Shows a wanted frame before its keyframe, for which the former GOP is needed."""


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
    """One continuous stretch of decoding, without a flush in between."""

    reader: Reader
    skip: bool
    """Whether frames that nobody refers to and nobody wants are left undecoded."""
    first: int
    """Row of the first packet."""
    begin: int
    """The first GOP whose frames count; those before it only lead in."""


class _Session:
    def __init__(
        self,
        video: Video,
        packets: PacketIndex,
        gops: list[_Gop],
        reader: Reader,
        buffer: ReorderBuffer,
        *,
        max_pixels: int,
        frame: FrameConfig,
        rgb: bool,
    ) -> None:
        self._video = video
        self._packets = packets
        self._gops = gops
        self._reader = reader
        self._max_pixels = max_pixels
        self._pixels = Converter(video, sar=video.sar, frame=frame, rgb=rgb)
        self._starts = [gop.first for gop in gops]
        self._rows_by_pts = np.argsort(packets.pts, kind="stable")
        self._buffer = buffer
        # Where the container hides which packet shows a frame, skipping one may lose another.
        self._may_skip = not bool(np.any((packets.pts == NO_PTS) & ~packets.discard))
        self._in_one_go = False
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
        """The last GOP that is decoded without a flush after this one."""
        while number + 1 < len(self._gops):
            gop, following = self._gops[number], self._gops[number + 1]
            joined = self._in_one_go or gop.last_wanted == gop.last
            if not joined or following.last_wanted < following.first:
                break
            number += 1
        return number

    def _run(self, begin: int, end: int) -> Iterator[Frame]:
        """Decode GOPs ``begin`` to ``end`` and hand out what is complete."""
        first = self._gops[max(0, begin - LEAD_IN_KEYFRAMES) if self._in_one_go else begin].first
        skip = self._may_skip and not self._in_one_go
        work = _Pass(self._reader, skip=skip, first=first, begin=begin)
        settled = begin
        self._reader.decoder.flush()
        for row, packet in self._reader.rows(first, self._gops[end].last_wanted):
            self._decode(work, row, packet)
            while settled < end and row > self._gops[settled].last + _MAX_DELAY:
                self._finish(settled, work)
                settled += 1
            yield from self._buffer.release()
        self._decode(work, self._gops[end].last_wanted, None)
        for number in range(settled, end + 1):
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
                self._buffer.mark(gop)

    def _pictures(
        self, work: _Pass, row: int, packet: AnyPacket | None
    ) -> Iterator[tuple[int, av.VideoFrame | None]]:
        """What one packet brings out, with the GOP it belongs to; None stands for damage."""
        pts = int(self._packets.pts[row])
        if packet is not None and self._is_undecodable(work, row, pts):
            return
        may_skip = work.skip and not self._buffer.wants(pts)
        pictures, is_damaged = work.reader.decoder.decode(packet, may_skip=may_skip)
        for picture in pictures:
            shown_at = self._row_of(picture.pts)
            if shown_at is not None:
                gop = self._gop_of(shown_at)
                if picture.is_corrupt:
                    yield gop, None
                yield gop, picture
        if is_damaged:
            yield self._gop_of(row), None

    def _is_undecodable(self, work: _Pass, row: int, pts: int) -> bool:
        """A leading picture that nobody wants, right after the keyframe decoding began at."""
        return (
            work.first < row <= self._gops[self._gop_of(work.first)].last
            and bool(self._packets.keyframe[work.first])
            and NO_PTS < pts < self._packets.pts[work.first]
            and not self._buffer.wants(pts)
        )

    def _small(self, picture: av.VideoFrame) -> Frame | None:
        """The record of a wanted frame; None if nobody wants it or it cannot be converted."""
        if not self._buffer.wants(picture.pts):
            return None
        try:
            luma, colour = self._pixels.luma(picture), self._pixels.colour(picture)
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
        """Nothing more of this GOP will come: try again if it is not whole, then settle it."""
        entered_here = self._gop_of(work.first) == number
        if self._buffer.missing(number) or (entered_here and self._buffer.is_marked(number)):
            self._retry(number, work)
        if self._buffer.missing(number):
            self._buffer.mark(number)
        self._buffer.close_gop(number)
        following = number + 1
        if following < len(self._gops) and self._gops[following].leading:
            # Its leading pictures were predicted from this GOP.
            self._buffer.depend(following, number, int(self._packets.pts[self._starts[following]]))

    def _retry(self, number: int, work: _Pass) -> None:
        """Decode everything from zero to three keyframes earlier.

        Keyframes of intra-refresh streams, and some that only call themselves so, need what comes
        before them.
        """
        last = self._gops[number].last_wanted
        for first, strict in self._attempts(number, work):
            frames: dict[int, Frame] = {}
            damaged = not strict
            with Reader(self._video, self._packets, self._max_pixels, strict=strict) as reader:
                again = _Pass(reader, skip=False, first=first, begin=number)
                for row, packet in chain(reader.rows(first, last), [(last, None)]):
                    for gop, picture in self._pictures(again, row, packet):
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
            self._buffer.clear(number)
            self._in_one_go = self._in_one_go or first < work.first
            return

    def _attempts(self, number: int, work: _Pass) -> Iterator[tuple[int, bool]]:
        """Where to begin another attempt, and whether with a strict decoder."""
        for back in range(min(LEAD_IN_KEYFRAMES, number) + 1):
            if self._num_lenient >= _MAX_LENIENT:
                break
            first = self._starts[number - back]
            if first < work.first or (work.skip and self._buffer.missing(number)):
                yield first, True
        if self._reader.decoder.is_strict and self._buffer.missing(number):
            self._num_lenient += 1
            self._buffer.mark(number)
            yield self._starts[max(0, number - self._gops[number].leading)], False

    def _row_of(self, pts: int | None) -> int | None:
        """The last packet with this pts."""
        if pts is None:
            return None
        ordered = self._rows_by_pts
        at = int(np.searchsorted(self._packets.pts, pts, side="right", sorter=ordered)) - 1
        row = int(ordered[at]) if at >= 0 else 0
        return row if self._packets.pts[row] == pts else None

    def _gop_of(self, row: int) -> int:
        return bisect_right(self._starts, row) - 1
