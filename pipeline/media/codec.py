"""A decoder that reports damage, some of which the decoders of FFmpeg hide.

* The HEVC and MJPEG decoders output damaged pictures without any sign of it, unless
  ``err_detect=explode`` stops them at errors. The H.264 decoder reports damage without that option,
  and would lose pictures with it. The VP8 and VP9 decoders cannot detect damage.
* With ``skip_frame=NONREF`` the H.264 decoder treats a packet that is too damaged to hold a picture
  as one that no other picture refers to. So the option is set only if the packet itself says that.
"""

from contextlib import suppress
from typing import Literal, cast

import av
from av.video.codeccontext import VideoCodecContext

from pipeline.media.demux import AnyPacket
from pipeline.media.nal import unreferenced

# FFmpeg pads the rows of a picture to 64 pixels before it counts; there are at most 65,535 rows.
_PADDING_PIXELS = 64 * 65_536
_HIDES_DAMAGE = frozenset({"hevc", "mjpeg"})


def size_limit(max_pixels: int) -> dict[str, str]:
    """The limit as an option of FFmpeg; a picture with exactly ``max_pixels`` is accepted."""
    return {"max_pixels": str(max_pixels + _PADDING_PIXELS)}


def prepare(context: VideoCodecContext, max_pixels: int) -> None:
    """Use one thread, as one process per core is fastest, and refuse larger pictures."""
    context.thread_type = "NONE"
    context.thread_count = 1
    context.options = size_limit(max_pixels)


class Decoder:
    """Decodes the packets of one stream, in decode order.

    A decoder that is not ``strict`` hides the same damage as FFmpeg. Use it for a GOP that is known
    to be damaged: a strict decoder may lose a picture because of an error that does not affect it.
    """

    def __init__(self, context: VideoCodecContext, max_pixels: int, *, strict: bool) -> None:
        prepare(context, max_pixels)
        self.is_strict = strict and context.name in _HIDES_DAMAGE
        """Whether a decoder that is not strict might output more pictures."""
        if self.is_strict:
            context.options |= {"err_detect": "explode"}
        self._context = context
        self._max_pixels = max_pixels
        self._is_unreferenced = unreferenced(context) or (lambda _: True)
        self._lenient: VideoCodecContext | None = None

    def flush(self) -> None:
        """Discard the state of the decoder; the next packet starts a new sequence."""
        self._context.flush_buffers()

    def decode(
        self, packet: AnyPacket | None, *, may_skip: bool
    ) -> tuple[list[av.VideoFrame], bool]:
        """Frames that the decoder outputs after one packet, and whether the packet is damaged.

        None as the packet drains the decoder. With ``may_skip`` the decoder skips a picture that no
        other picture refers to.
        """
        skips = may_skip and packet is not None and self._is_unreferenced(packet)
        skip: Literal["NONREF", "DEFAULT"] = "NONREF" if skips else "DEFAULT"
        if self._context.skip_frame != skip:
            self._context.skip_frame = skip
        is_damaged = packet is not None and packet.is_corrupt
        try:
            return list(self._context.decode(packet)), is_damaged
        except av.FFmpegError:
            return self._visible_part(packet), True

    def _visible_part(self, packet: AnyPacket | None) -> list[av.VideoFrame]:
        """The part that can be decoded of a damaged MJPEG picture, which needs no other picture."""
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
