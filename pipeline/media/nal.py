"""Which pictures no other refers to, as H.264 and HEVC say in the headers of their NAL units."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from av.video.codeccontext import VideoCodecContext

from pipeline.media.demux import AnyPacket

IsUnreferenced: TypeAlias = Callable[[AnyPacket], bool]

_START_CODE = b"\0\0\1"
_H264_SLICES = range(1, 6)
_H264_REFERENCE = 0x60
_HEVC_SLICES = range(32)
# Those whose names end in _N.
_HEVC_UNREFERENCED = range(0, 16, 2)


def unreferenced(context: VideoCodecContext) -> IsUnreferenced | None:
    """Tells packets whose picture no other refers to; None for codecs that do not say."""
    match context.name:
        case "h264":
            length_bytes = _length_bytes(context.extradata or b"", 4)
            return lambda packet: _h264(_headers(bytes(packet), length_bytes))
        case "hevc":
            length_bytes = _length_bytes(context.extradata or b"", 21)
            return lambda packet: _hevc(_headers(bytes(packet), length_bytes))
        case _:
            return None


def _length_bytes(extradata: bytes, place: int) -> int:
    """How long the lengths of units are, by an avcC or hvcC box; 0 without one: start codes."""
    is_box = extradata[:1] == b"\1"
    return (int.from_bytes(extradata[place : place + 1]) & 3) + 1 if is_box else 0


def _h264(headers: Iterator[int]) -> bool:
    slices = (header for header in headers if header & 31 in _H264_SLICES)
    return not next(slices, _H264_REFERENCE) & _H264_REFERENCE


def _hevc(headers: Iterator[int]) -> bool:
    kinds = (header >> 1 & 63 for header in headers)
    return next((kind for kind in kinds if kind in _HEVC_SLICES), 1) in _HEVC_UNREFERENCED


def _headers(data: bytes, length_bytes: int) -> Iterator[int]:
    """The first byte of each NAL unit."""
    at = 0
    if not length_bytes:
        while (at := data.find(_START_CODE, at) + len(_START_CODE)) >= len(_START_CODE):
            yield from data[at : at + 1]
        return
    while at + length_bytes < len(data):
        start = at + length_bytes
        yield data[start]
        at = start + int.from_bytes(data[at:start], "big")
