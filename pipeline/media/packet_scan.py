"""Collects the packets of one stream into the packet index, and decodes only the first picture."""

import hashlib
import struct
from array import array
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av.video.stream import VideoStream

from pipeline.config import DecodeConfig
from pipeline.errors import SourceError
from pipeline.media.clock_jumps import straighten
from pipeline.media.codec import prepare
from pipeline.media.demux import AnyPacket
from pipeline.media.playlist_time import place_segments
from pipeline.records import DIGEST_BYTES, NO_PTS, PacketIndex
from pipeline.storage.playlists import Playlist
from pipeline.timebase import Int64Array

# If the decoder has output no picture after this many packets, only keyframes are tried.
_MAX_PACKETS_TO_FIRST_PICTURE = 1000
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Size and rotation of the first picture."""

    width: int
    height: int
    rotation: int


@dataclass(slots=True)
class PacketScan:
    """Collects one row per packet in flat arrays, as a day of video has two million packets."""

    uri: str
    stream: VideoStream
    decode: DecodeConfig
    rate: Fraction | None
    """Frames per second by which a stream without times is counted."""
    pts: "array[int]" = field(default_factory=lambda: array("q"))
    dts: "array[int]" = field(default_factory=lambda: array("q"))
    durations: "array[int]" = field(default_factory=lambda: array("q"))
    num_bytes: "array[int]" = field(default_factory=lambda: array("i"))
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    keyframe: bytearray = field(default_factory=bytearray)
    discard: bytearray = field(default_factory=bytearray)
    digests: bytearray = field(default_factory=bytearray)
    num_corrupt: int = 0
    num_errors: int = 0
    _picture: Picture | None = None
    _hash: "hashlib.blake2b" = field(init=False)

    def __post_init__(self) -> None:
        context = self.stream.codec_context
        prepare(context, self.decode.max_pixels)
        self._hash = hashlib.blake2b(context.name.encode(), digest_size=DIGEST_BYTES)

    @property
    def content_id(self) -> str:
        """Hash of the packets so far."""
        return self._hash.hexdigest()

    def check_picture(self) -> Picture:
        """The first picture, which the decoder may still buffer if the file is short."""
        picture = self._picture = self._picture or self._decode(None)
        if picture is None:
            raise SourceError(nothing_shown(self.uri, len(self.pts)))
        check_size(self.uri, picture.width, picture.height, self.decode)
        return picture

    @property
    def warnings(self) -> list[str]:
        """Faults of the packets."""
        warnings = []
        if self.rate is not None:
            warnings.append(
                f"the file has no times; its {self.rate} frames per second come from the stream"
            )
        if self.num_corrupt:
            warnings.append(f"{self.num_corrupt} packets are damaged or incomplete")
        if self.num_errors:
            warnings.append(f"{self.num_errors} places in the file could not be read")
        return warnings

    def add(self, packet: AnyPacket, pts: int, dts: int) -> None:
        """Take the next packet in decode order."""
        if len(self.pts) >= self.decode.max_packets:
            raise SourceError(
                f"{self.uri}: has more than {self.decode.max_packets} packets;"
                " split it, or raise decode.max_packets"
            )
        self.pts.append(pts)
        self.dts.append(dts)
        self.durations.append(packet.duration or 0)
        self.num_bytes.append(packet.size)
        self.offsets.append(-1 if packet.pos is None else packet.pos)
        self.keyframe.append(packet.is_keyframe)
        self.discard.append(packet.is_discard)
        self.num_corrupt += packet.is_corrupt
        if packet.is_keyframe:
            self.digests += self._hash.digest()
        self._hash.update(struct.pack("<qq", pts, dts))
        self._hash.update(packet)
        is_near_start = len(self.pts) <= _MAX_PACKETS_TO_FIRST_PICTURE
        if self._picture is None and (is_near_start or packet.is_keyframe):
            self._picture = self._decode(packet)

    def finish(self, num_counted: int) -> tuple[PacketIndex, Int64Array]:
        """The packet index, and the duration of each packet.

        Args:
            num_counted: packets at the start that have no times of their own; their ``dts`` means
                nothing if later packets have some.
        """
        dts = np.array(self.dts, dtype=np.int64)
        if num_counted < len(dts):
            dts[:num_counted] = NO_PTS
        packets = PacketIndex(
            pts=np.array(self.pts, dtype=np.int64),
            dts=dts,
            num_bytes=np.array(self.num_bytes, dtype=np.int32),
            keyframe=np.array(self.keyframe, dtype=np.bool_),
            discard=np.array(self.discard, dtype=np.bool_),
            digests=np.frombuffer(bytes(self.digests), np.uint8).reshape(-1, DIGEST_BYTES),
        )
        return packets, np.array(self.durations, dtype=np.int64)

    def in_order(
        self, packets: PacketIndex, playlist: Playlist | None, period: int | None
    ) -> tuple[PacketIndex, list[str]]:
        """The packets with times that rise in decode order, and warnings."""
        time_base = time_base_of(self.stream)
        if playlist is None:
            return straighten(packets, self.uri, time_base=time_base, period=period)
        offsets = np.array(self.offsets, dtype=np.int64)
        return place_segments(
            packets, playlist, offsets, uri=self.uri, time_base=time_base, period=period
        )

    def offsets_for(self, packets: PacketIndex, period: int | None) -> Int64Array:
        """Where each keyframe begins, if a seek by time could not find it; else empty."""
        is_found_by_time = not len(packets.shifts) and not (packets.dts == NO_PTS).any()
        if period is None or is_found_by_time:
            return np.empty(0, np.int64)
        # Reading begins at keyframes; one inside a packet of the container begins with that.
        offsets = np.maximum.accumulate(np.array(self.offsets, dtype=np.int64))
        return np.where(packets.keyframe, offsets, -1)

    def _decode(self, packet: AnyPacket | None) -> Picture | None:
        """Decode a packet: only a frame has the rotation, and proves that decoding works."""
        try:
            frames = self.stream.codec_context.decode(packet)
        except av.FFmpegError:
            return None
        if not frames:
            return None
        return Picture(
            width=frames[0].width,
            height=frames[0].height,
            rotation=round(frames[0].rotation / 90) * 90 % 360,
        )


def check_size(uri: str, width: int, height: int, decode: DecodeConfig) -> None:
    """Refuse a picture of more than ``decode.max_pixels``."""
    if width * height > decode.max_pixels:
        raise SourceError(
            f"{uri}: is {width}x{height} pixels, more than decode.max_pixels={decode.max_pixels};"
            " raise it if you trust this file"
        )


def nothing_shown(uri: str, num_packets: int) -> str:
    """The message for a file without a picture that can be decoded."""
    if not num_packets:
        return (
            f"{uri}: its video stream holds no picture; keep it if other files may need it, as the"
            " segments of a playlist need their init segment"
        )
    return (
        f"{uri}: none of its first pictures can be decoded ({num_packets} packets);"
        " the file is damaged or encrypted, copy it again from the original"
    )


def time_base_of(stream: VideoStream) -> Fraction:
    """Seconds per tick."""
    return stream.time_base or Fraction(1, _MICROSECONDS)
