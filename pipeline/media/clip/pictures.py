"""The decoded pictures of a cut in full size, each with its own pts."""

from collections.abc import Iterator, Sequence
from itertools import chain

import av
import numpy as np

from pipeline.config import DecodeConfig
from pipeline.media.clip.stretch import Stretch
from pipeline.media.reader import Reader
from pipeline.records import LEAD_IN_KEYFRAMES, PacketIndex
from pipeline.storage.access import Access


def pictures(
    stretch: Stretch, wanted: Sequence[int], *, decode: DecodeConfig, access: Access
) -> Iterator[av.VideoFrame]:
    """The frames at ``wanted`` ticks, ascending; those that cannot be decoded are left out.

    Decoding begins at the last keyframe that is shown before them. If the first frame does not come
    out, as after an intra refresh, it begins some keyframes earlier.
    """
    for first in _entries(stretch.packets, wanted):
        frames = _decoded(stretch, first, wanted, decode, access)
        frame = next(frames, None)
        if frame is not None and frame.pts == wanted[0]:
            break
    if frame is not None:
        yield frame
    yield from frames


def _entries(packets: PacketIndex, wanted: Sequence[int]) -> list[int]:
    """Rows at which decoding may begin, the best first."""
    rows = np.flatnonzero(np.isin(packets.pts, np.array(wanted, np.int64)))
    keys = np.flatnonzero(packets.keyframe)
    before = keys[(keys <= rows[0]) & (packets.pts[keys] <= wanted[0])]
    if not len(before):
        return [0]
    earlier = max(0, len(before) - 1 - LEAD_IN_KEYFRAMES)
    return list(dict.fromkeys([int(before[-1]), int(before[earlier]), 0]))


def _decoded(
    stretch: Stretch, first: int, wanted: Sequence[int], decode: DecodeConfig, access: Access
) -> Iterator[av.VideoFrame]:
    packets, ticks = stretch.packets, frozenset(wanted)
    last = int(np.flatnonzero(np.isin(packets.pts, np.array(wanted, np.int64)))[-1])
    last_pts = wanted[0] - 1
    with Reader(stretch.video, packets, decode.max_pixels, strict=False, access=access) as reader:
        for _, packet in chain(reader.rows(first, last), [(last, None)]):
            # Nothing is skipped: some decoders lose wanted frames with the others.
            for frame in reader.decoder.decode(packet, may_skip=False)[0]:
                if frame.pts is not None and frame.pts in ticks and frame.pts > last_pts:
                    last_pts = frame.pts
                    yield frame
