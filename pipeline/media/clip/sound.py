"""The sound of cuts as one track: exactly as long as their pictures, silent where there is none."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.stream import Stream

from pipeline.media.clip.stretch import Stretch
from pipeline.media.container import open_container
from pipeline.storage.access import Access
from pipeline.timebase import NS_PER_S, TimeRange

RATE_HZ = 48_000
_LEAD_IN_S = Fraction(1, 2)
_SEEK_BACK_S = (0, 4, 16, 64)
# Times of blocks are rounded by containers. What is farther off is a gap, not rounding.
_TOLERANCE = RATE_HZ // 50
_MAX_FAILURES = 100
_WRAP_S = Fraction(2**33, 90_000)
"""After which the clock of a transport or program stream begins again."""

Samples = npt.NDArray[np.float32]


def samples(
    stretch: Stretch, media: TimeRange, num_samples: int, access: Access
) -> Iterator[Samples]:
    """Blocks of stereo [2, n], ``num_samples`` in all, from the start of a range on."""
    start_s = Fraction(media.start_ns, NS_PER_S)
    done = 0
    for at, block in _placed(stretch, start_s, num_samples, access):
        if at > done:
            yield from _silence(at - done)
            done = at
        kept = block[:, done - at : num_samples - at]
        if kept.shape[1]:
            yield kept
            done += kept.shape[1]
    yield from _silence(num_samples - done)


def _silence(num_samples: int) -> Iterator[Samples]:
    for at in range(0, num_samples, RATE_HZ):
        yield np.zeros((2, min(RATE_HZ, num_samples - at)), np.float32)


def _placed(
    stretch: Stretch, start_s: Fraction, num_samples: int, access: Access
) -> Iterator[tuple[int, Samples]]:
    """Decoded blocks that overlap the range, with their places from its start, ascending."""
    if stretch.sound_index is None:
        return
    following: int | None = None
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE_HZ)
    for media_s, frame in _frames(stretch, start_s, access):
        at = round((media_s - start_s) * RATE_HZ)
        if at >= num_samples:
            return
        if following is None or abs(at - following) > _TOLERANCE:
            following = at
        frame.pts = None  # the resampler would fill gaps by itself, and in another way
        for piece in resampler.resample(frame):
            block: Samples = piece.to_ndarray().astype(np.float32, copy=False)
            begin, following = following, following + block.shape[1]
            if following > 0:
                yield begin, block


def _frames(
    stretch: Stretch, start_s: Fraction, access: Access
) -> Iterator[tuple[Fraction, av.AudioFrame]]:
    """Frames from before ``start_s`` on, with their media times; damaged ones are left out."""
    for back_s in (*_SEEK_BACK_S, None):
        frames = _decoded(stretch, start_s, back_s, access)
        first = next(frames, None)
        if back_s is None or (first is not None and first[0] <= start_s):
            break
    if first is not None:
        yield first
    yield from frames


def _decoded(
    stretch: Stretch, start_s: Fraction, back_s: int | None, access: Access
) -> Iterator[tuple[Fraction, av.AudioFrame]]:
    video = stretch.video
    origin_s = video.origin_pts * video.time_base
    with open_container(video.uri, num_bytes=video.num_bytes, access=access) as container:
        stream = container.streams[stretch.sound_index or 0]
        for other in container.streams:
            if other is not stream:
                other.discard = av.stream.Discard.all
        time_base = stream.time_base or Fraction(1, 1_000_000)
        if back_s is not None:
            target_s = origin_s + start_s - _LEAD_IN_S - back_s
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
                for frame in packet.decode():
                    if isinstance(frame, av.AudioFrame) and frame.pts is not None:
                        yield frame
        except (av.FFmpegError, IndexError):  # PyAV raises the latter for a stream that is new
            continue
        return
