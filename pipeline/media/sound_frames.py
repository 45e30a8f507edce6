"""Decodes one track of sound from a media time on, each frame with its own time."""

from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Discard, Stream

from pipeline.media.container import open_container
from pipeline.processes.watchdog import extend_limit
from pipeline.records import Video
from pipeline.storage.access import Access

_LEAD_IN_S = Fraction(1, 2)
_SEEK_BACK_S = (0, 4, 16, 64)
_MAX_FAILURES = 100
_WRAP_S = Fraction(2**33, 90_000)
"""After which the clock of a transport or program stream begins again."""
_WITHOUT_TIMES = frozenset({"aac", "ac3", "eac3", "dts", "truehd", "amr", "mp3"})
"""Formats in which a time after a seek is only guessed: they are read from their start."""


def sound_frames(
    video: Video, stream_index: int, start_s: Fraction, access: Access
) -> Iterator[tuple[Fraction, av.AudioFrame]]:
    """Frames from before ``start_s`` on, with their media times; damaged ones are left out."""
    for back_s in (*_SEEK_BACK_S, None):
        frames = _decoded(video, stream_index, start_s, back_s, access)
        first = next(frames, None)
        if back_s is None or (first is not None and first[0] <= start_s):
            break
    if first is not None:
        yield first
    yield from frames


def _decoded(
    video: Video, stream_index: int, start_s: Fraction, back_s: int | None, access: Access
) -> Iterator[tuple[Fraction, av.AudioFrame]]:
    origin_s = video.origin_pts * video.time_base
    with open_container(video.uri, num_bytes=video.num_bytes, access=access) as container:
        stream = container.streams[stream_index]
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        time_base = stream.time_base or Fraction(1, 1_000_000)
        if back_s is not None:
            target_s = origin_s + start_s - _LEAD_IN_S - back_s
            if container.format.name in _WITHOUT_TIMES:
                return
            try:
                container.seek(int(target_s / time_base), stream=stream)
            except av.FFmpegError:
                return  # the next attempt seeks to an earlier time
        wrap_s = _WRAP_S if container.format.name.startswith("mpeg") else None
        for frame in _read(container, stream):
            media_s = (frame.pts or 0) * (frame.time_base or time_base) - origin_s
            # FFmpeg may count sound and pictures from different sides of the wrap.
            yield media_s - (round((media_s - start_s) / wrap_s) * wrap_s if wrap_s else 0), frame


def _read(container: InputContainer, stream: Stream) -> Iterator[av.AudioFrame]:
    """Frames that have a time; what is damaged is left out."""
    for _ in range(_MAX_FAILURES):
        try:
            for packet in container.demux(stream):
                extend_limit()
                for frame in packet.decode():
                    if isinstance(frame, av.AudioFrame) and frame.pts is not None:
                        yield frame
        except (av.FFmpegError, IndexError):  # PyAV raises the latter for a stream that is new
            continue
        return
