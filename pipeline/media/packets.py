"""Probes one file: what it contains and when, from its packets; decodes only the first picture."""

import hashlib
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.config import DecodeConfig, SampleConfig
from pipeline.errors import SourceError
from pipeline.media.clock_jumps import clock_period, straighten
from pipeline.media.clocks import FoundClock, ToUtc, camera_clock, clocks_in, utc_if_no_zone
from pipeline.media.codec import prepare
from pipeline.media.container import counted_rate, open_container, pick_video
from pipeline.media.demux import AnyPacket, Demuxer
from pipeline.media.gopro import gopro_clocks
from pipeline.media.playlist_time import place_segments, playlist_clocks
from pipeline.media.pts_recovery import presentation_pts
from pipeline.media.timeline import lay_out
from pipeline.records import (
    DIGEST_BYTES,
    NO_PTS,
    STATED_CLOCKS,
    PacketIndex,
    Source,
    Video,
    make_id,
)
from pipeline.storage.access import PUBLIC, Access
from pipeline.storage.playlists import Playlist, is_playlist, read_playlist
from pipeline.timebase import NS_PER_S, UNCORRECTED, ClockCorrection, Int64Array, seconds_to_ns

# If the decoder has output no picture after this many packets, only keyframes are tried.
_MAX_PACKETS_TO_FIRST_PICTURE = 1000
_MICROSECONDS = 1_000_000


def probe(
    source: Source,
    *,
    sample: SampleConfig,
    decode: DecodeConfig,
    correction: ClockCorrection = UNCORRECTED,
    access: Access = PUBLIC,
    to_utc: ToUtc = utc_if_no_zone,
) -> tuple[Video, PacketIndex]:
    """Read every packet of the main video stream once.

    Args:
        source: as listed.
        sample: says how long a gap in the footage must be.
        decode: limits.
        correction: of the camera's clock.
        access: what may be opened.
        to_utc: for the times in the file that have no zone.

    Raises:
        SourceError: the file cannot be used; the message names the file, the cause and the remedy.
        UnreachableError: the medium does not answer.
    """
    uri = source.uri
    if source.problem:
        raise SourceError(f"{uri}: {source.problem}")
    with open_container(
        uri, num_bytes=source.num_bytes, max_pixels=decode.max_pixels, access=access
    ) as container:
        stream = pick_video(container, uri)
        _check_size(uri, stream.width, stream.height, decode)
        scan = _Scan(uri, stream, decode)
        rate = counted_rate(container, stream, uri)
        counted = f"the file has no times; its {rate} frames per second come from the stream itself"
        demuxer = Demuxer(container, stream)
        for packet, pts, dts in demuxer:
            scan.add(packet, pts, dts)
        scan.num_errors = demuxer.num_errors
        packets, durations = scan.finish(demuxer.num_counted)
        scan.check_picture()
        period = clock_period(container.format.name)
        playlist = read_playlist(uri, access) if is_playlist(uri) else None
        packets, jumps = scan.in_order(packets, playlist, period)
        packets, recovered = presentation_pts(
            packets, uri, stream, durations, max_pixels=decode.max_pixels, access=access
        )
        packets = replace(packets, offsets=scan.offsets_for(packets, period))
        if not len(packets.shown_pts):
            raise SourceError(_nothing_shown(uri, len(packets)))
        video = _describe(
            source,
            container,
            scan,
            packets,
            durations,
            sample=sample,
            decode=decode,
            correction=correction,
            clocks=[
                *playlist_clocks(playlist, to_utc),
                *gopro_clocks(source, container, access=access, to_utc=to_utc),
            ],
            to_utc=to_utc,
        )
        all_warnings = (
            *source.warnings,
            *([counted] if rate else []),
            *scan.warnings,
            *jumps,
            *recovered,
            *video.warnings,
        )
        return replace(video, warnings=all_warnings), packets


