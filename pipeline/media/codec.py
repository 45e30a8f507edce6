"""A decoder that tells of the damage it meets; FFmpeg's keep some of it to themselves.

* HEVC's and MJPEG's put out damaged pictures as if nothing were wrong, unless they are told to stop
  at errors. H.264's says it anyway, and would lose pictures if told; VP8 and VP9 cannot know.
* Told to leave out pictures that no other refers to, H.264's takes a packet that is too damaged to
  hold any picture for one of these. So it is told only where the packet itself says so.
"""

from contextlib import suppress
from typing import Literal, cast

import av
from av.video.codeccontext import VideoCodecContext

from pipeline.media.demux import AnyPacket
from pipeline.media.nal import unreferenced

# FFmpeg counts a picture with its rows padded to 64 pixels; none has more than 65,535 rows.
_PADDING_PIXELS = 64 * 65_536
_SILENT = frozenset({"hevc", "mjpeg"})


def size_limit(max_pixels: int) -> dict[str, str]:
    """As an option of FFmpeg; a picture of just that size is let through."""
    return {"max_pixels": str(max_pixels + _PADDING_PIXELS)}


def prepare(context: VideoCodecContext, max_pixels: int) -> None:
    """One thread, as one process per core is fastest; no larger pictures."""
    context.thread_type = "NONE"
    context.thread_count = 1
    context.options = size_limit(max_pixels)


class Decoder:
    """Decodes the packets of one stream, in decode order.

    One that is not ``strict`` keeps damage to itself where FFmpeg's does. It is for what has been
    found damaged: a strict one may lose the picture for an error that does not touch it.
    """

    def __init__(self, context: VideoCodecContext, max_pixels: int, *, strict: bool) -> None:
        prepare(context, max_pixels)
        self.is_strict = strict and context.name in _SILENT
        """Whether another one might put out more."""
        if self.is_strict:
            context.options |= {"err_detect": "explode"}
        self._context = context
        self._max_pixels = max_pixels
        self._is_unreferenced = unreferenced(context) or (lambda _: True)
        self._lenient: VideoCodecContext | None = None

    def flush(self) -> None:
        """Forget what came before; the next packet begins anew."""
        self._context.flush_buffers()

    def decode(
        self, packet: AnyPacket | None, *, may_skip: bool
    ) -> tuple[list[av.VideoFrame], bool]:
        """Frames that come out after one packet, and whether it is damaged; None drains.

        With ``may_skip`` a picture that no other refers to is left out.
        """
        skips = may_skip and packet is not None and self._is_unreferenced(packet)
        skip: Literal["NONREF", "DEFAULT"] = "NONREF" if skips else "DEFAULT"
        if self._context.skip_frame != skip:
            self._context.skip_frame = skip
        is_damaged = packet is not None and packet.is_corrupt
        try:
            return list(self._context.decode(packet)), is_damaged
        except av.FFmpegError:
            return self._as_far_as_it_goes(packet), True

    def _as_far_as_it_goes(self, packet: AnyPacket | None) -> list[av.VideoFrame]:
        """What can be seen of a damaged MJPEG picture, which needs no other one."""
        if self._context.name != "mjpeg" or packet is None:
            return []
        if self._lenient is None:
            created = av.CodecContext.create(self._context.name, "r")
            self._lenient = cast("VideoCodecContext", created)
            self._lenient.extradata = self._context.extradata
            prepare(self._lenient, self._max_pixels)
        with suppress(av.FFmpegError):
            return list(self._lenient.decode(packet))
        return []
