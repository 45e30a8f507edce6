"""Opening one video by path or URL, and saying in plain words why that failed."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import av
import fsspec
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from pipeline.config import DecodeConfig
from pipeline.errors import SourceError
from pipeline.media.decoder import size_limit
from pipeline.media.failures import explain, oneline

# Containers that hold their own data. What is not listed can read other files and URLs (hls, dash,
# concat, sdp, image2) or takes any text for a picture (tty).
_FORMATS = (
    "mov,matroska,webm,mpegts,mpeg,mpegvideo,avi,asf,asf_o,flv,live_flv,kux,ogg,gif,apng,h261,h263,"
    "h264,hevc,vvc,m4v,mjpeg,mpjpeg,ivf,obu,av1,dv,mxf,nut,rm,wtv,dhav,gxf,lxf,vc1,vc1test,nsv,nuv,"
    "pva,cavsvideo,dirac,yuv4mpegpipe,swf,ifv,amv,"
    # Known as sound, so that the message can say so.
    "wav,w64,flac,mp3,aac,ac3,eac3,amr,aiff,au,caf,dts,truehd"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BLOCK_BYTES = 2 * 1024 * 1024
_MAX_BLOCKS = 8
_ATTACHED = Disposition.attached_pic | Disposition.timed_thumbnails
_GENERATE_PTS = 1

File: TypeAlias = BinaryIO | Any  # fsspec file objects are not typed


@contextmanager
def open_container(
    uri: str, *, max_pixels: int = DecodeConfig().max_pixels
) -> Iterator[InputContainer]:
    """Open a local path or any fsspec URL for reading packets.

    Timestamps are those of the container: FFmpeg's guesses for missing ones are switched off.

    Raises:
        SourceError: names the file, the cause and the way out.
    """
    options = {
        "format_whitelist": _FORMATS,
        "protocol_whitelist": "file",
        **size_limit(max_pixels),
    }
    with _target(uri) as target:
        try:
            container = av.open(target, mode="r", options=options, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError, RuntimeError) as exc:
            raise SourceError(explain(uri, exc, target)) from exc
        with container:
            container.flags &= ~_GENERATE_PTS
            yield container


def is_remote(uri: str) -> bool:
    """Whether ``uri`` is a URL that fsspec reads, and not a path of this machine."""
    return bool(_SCHEME.match(uri)) and not uri.startswith("file://")


def local_path(uri: str) -> Path:
    """The path of a local ``uri``."""
    return Path(uri.removeprefix("file://"))


@contextmanager
def _target(uri: str) -> Iterator[File]:
    """What FFmpeg may open safely: ``file:`` and a path, or a file object."""
    if is_remote(uri):
        with _open_remote(uri) as file:
            yield file
        return
    path = local_path(uri)
    try:
        found = path.stat()
    except OSError as exc:
        raise SourceError(f"{uri}: cannot be read ({exc.strerror}); check the path") from exc
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or pipe"
        raise SourceError(f"{uri}: is {kind}, not a file; name the video files themselves")
    if found.st_size == 0:
        raise SourceError(f"{uri}: is empty (0 bytes); nothing was recorded, delete it")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{uri}: may not be read; change its permissions")
    yield f"file:{path}"


@contextmanager
def _open_remote(uri: str) -> Iterator[File]:
    try:
        # Not fsspec.open(): it hands these options to the store's client, which S3's refuses.
        filesystem, path = fsspec.core.url_to_fs(uri)
        opened = filesystem.open(
            path,
            "rb",
            block_size=_BLOCK_BYTES,
            cache_type="background",  # blocks, and always the next one ahead
            cache_options={"maxblocks": _MAX_BLOCKS},
        )
    except Exception as exc:  # each store has its own
        raise SourceError(
            f"{uri}: cannot be opened ({oneline(exc)}); check the address and your access to it"
        ) from exc
    with opened:
        if getattr(opened, "size", None) == 0:
            raise SourceError(f"{uri}: is empty (0 bytes); nothing was recorded, delete it")
        yield _Remote(uri, opened)


class _Remote:
    """A file object whose failures say which file; a broken line must not look like its end."""

    def __init__(self, uri: str, file: File) -> None:
        self.name = uri
        self._file = file

    def read(self, size: int) -> bytes:
        try:
            return bytes(self._file.read(size))
        except Exception as exc:
            raise SourceError(
                f"{self.name}: reading broke off ({oneline(exc)}); check the network and run again"
            ) from exc

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())


def pick_video(container: InputContainer, uri: str) -> VideoStream:
    """The main video stream: no cover pictures, default disposition first, then the largest.

    All other streams are discarded, so that the demuxer may skip them.

    Raises:
        SourceError: there is none.
    """
    shown = [s for s in container.streams.video if not s.disposition & _ATTACHED]
    if not shown:
        if container.streams.audio:
            raise SourceError(
                f"{uri}: has sound but no video; leave it out of the sources"
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


def use_stream(container: InputContainer, index: int) -> VideoStream:
    """Select one stream by its index and discard the others."""
    for stream in container.streams:
        if stream.index != index:
            stream.discard = Discard.all
    return cast("VideoStream", container.streams[index])
