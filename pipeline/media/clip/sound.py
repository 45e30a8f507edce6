"""The sound of a cut: exactly as long as its pictures, silent where there is none."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer

from pipeline.media.sound_frames import sound_frames
from pipeline.records import Video
from pipeline.storage.access import Access
from pipeline.timebase import NS_PER_S, Int64Array

RATE_HZ = 48_000
# Times of blocks are rounded by containers. What is farther off is a gap, not rounding.
_TOLERANCE = RATE_HZ // 50

Samples = npt.NDArray[np.float32]


def sound_stream(container: InputContainer) -> int | None:
    """Number of the first sound stream that can be decoded; None if there is none."""
    streams = (s.index for s in container.streams.audio if s.codec_context is not None)
    return next(streams, None)


def is_in_step(shifts: Int64Array, period: int | None) -> bool:
    """Whether sound has the times of pictures that were moved by so many ticks.

    Sound has no clock of its own by which it could be moved as the pictures were.
    """
    return not (shifts % period if period else shifts).any()


def samples(
    video: Video, number: int | None, start_ns: int, num_samples: int, access: Access
) -> Iterator[Samples]:
    """Blocks of stereo [2, n], ``num_samples`` in all, from a media time on.

    Args:
        video: the file.
        number: of its sound stream; None is silence.
        start_ns: media time of the first sample.
        num_samples: how many are wanted.
        access: what may be opened.
    """
    start_s = Fraction(start_ns, NS_PER_S)
    done = 0
    placed = () if number is None else _placed(video, number, start_s, num_samples, access)
    for at, block in placed:
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
    video: Video, number: int, start_s: Fraction, num_samples: int, access: Access
) -> Iterator[tuple[int, Samples]]:
    """Decoded blocks that overlap the range, with their places from its start, ascending."""
    following: int | None = None
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE_HZ)
    for media_s, frame in sound_frames(video, number, start_s, access):
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
