"""Opens one video by path or URL, and explains why that failed."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from typing import cast

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from pipeline.config import DecodeConfig
from pipeline.errors import SourceError
from pipeline.media.codec import size_limit
from pipeline.media.failures import explain
from pipeline.processes.memory_limit import memory_limit
from pipeline.storage.access import PUBLIC, Access
from pipeline.storage.file import MediumFile, open_file
from pipeline.storage.joined_file import JoinedFile, open_joined
from pipeline.storage.playlists import is_playlist

# Formats that hold their own data. All other formats can open further files and URLs (hls, dash,
# concat, sdp, image2) or decode any text as a picture (tty). The segments of an HLS playlist are
# joined before FFmpeg sees them.
_FORMATS = (
    "mov,matroska,webm,mpegts,mpeg,mpegvideo,avi,asf,asf_o,flv,live_flv,kux,ogg,gif,apng,h261,h263,"
    "h264,hevc,vvc,m4v,mjpeg,mpjpeg,ivf,obu,av1,dv,mxf,nut,rm,wtv,dhav,gxf,lxf,vc1,vc1test,nsv,nuv,"
    "pva,cavsvideo,dirac,yuv4mpegpipe,swf,ifv,amv,"
    # Sound formats are listed so that the error message can say that the file is sound.
    "wav,w64,flac,mp3,aac,ac3,eac3,amr,aiff,au,caf,dts,truehd"
)
# Streams without a container have no times. FFmpeg counts their frames at the rate in the stream's
# own header, and at 25 per second if there is none.
_WITHOUT_TIMES = (
    "av1", "avs2", "avs3", "cavsvideo", "dirac", "evc", "h261", "h263", "h264", "hevc", "m4v",
    "mjpeg", "mjpeg_2000", "mpegvideo", "obu", "vc1", "vvc",
)  # fmt: skip
_ATTACHED = Disposition.attached_pic | Disposition.timed_thumbnails
_GENERATE_PTS = 1
_MAX_HEADER_BYTES = 1_200_000_000
"""A header of 3 KB may promise 89 million samples, for which FFmpeg takes 5 GB. At the
57 bytes each that were measured, the 20 million of ``decode.max_packets`` need 1,140 MB."""


@contextmanager
def open_container(
    uri: str,
    *,
    num_bytes: int = 0,
    max_pixels: int = DecodeConfig().max_pixels,
    access: Access = PUBLIC,
) -> Iterator[InputContainer]:
    """Open a local path or any fsspec URL to read packets.

    Timestamps come from the container: FFmpeg must not guess missing ones.

    Args:
        uri: of the file.
        num_bytes: length of the file as its store listed it; 0 if unknown.
        max_pixels: limit for one picture.
        access: what may be opened.

    Raises:
        SourceError: the file cannot be used; the message names the file, the cause and the remedy.
        UnreachableError: the medium does not answer, perhaps only while packets are read. What was
            read then does not show where the file ends or whether it is damaged.
    """
    options = {
        "format_whitelist": _FORMATS,
        "protocol_whitelist": "file",
        **size_limit(max_pixels),
    }
    opened: AbstractContextManager[MediumFile | JoinedFile] = (
        open_joined(uri, access) if is_playlist(uri) else open_file(uri, num_bytes, access)
    )
    with opened as file:
        try:
            with memory_limit(_MAX_HEADER_BYTES):
                container = av.open(file, mode="r", options=options, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError, RuntimeError) as exc:
            file.check()
            if isinstance(exc, MemoryError):
                raise SourceError(
                    f"{uri}: its header asks for more than {_MAX_HEADER_BYTES // 10**6} MB of"
                    " memory; it is damaged or made to do harm, copy it again from the original"
                ) from exc
            raise SourceError(explain(uri, exc, file)) from exc
        with container:
            container.flags &= ~_GENERATE_PTS
            yield container


def pick_video(container: InputContainer, uri: str) -> VideoStream:
    """The main video stream: no cover picture, the default stream first, then the largest.

    All other streams are discarded, so that the demuxer may skip them.

    Raises:
        SourceError: there is no video stream that can be decoded.
    """
    shown = [s for s in container.streams.video if not s.disposition & _ATTACHED]
    if not shown:
        if container.streams.audio:
            raise SourceError(
                f"{uri}: has sound but no video; set `speech` in the config to index what is said,"
                " or leave it out of the sources"
                + (" (its picture is only a cover)" if container.streams.video else "")
            )
        raise SourceError(f"{uri}: holds no video stream; record or export it again")
    decodable = [s for s in shown if s.codec_context is not None]
    if not decodable:
        raise SourceError(
            f"{uri}: this FFmpeg has no decoder for its video; convert it, for instance to H.264"
        )
    best = max(
        decodable,
        key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height, -s.index),
    )
    return use_stream(container, best.index)


def counted_rate(container: InputContainer, stream: VideoStream, uri: str) -> Fraction | None:
    """Frames per second by which FFmpeg counts a stream without times; None if it has times.

    Raises:
        SourceError: the stream has no times and does not say its rate.
    """
    if container.format.name not in _WITHOUT_TIMES:
        return None
    rate = stream.codec_context.framerate
    if not rate:
        raise SourceError(
            f"{uri}: is a bare {stream.codec_context.name} stream that has neither times nor a"
            " frame rate; put it into a container with the rate of its camera, for instance by"
            " ffmpeg -framerate 25 -i FILE -c copy FILE.mkv"
        )
    return rate


def use_stream(container: InputContainer, index: int) -> VideoStream:
    """Select one stream by its index and discard the others."""
    for stream in container.streams:
        if stream.index != index:
            stream.discard = Discard.all
    return cast("VideoStream", container.streams[index])
