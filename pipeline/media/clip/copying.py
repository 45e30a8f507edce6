"""Which packets of a cut can be copied, and these packets as a stream without a container."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

from pipeline.config import DecodeConfig
from pipeline.errors import ConfigError
from pipeline.media.clip.stretch import Stretch
from pipeline.media.demux import AnyPacket
from pipeline.media.nal import nal_types
from pipeline.media.reader import Reader
from pipeline.records import NO_PTS
from pipeline.storage.access import Access

COPIED_FORMATS = ("yuv420p", "yuvj420p")
_H264_PARAMETERS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A cut in three parts; ``head`` and ``tail`` are encoded, the rows between are copied."""

    head: tuple[int, ...]
    rows: range
    copied: tuple[int, ...]
    """Ticks of the copied frames, in decode order."""
    tail: tuple[int, ...]


def can_be_joined(stretches: list[Stretch]) -> bool:
    """Whether H.264 packets of these cuts, copied and encoded ones, may stand in one stream."""
    kinds = {
        (s.video.codec, s.video.width, s.video.height, s.video.rotation, s.video.sar, s.pix_fmt)
        for s in stretches
    }
    return len(kinds) == 1 and all(
        s.video.codec == "h264" and s.pix_fmt in COPIED_FORMATS for s in stretches
    )


def whole_gops(stretch: Stretch) -> Split:
    """The parts of an exact cut: what lies between the borders of GOPs is copied.

    A border is an IDR picture. A keyframe of an open GOP is none: frames that are shown before it
    need the GOP before.
    """
    packets, shown = stretch.packets, stretch.shown
    borders = np.flatnonzero(stretch.idr)
    inside = borders[(packets.pts[borders] >= shown[0]) & (packets.pts[borders] <= shown[-1])]
    behind = borders[packets.pts[borders] > shown[-1]]
    ends = [*([len(packets)] if stretch.reaches_end else []), *behind[:1], *inside[:0:-1]]
    for end in ends if len(inside) else []:
        split = _split(stretch, range(int(inside[0]), int(end)))
        if split is not None:
            return split
    return Split(head=shown, rows=range(0), copied=(), tail=())


def _split(stretch: Stretch, rows: range) -> Split | None:
    """The cut around these rows; None if they hold anything but frames of the cut, each once."""
    packets, shown = stretch.packets, stretch.shown
    ticks = packets.pts[rows.start : rows.stop].tolist()
    if packets.discard[rows.start : rows.stop].any() or not ticks:
        return None
    first = bisect_left(shown, min(ticks))
    end = first + len(ticks)
    if tuple(sorted(ticks)) != shown[first:end]:
        return None
    return Split(head=shown[:first], rows=rows, copied=tuple(ticks), tail=shown[end:])


def from_keyframe(stretch: Stretch) -> Split:
    """What can be cut without encoding: from a keyframe before the cut to the last packet needed.

    Raises:
        ConfigError: the packets do not say when their frames are shown.
    """
    packets, shown = stretch.packets, stretch.shown
    last = int(np.flatnonzero(np.isin(packets.pts, np.array(shown)))[-1])
    keys = np.flatnonzero(packets.keyframe[: last + 1])
    before = keys[packets.pts[keys] <= shown[0]]
    if not len(keys) or (packets.pts == NO_PTS).any():
        raise ConfigError(
            f"{stretch.video.uri}: cannot be cut without encoding, because its packets do not say"
            " when their frames are shown; leave out --copy"
        )
    first = int(before[-1]) if len(before) else int(keys[0])
    # Frames of an open GOP that are shown before the keyframe cannot be decoded from there.
    ticks = [int(pts) for pts in packets.pts[first : last + 1] if pts >= packets.pts[first]]
    if len(set(ticks)) < len(ticks):
        raise ConfigError(f"{stretch.video.uri}: two frames have the same time; leave out --copy")
    return Split(head=(), rows=range(first, last + 1), copied=tuple(ticks), tail=())


def annexb_packets(
    stretch: Stretch, split: Split, *, decode: DecodeConfig, access: Access
) -> Iterator[AnyPacket]:
    """Copied H.264 packets with start codes and parameters at each IDR picture; pts in ticks."""
    with Reader(stretch.video, stretch.packets, decode.max_pixels, access=access) as reader:
        convert = BitStreamFilterContext("h264_mp4toannexb", reader.stream)
        has_parameters = stretch.extradata[:1] == b"\1"  # then the filter inserts them
        for pts, packet in _copied(reader, split):
            copy = _packet(bytes(packet), pts, is_keyframe=packet.is_keyframe)
            data = b"".join(bytes(part) for part in convert.filter(copy))
            if not has_parameters and _H264_PARAMETERS not in nal_types(data):
                data = stretch.extradata + data
            has_parameters = True
            yield _packet(data, pts, is_keyframe=packet.is_keyframe)


def plain_packets(
    stretch: Stretch, split: Split, *, decode: DecodeConfig, access: Access
) -> Iterator[AnyPacket]:
    """Copied packets as they are; pts in ticks."""
    with Reader(stretch.video, stretch.packets, decode.max_pixels, access=access) as reader:
        for pts, packet in _copied(reader, split):
            yield _packet(bytes(packet), pts, is_keyframe=packet.is_keyframe)


def _copied(reader: Reader, split: Split) -> Iterator[tuple[int, AnyPacket]]:
    ticks = frozenset(split.copied)
    for _, packet in reader.rows(split.rows.start, split.rows.stop - 1):
        if packet.pts in ticks:
            yield int(packet.pts or 0), packet


def _packet(data: bytes, pts: int, *, is_keyframe: bool) -> AnyPacket:
    packet: AnyPacket = av.Packet(data)
    packet.pts, packet.is_keyframe = pts, is_keyframe
    return packet
