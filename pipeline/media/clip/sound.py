"""The sound of cuts as one track: exactly as long as their pictures, silent where there is none."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

from pipeline.media.clip.stretch import Stretch
from pipeline.media.sound_frames import sound_frames
from pipeline.storage.access import Access
from pipeline.timebase import NS_PER_S, TimeRange

RATE_HZ = 48_000
# Times of blocks are rounded by containers. What is farther off is a gap, not rounding.
_TOLERANCE = RATE_HZ // 50

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
    for media_s, frame in sound_frames(stretch.video, stretch.sound_index, start_s, access):
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
