"""Clips for browsers: the exact frames of a stretch of a video, as H.264 in fragmented MP4.

The frames are those of ``decode_frames``, each at its own time, and the sound is in step with them.
A recording without sound is silent, so that all clips are of one kind.
"""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain, pairwise

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from pipeline.config import FrameConfig
from pipeline.media.clip.sound import RATE_HZ, Samples, is_in_step, samples, sound_stream
from pipeline.media.clip.sound_track import BLOCK, SoundTrack
from pipeline.media.clock_jumps import clock_period
from pipeline.media.container import open_container
from pipeline.media.decode import decode_frames
from pipeline.media.pixels import WEBP_WIDTH, small_webp, source_size, upright_sar
from pipeline.records import PacketIndex, Video
from pipeline.storage.access import PUBLIC, Access
from pipeline.timebase import NS_PER_S, Int64Array, TimeRange

CONTENT_TYPE = 'video/mp4; codecs="avc1.4d0028,mp4a.40.2"'
"""Of every clip, for the ``MediaSource`` of a browser."""

_TICK = Fraction(1, 90_000)
_FRAME = FrameConfig(luma_width=32, rgb_max_pixels=1280 * 736)
# Without frames that wait for later ones, so that each picture leaves as soon as it is there.
_ENCODER = {"preset": "veryfast", "tune": "zerolatency", "crf": "23", "profile": "main", "g": "50"}
# A fragment ends with the next packet of a stream, however short it is. (With `frag_every_frame`
# FFmpeg counts a packet of sound twice where a fragment has none of it before.)
_CONTAINER = {"movflags": "empty_moov+default_base_moof", "frag_duration": "1"}
_LAST_FRAME_S = Fraction(1, 25)
_SOUND_AHEAD_S = Fraction(2 * BLOCK, RATE_HZ)


def frames_in(video: Video, packets: PacketIndex, media: TimeRange) -> Int64Array:
    """PTS of the frames that are on screen in a range, with the one already there at its start."""
    shown = packets.shown_pts
    first, end = (
        video.origin_pts + _ceil(ns * video.time_base.denominator, _per_tick(video))
        for ns in (media.start_ns + 1, media.end_ns)
    )
    begin = max(int(np.searchsorted(shown, first)) - 1, 0)
    return shown[begin : max(int(np.searchsorted(shown, end)), begin + 1)]


def _per_tick(video: Video) -> int:
    return video.time_base.numerator * NS_PER_S


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def clip(
    video: Video, packets: PacketIndex, pts: Sequence[int], access: Access = PUBLIC
) -> Iterator[bytes]:
    """The frames at ``pts`` as one MP4 in pieces, of which each ends with a whole frame.

    Time 0 of the clip is the first of ``pts``, even if that frame cannot be decoded.

    Args:
        video: as probed.
        packets: a slice of the packet index, as ``decode_frames`` wants it.
        pts: ascending, at least one.
        access: what may be opened.

    Raises:
        SourceError: the file cannot be read, or it has changed since the probe.
        UnreachableError: the medium does not answer.
    """
    frames = decode_frames(video, packets, pts, frame=_FRAME, rgb=True, access=access)
    out = _Pieces()
    with av.open(out, "w", format="mp4", options=_CONTAINER) as container:
        stream: VideoStream | None = None
        for frame, following in pairwise(chain(frames, (None,))):
            assert frame is not None  # noqa: S101 - only the last one is None
            rgb = frame.rgb
            assert rgb is not None  # noqa: S101 - rgb=True above
            at = _clip_tick(video, pts[0], frame.pts)
            until = at + int(_LAST_FRAME_S / _TICK)
            if following is not None:
                until = _clip_tick(video, pts[0], following.pts)
            if until <= at:
                continue  # two frames of one instant: a player can show one
            if stream is None:
                stream = _encoder(container, video, *rgb.shape[1::-1])
                blocks = _sound(video, packets, pts, access)
                sound = SoundTrack(container, container.mux, blocks, first_sample=BLOCK)
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            picture.pts, picture.time_base = at, _TICK
            # First the sound: a packet leaves when one of the other stream is there as well.
            sound.write_until(until * _TICK + _SOUND_AHEAD_S)
            for packet in stream.encode(picture):
                packet.duration = until - at
                container.mux(packet)
            yield out.take()
        if stream is not None:
            sound.end()
            container.mux(stream.encode())
    yield out.take()


def _sound(
    video: Video, packets: PacketIndex, pts: Sequence[int], access: Access
) -> Iterator[Samples]:
    """The sound of a clip but for its first block.

    A decoder is late by a block, and the file must not begin before its first frame to make up for
    that: browsers count from where a file begins.
    """
    with open_container(video.uri, num_bytes=video.num_bytes, access=access) as container:
        is_heard = is_in_step(packets.shifts, clock_period(container.format.name))
        number = sound_stream(container) if is_heard else None
    first_ns, last_ns = video.media_ns(pts[0]), video.media_ns(pts[-1])
    lasts_s = Fraction(last_ns - first_ns, NS_PER_S) + _LAST_FRAME_S
    num_samples = -(-math.ceil(lasts_s * RATE_HZ) // BLOCK) * BLOCK
    start_ns = first_ns + BLOCK * NS_PER_S // RATE_HZ
    yield from samples(video, number, start_ns, num_samples, access)


def still(
    video: Video,
    packets: PacketIndex,
    pts: int,
    access: Access = PUBLIC,
    max_width: int = WEBP_WIDTH,
) -> Iterator[bytes]:
    """The frame at ``pts`` as a WebP of so many pixels at most; nothing if it cannot be decoded.

    The other arguments and the errors are those of ``clip``.
    """
    size = FrameConfig(rgb_max_pixels=max(max_width * max_width, FrameConfig().rgb_max_pixels))
    for frame in decode_frames(video, packets, [pts], frame=size, rgb=True, access=access):
        assert frame.rgb is not None  # noqa: S101 - rgb=True above
        yield small_webp(frame.rgb, video, max_width)


def _clip_tick(video: Video, first_pts: int, pts: int) -> int:
    return round((pts - first_pts) * video.time_base / _TICK)


def _encoder(container: OutputContainer, video: Video, width: int, height: int) -> VideoStream:
    """A stream for pictures of a size, which are shown in the shape of the video."""
    stream = container.add_stream("libx264", options=dict(_ENCODER))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.time_base = stream.codec_context.time_base = _TICK
    stream.codec_context.colorspace = Colorspace.ITU709
    stream.codec_context.color_range = ColorRange.MPEG
    shown_width, shown_height = source_size(video)
    shape = upright_sar(video, video.sar) * Fraction(shown_width, shown_height)
    ratio = shape / Fraction(width, height)
    stream.codec_context.sample_aspect_ratio = ratio.limit_denominator(1000)
    return stream


class _Pieces:
    """A file that can only be written on; FFmpeg writes a fragmented MP4 from start to end."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """What was written since the last call."""
        taken, self._pieces = b"".join(self._pieces), []
        return taken
