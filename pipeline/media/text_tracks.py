"""Texts inside a file: its tracks of subtitles, as WebVTT."""

from collections.abc import Iterator

import av
from av.container import InputContainer
from av.stream import Discard

from pipeline.errors import SourceError
from pipeline.media.container import open_container
from pipeline.processes.watchdog import extend_limit
from pipeline.records import Video
from pipeline.storage.access import Access
from pipeline.timebase import NS_PER_MS, pts_to_ns

_CODECS = frozenset({"mov_text", "subrip", "webvtt", "text"})
_MAX_BYTES = 32 * 1024 * 1024
"""Of all tracks together, as of a file beside a recording."""
_CUE_BYTES = 32
"""A cue takes so many beside its text, also if that is empty."""
_LAST_MS = 4_000


def text_tracks(video: Video, access: Access) -> Iterator[tuple[str, str]]:
    """The language and the text of each track, with media times.

    Raises:
        SourceError: the file cannot be opened any more, or holds too much text.
        UnreachableError: the medium does not answer.
    """
    with open_container(video.uri, num_bytes=video.num_bytes, access=access) as container:
        wanted = [one.index for one in container.streams.subtitles if _codec(one) in _CODECS]
        cues: dict[int, list[str]] = {index: [] for index in wanted}
        if not wanted:
            return
        for stream in container.streams:
            if stream.index not in cues:
                stream.discard = Discard.all
        _collect(container, video, cues)
        for index, listed in cues.items():
            yield container.streams[index].metadata.get("language", ""), "\n\n".join(listed)


def _collect(container: InputContainer, video: Video, cues: dict[int, list[str]]) -> None:
    origin_s = video.origin_pts * video.time_base
    left_bytes = _MAX_BYTES
    try:
        for packet in container.demux([container.streams[index] for index in cues]):
            extend_limit()
            if packet.pts is None or not packet.size or packet.time_base is None:
                continue
            listed = cues[packet.stream.index]
            left_bytes -= packet.size + _CUE_BYTES
            if left_bytes < 0:
                raise SourceError(
                    f"{video.uri}: its tracks of text hold more than {_MAX_BYTES:,} bytes; put the"
                    " captions beside it, or leave it out of the sources"
                )
            text = bytes(packet)
            if _codec(packet.stream) == "mov_text":  # its length comes first
                text = text[2 : 2 + int.from_bytes(text[:2], "big")]
            origin = round(origin_s / packet.time_base)
            start_ms = pts_to_ns(packet.pts - origin, packet.time_base) // NS_PER_MS
            lasts_ms = pts_to_ns(packet.duration or 0, packet.time_base) // NS_PER_MS or _LAST_MS
            if text.strip() and start_ms >= 0:
                lines = " ".join(text.decode("utf-8", "replace").split())
                listed.append(f"{_clock(start_ms)} --> {_clock(start_ms + lasts_ms)}\n{lines}")
    except (av.FFmpegError, IndexError):
        return  # the rest cannot be read; what came before it is as it was


def _codec(stream: "av.stream.Stream") -> str:
    # The name of the decoder is another one: it is srt for SubRip.
    return stream.codec_context.codec.canonical_name if stream.codec_context else ""


def _clock(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}"
