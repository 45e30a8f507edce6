"""The video packets of a clip, encoded or copied."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from pipeline.config import DecodeConfig
from pipeline.media.clip.canvas import Canvas, Caption, canvas_size
from pipeline.media.clip.copying import annexb_packets, plain_packets
from pipeline.media.clip.pictures import pictures
from pipeline.media.clip.pieces import TICK_S, Piece, decode_ticks
from pipeline.media.demux import AnyPacket
from pipeline.storage.access import Access

_QUALITY = {"crf": "18", "preset": "veryfast"}
# For the rate control alone: frames keep their own times.
_USUAL_RATE = 30
# Encoded borders have parameter sets of their own number, so that they replace none of the file's.
_BORDER = "sps-id=7:repeat-headers=1:bframes=0:scenecut=0:keyint=infinite"


@dataclass(slots=True)
class Encoding:
    """What encoders and readers need, and how many frames of each piece were encoded."""

    decode: DecodeConfig
    access: Access
    num_encoded: Counter[int] = field(default_factory=Counter)


def encoded_stream(container: OutputContainer, pieces: Sequence[Piece]) -> VideoStream:
    """A new stream for pictures of one size."""
    stream = container.add_stream("libx264", rate=_USUAL_RATE)
    stream.width, stream.height = canvas_size([piece.stretch for piece in pieces])
    stream.pix_fmt, stream.options = "yuv420p", {**_QUALITY}
    context = stream.codec_context
    context.time_base = TICK_S
    context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
    return stream


def encoded(
    stream: VideoStream, pieces: Sequence[Piece], caption: Caption | None, run: Encoding
) -> Iterator[AnyPacket]:
    """All frames, encoded anew; each piece begins with a keyframe."""
    canvas = Canvas((stream.width, stream.height), caption)
    for number, piece in enumerate(pieces):
        ticks, stretch = piece.ticks(), piece.stretch
        kind = PictureType.I
        for picture in pictures(stretch, stretch.shown, decode=run.decode, access=run.access):
            frame = canvas.paint(picture, stretch)
            frame.pts, frame.time_base, frame.pict_type = ticks[picture.pts or 0], TICK_S, kind
            kind = PictureType.NONE
            run.num_encoded[number] += 1
            yield from stream.encode(frame)
    yield from stream.encode(None)


def spliced_stream(container: OutputContainer, pieces: Sequence[Piece]) -> VideoStream:
    """A new stream for copied H.264 with encoded borders."""
    stream = container.add_stream("libx264", rate=_USUAL_RATE)
    _prepare(stream.codec_context, pieces[0])
    if pieces[0].stretch.video.rotation:
        stream.set_display_rotation(pieces[0].stretch.video.rotation)
    return stream


def spliced(pieces: Sequence[Piece], run: Encoding) -> Iterator[AnyPacket]:
    """Copied H.264 packets, and the borders encoded as the file was."""
    decoded_at = decode_ticks(pieces)
    for number, piece in enumerate(pieces):
        ticks, split = piece.ticks(), piece.split
        for packet in _border(piece, split.head, number, run):
            yield _timed(packet, int(packet.pts or 0), next(decoded_at))
        if split.copied:
            for packet in annexb_packets(
                piece.stretch, split, decode=run.decode, access=run.access
            ):
                yield _timed(packet, ticks[packet.pts or 0], next(decoded_at))
        for packet in _border(piece, split.tail, number, run):
            yield _timed(packet, int(packet.pts or 0), next(decoded_at))


def copied(pieces: Sequence[Piece], run: Encoding) -> Iterator[AnyPacket]:
    """Packets as they are in the files."""
    decoded_at = decode_ticks(pieces)
    for piece in pieces:
        ticks = piece.ticks()
        for packet in plain_packets(
            piece.stretch, piece.split, decode=run.decode, access=run.access
        ):
            yield _timed(packet, ticks[packet.pts or 0], next(decoded_at))


def _border(
    piece: Piece, wanted: tuple[int, ...], number: int, run: Encoding
) -> Iterator[AnyPacket]:
    if not wanted:
        return
    ticks, stretch = piece.ticks(), piece.stretch
    context = av.CodecContext.create("libx264", "w")
    _prepare(context, piece)
    for picture in pictures(stretch, wanted, decode=run.decode, access=run.access):
        # A stream may change its size, and encoders take pictures of one size.
        frame = picture.reformat(context.width, context.height, context.pix_fmt)
        frame.pts, frame.time_base = ticks[picture.pts or 0], TICK_S
        frame.pict_type = PictureType.NONE
        run.num_encoded[number] += 1
        yield from context.encode(frame)
    if run.num_encoded[number]:
        yield from context.encode(None)


def _prepare(context: VideoCodecContext, piece: Piece) -> None:
    video = piece.stretch.video
    context.width, context.height = video.width, video.height
    context.pix_fmt = piece.stretch.pix_fmt
    context.time_base, context.framerate = TICK_S, Fraction(_USUAL_RATE)
    context.sample_aspect_ratio = video.sar
    context.options = {**_QUALITY, "x264-params": _BORDER}


def _timed(packet: AnyPacket, pts: int, dts: int) -> AnyPacket:
    packet.pts, packet.dts, packet.time_base = pts, dts, TICK_S
    return packet