def _describe(
    source: Source,
    container: InputContainer,
    scan: "_Scan",
    packets: PacketIndex,
    durations: Int64Array,
    *,
    sample: SampleConfig,
    decode: DecodeConfig,
    correction: ClockCorrection,
    clocks: Sequence[FoundClock],
    to_utc: ToUtc,
) -> Video:
    stream, picture = scan.stream, scan.check_picture()
    shown_pts = packets.shown_pts
    time_base = _time_base(stream)
    repeated = int(np.sum(~packets.discard & (packets.pts != NO_PTS))) - len(shown_pts)
    same_time = f"{repeated} frames have the time of another frame; the last of each is used"
    timeline = lay_out(
        shown_pts,
        packet_pts=packets.pts,
        durations=durations,
        time_base=time_base,
        container_start_pts=_start_pts(container, time_base),
        fallback_interval=int(1 / ((stream.guessed_rate or 25) * time_base)),
        max_gap_s=sample.max_gap_s,
    )
    length_ns = timeline.footage[-1].end_ns - timeline.footage[0].start_ns
    if length_ns > seconds_to_ns(decode.max_duration_s):
        raise SourceError(
            f"{source.uri}: its frames are spread over {length_ns / NS_PER_S / 86_400:.1f} days,"
            f" more than decode.max_duration_s={decode.max_duration_s:g}; raise it if that is true"
        )
    end_ns = timeline.footage[-1].end_ns
    inside = clocks_in(
        container, stream, origin_pts=timeline.origin_pts, end_ns=end_ns, to_utc=to_utc
    )
    camera_ns, clock, clock_warnings = camera_clock(source, [*clocks, *inside], end_ns)
    start_ns = correction.utc_ns(camera_ns) if clock != "none" else camera_ns
    return Video(
        video_id=make_id(
            scan.content_id,
            source.camera,
            start_ns if clock in STATED_CLOCKS else "",
            *filter(None, [str(correction)]),
        ),
        content_id=scan.content_id,
        uri=source.uri,
        num_bytes=source.num_bytes,
        etag=source.etag,
        camera=source.camera,
        clock=clock,
        start_ns=start_ns,
        stream_index=stream.index,
        codec=stream.codec_context.name,
        width=picture.width,
        height=picture.height,
        rotation=picture.rotation,
        sar=stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1),
        time_base=time_base,
        origin_pts=timeline.origin_pts,
        footage=timeline.footage,
        num_frames=len(shown_pts),
        num_keyframes=int(np.sum(packets.keyframe & ~packets.discard)),
        correction=correction,
        warnings=((same_time,) if repeated else ()) + timeline.warnings + clock_warnings,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    width: int
    height: int
    rotation: int


@dataclass(slots=True)
class _Scan:
    """Collects one row per packet in flat arrays, as a day of video has two million packets."""

    uri: str
    stream: VideoStream
    decode: DecodeConfig
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
    _picture: _Picture | None = None
    _hash: "hashlib.blake2b" = field(init=False)

    def __post_init__(self) -> None:
        context = self.stream.codec_context
        prepare(context, self.decode.max_pixels)
        self._hash = hashlib.blake2b(context.name.encode(), digest_size=DIGEST_BYTES)

    @property
    def content_id(self) -> str:
        return self._hash.hexdigest()

    def check_picture(self) -> _Picture:
        """The first picture, which the decoder may still buffer if the file is short."""
        picture = self._picture = self._picture or self._decode(None)
        if picture is None:
            raise SourceError(_nothing_shown(self.uri, len(self.pts)))
        _check_size(self.uri, picture.width, picture.height, self.decode)
        return picture

    @property
    def warnings(self) -> list[str]:
        """Faults of the packets."""
        warnings = []
        if self.num_corrupt:
            warnings.append(f"{self.num_corrupt} packets are damaged or incomplete")
        if self.num_errors:
            warnings.append(f"{self.num_errors} places in the file could not be read")
        return warnings

    def add(self, packet: AnyPacket, pts: int, dts: int) -> None:
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
        time_base = _time_base(self.stream)
        if playlist is None:
            return straighten(packets, self.uri, time_base=time_base, period=period)
        offsets = np.array(self.offsets, dtype=np.int64)
        return place_segments(
            packets, playlist, offsets, uri=self.uri, time_base=time_base, period=period
        )

    def offsets_for(self, packets: PacketIndex, period: int | None) -> Int64Array:
        """Where each packet begins, if a seek by time could not find it; else empty."""
        is_found_by_time = not len(packets.shifts) and not (packets.dts == NO_PTS).any()
        if period is None or is_found_by_time:
            return np.empty(0, np.int64)
        return np.array(self.offsets, dtype=np.int64)

    def _decode(self, packet: AnyPacket | None) -> _Picture | None:
        """Decode a packet: only a frame has the rotation, and proves that decoding works."""
        try:
            frames = self.stream.codec_context.decode(packet)
        except av.FFmpegError:
            return None
        if not frames:
            return None
        return _Picture(
            width=frames[0].width,
            height=frames[0].height,
            rotation=round(frames[0].rotation / 90) * 90 % 360,
        )


def _check_size(uri: str, width: int, height: int, decode: DecodeConfig) -> None:
    if width * height > decode.max_pixels:
        raise SourceError(
            f"{uri}: is {width}x{height} pixels, more than decode.max_pixels={decode.max_pixels};"
            " raise it if you trust this file"
        )


def _nothing_shown(uri: str, num_packets: int) -> str:
    if not num_packets:
        return (
            f"{uri}: its video stream holds no picture; keep it if other files may need it, as the"
            " segments of a playlist need their init segment"
        )
    return (
        f"{uri}: none of its first pictures can be decoded ({num_packets} packets);"
        " the file is damaged or encrypted, copy it again from the original"
    )


def _time_base(stream: VideoStream) -> Fraction:
    return stream.time_base or Fraction(1, _MICROSECONDS)


def _start_pts(container: InputContainer, time_base: Fraction) -> int | None:
    if container.start_time is None:
        return None
    return round(Fraction(container.start_time, _MICROSECONDS) / time_base)
