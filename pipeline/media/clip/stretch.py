"""Finds the packets of one cut, and reads no more of the file than it must."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.config import DecodeConfig, SampleConfig
from pipeline.errors import SourceError
from pipeline.media.clip.sound import is_in_step, sound_stream
from pipeline.media.clock_jumps import clock_period
from pipeline.media.container import open_container, pick_video
from pipeline.media.demux import AnyPacket, Demuxer
from pipeline.media.nal import idr
from pipeline.media.packets import probe
from pipeline.media.reader import Reader
from pipeline.records import LEAD_IN_KEYFRAMES, NO_PTS, Cut, PacketIndex, Source, Video
from pipeline.storage.access import Access
from pipeline.storage.playlists import is_playlist
from pipeline.timebase import NS_PER_S, NS_PER_US, BoolArray

# How far before a cut the file is entered, until a keyframe that is shown before it is found.
_SEEK_BACK_S = (0, 4, 16, 64)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Stretch:
    """A cut, and the packets that hold its frames."""

    cut: Cut
    video: Video
    """With what the file alone tells: the number of its stream, the shape of its pixels."""
    packets: PacketIndex
    idr: BoolArray
    """For each packet whether nothing before it is needed from there on."""
    reaches_end: bool
    """Whether the last packet is the last one of the file."""
    pix_fmt: str
    extradata: bytes
    sound_index: int | None
    """Number of the sound stream; None if there is none that can be decoded."""
    shown: tuple[int, ...]
    """Ticks of the frames that are on screen in the cut, ascending.

    The first of them may have come on screen before the cut begins. A cut that begins at the time
    of a frame in microseconds, as tables have it, begins with this frame.
    """

    def media_s(self, pts: int) -> Fraction:
        """Media time of a tick, exactly."""
        return (pts - self.video.origin_pts) * self.video.time_base


def find_stretch(cut: Cut, *, decode: DecodeConfig, access: Access) -> Stretch:
    """The packets of a cut. A file whose packets do not tell their media time is read as a whole.

    Raises:
        SourceError: the file cannot be used, has changed, or shows nothing in this range.
        UnreachableError: the medium does not answer.
    """
    for back_s in (*_SEEK_BACK_S, None):
        scan = _scan(cut, back_s, decode, access)
        if scan.tells_no_time:
            found = _probed(scan, decode, access)
        elif back_s is not None and not scan.begins_before:
            continue
        else:
            found = scan.stretch()
        if found.shown:
            return found
    span = cut.media
    raise SourceError(
        f"{cut.video.uri}: shows no frame from {span.start_ns / NS_PER_S:.3f} s to"
        f" {span.end_ns / NS_PER_S:.3f} s any more; was it replaced? Run index again"
    )


class _Scan:
    """Collects the packets from a place in the file to the end of a cut."""

    def __init__(self, cut: Cut, container: InputContainer, stream: VideoStream) -> None:
        context = stream.codec_context
        self.cut = cut
        self.period = clock_period(container.format.name)
        self.tells_no_time = (
            self.period is not None or cut.video.has_clock_jumps or is_playlist(cut.video.uri)
        )
        self._rows: list[tuple[int, int, int, bool, bool, bool]] = []
        self._reaches_end = True
        self._is_idr = idr(context)
        self._pix_fmt = context.pix_fmt or ""
        self._extradata = bytes(context.extradata or b"")
        self._sound_index = sound_stream(container)
        sar = stream.sample_aspect_ratio or context.sample_aspect_ratio or Fraction(1)
        self.video = replace(cut.video, stream_index=stream.index, sar=sar)
        end_s = Fraction(cut.media.end_ns, NS_PER_S)
        self._end_pts = cut.video.origin_pts + end_s / cut.video.time_base

    def add(self, packet: AnyPacket, pts: int, dts: int) -> bool:
        """Keep a packet; False if no later one is needed. The first behind the cut is kept too."""
        self.tells_no_time = self.tells_no_time or (pts == NO_PTS and not packet.is_discard)
        starts_new = packet.is_keyframe and self.is_idr(packet)
        self._rows.append(
            (pts, dts, packet.size, packet.is_keyframe, packet.is_discard, starts_new)
        )
        is_behind = dts != NO_PTS and dts >= self._end_pts
        self._reaches_end = not (self.tells_no_time or is_behind)
        return self._reaches_end

    def is_idr(self, packet: AnyPacket) -> bool:
        """Whether nothing before this packet is needed from there on."""
        return self._is_idr is not None and self._is_idr(packet)

    @property
    def begins_before(self) -> bool:
        """Whether decoding of the whole cut can begin at one of the keyframes.

        Where the last of them may need earlier packets, as after an intra refresh, some are needed.
        """
        start_us = self.cut.media.start_ns // NS_PER_US
        before = [
            row
            for row in self._rows
            if row[3] and row[0] != NO_PTS and self.video.media_ns(row[0]) // NS_PER_US <= start_us
        ]
        is_clean = bool(before) and before[-1][5]
        return len(before) > (0 if is_clean else LEAD_IN_KEYFRAMES)

    def stretch(self) -> Stretch:
        """The record of what was found."""
        columns = list(zip(*self._rows, strict=True)) or [()] * 6
        packets = PacketIndex(
            pts=np.array(columns[0], np.int64),
            dts=np.array(columns[1], np.int64),
            num_bytes=np.array(columns[2], np.int32),
            keyframe=np.array(columns[3], np.bool_),
            discard=np.array(columns[4], np.bool_),
        )
        return self.stretch_of(
            packets, np.array(columns[5], np.bool_), reaches_end=self._reaches_end
        )

    def stretch_of(
        self, packets: PacketIndex, flags: BoolArray, *, reaches_end: bool, is_heard: bool = True
    ) -> Stretch:
        """The record of these packets of the file."""
        return Stretch(
            cut=self.cut,
            video=self.video,
            packets=packets,
            idr=flags,
            reaches_end=reaches_end,
            pix_fmt=self._pix_fmt,
            extradata=self._extradata,
            sound_index=self._sound_index if is_heard else None,
            shown=_shown(self.cut, packets),
        )


def _scan(cut: Cut, back_s: int | None, decode: DecodeConfig, access: Access) -> _Scan:
    video = cut.video
    with open_container(
        video.uri, num_bytes=video.num_bytes, max_pixels=decode.max_pixels, access=access
    ) as container:
        stream = pick_video(container, video.uri)
        scan = _Scan(cut, container, stream)
        if back_s is not None:
            start_s = Fraction(cut.media.start_ns, NS_PER_S) - back_s
            target = video.origin_pts + int(start_s / video.time_base)
            try:
                container.seek(target, stream=stream)
            except av.FFmpegError:
                return scan  # the next attempt seeks to an earlier time
        for packet, pts, dts in Demuxer(container, stream):
            if not scan.add(packet, pts, dts):
                break
    return scan


def _probed(scan: _Scan, decode: DecodeConfig, access: Access) -> Stretch:
    video = scan.cut.video
    source = Source(
        uri=video.uri,
        num_bytes=video.num_bytes,
        etag=video.etag,
        camera=video.camera,
        start_ns=video.start_ns,
        clock=video.clock,
    )
    now, packets = probe(source, sample=SampleConfig(), decode=decode, access=access)
    if now.content_id != video.content_id:
        raise SourceError(f"{video.uri}: has changed since it was indexed; run index again")
    rows = np.flatnonzero(np.isin(packets.pts, np.array(_shown(scan.cut, packets), np.int64)))
    flags = np.zeros(len(packets), np.bool_)
    if len(rows):
        with Reader(scan.video, packets, decode.max_pixels, access=access) as reader:
            for key in np.flatnonzero(packets.keyframe).tolist():
                if rows[0] <= key <= rows[-1] + 1:
                    flags[key] = any(scan.is_idr(one) for _, one in reader.rows(key, key))
    shifts = packets.shifts[rows] if len(packets.shifts) else packets.shifts
    is_heard = is_in_step(shifts, scan.period)
    return scan.stretch_of(packets, flags, reaches_end=True, is_heard=is_heard)


def _shown(cut: Cut, packets: PacketIndex) -> tuple[int, ...]:
    def in_us(pts: int) -> int:
        return cut.video.media_ns(pts) // NS_PER_US

    ticks = [int(pts) for pts in packets.shown_pts]
    first = bisect_right(ticks, cut.media.start_ns // NS_PER_US, key=in_us) - 1
    end = bisect_left(ticks, cut.media.end_ns // NS_PER_US, key=in_us)
    return tuple(ticks[max(0, first) : end])
