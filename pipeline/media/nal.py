"""What the NAL unit headers of H.264 and HEVC say of a packet."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from av.video.codeccontext import VideoCodecContext

from pipeline.media.demux import AnyPacket

PacketTest: TypeAlias = Callable[[AnyPacket], bool]

_START_CODE = b"\0\0\1"
_H264_SLICES = range(1, 6)
_H264_REFERENCE = 0x60
_H264_IDR = 5
_HEVC_SLICES = range(32)
# The NAL unit types whose names end in _N.
_HEVC_UNREFERENCED = range(0, 16, 2)


def unreferenced(context: VideoCodecContext) -> PacketTest | None:
    """A test for packets whose picture no other refers to; None for all other codecs."""
    match context.name:
        case "h264":
            length_bytes = _length_bytes(context.extradata or b"", 4)
            return lambda packet: _h264(_headers(bytes(packet), length_bytes))
        case "hevc":
            length_bytes = _length_bytes(context.extradata or b"", 21)
            return lambda packet: _hevc(_headers(bytes(packet), length_bytes))
        case _:
            return None


def idr(context: VideoCodecContext) -> PacketTest | None:
    """A test for packets before which nothing is needed any more; None for all but H.264."""
    if context.name != "h264":
        return None
    length_bytes = _length_bytes(context.extradata or b"", 4)
    return lambda packet: (
        _H264_IDR in {header & 31 for header in _headers(bytes(packet), length_bytes)}
    )


def nal_types(data: bytes) -> set[int]:
    """The types of the units of an H.264 packet with start codes."""
    return {header & 31 for header in _headers(data, 0)}


def _length_bytes(extradata: bytes, offset: int) -> int:
    """Size of the length field before each unit, from the avcC or hvcC box; 0: start codes."""
    is_box = extradata[:1] == b"\1"
    return (int.from_bytes(extradata[offset : offset + 1]) & 3) + 1 if is_box else 0


def _h264(headers: Iterator[int]) -> bool:
    slices = (header for header in headers if header & 31 in _H264_SLICES)
    return not next(slices, _H264_REFERENCE) & _H264_REFERENCE


def _hevc(headers: Iterator[int]) -> bool:
    kinds = (header >> 1 & 63 for header in headers)
    return next((kind for kind in kinds if kind in _HEVC_SLICES), 1) in _HEVC_UNREFERENCED


def _headers(data: bytes, length_bytes: int) -> Iterator[int]:
    """The first byte of each NAL unit."""
    offset = 0
    if not length_bytes:
        while (offset := data.find(_START_CODE, offset) + len(_START_CODE)) >= len(_START_CODE):
            yield from data[offset : offset + 1]
        return
    while offset + length_bytes < len(data):
        start = offset + length_bytes
        yield data[start]
        offset = start + int.from_bytes(data[offset:start], "big")
