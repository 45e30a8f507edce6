"""Predicts the CPU seconds of decoding from the packet index alone."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.records import NO_PTS, PacketIndex, Video
from pipeline.timebase import BoolArray, Int64Array

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Codec:
    """Entropy decoding costs time per byte, prediction and filtering per pixel."""

    byte_s: float
    pixel_s: float


# CPU seconds of one core of an EPYC VM with FFmpeg 8.1, measured by tests/bench/calibrate_cost.py,
# which also runs on other machines. Only the ratios matter for balancing a job.
CODECS = {
    "h264": _Codec(byte_s=8.7e-8, pixel_s=1.25e-9),
    "hevc": _Codec(byte_s=7.3e-8, pixel_s=2.0e-9),
}
# Not measured: assumed to cost as much as H.264.
OTHER_CODECS = CODECS["h264"]
PACKET_S = 1.4e-5
GOP_S = 3.1e-4
SAMPLE_S = 1.0e-4
LUMA_PIXEL_S = 3.6e-10
RGB_SOURCE_PIXEL_S = 6.4e-10
RGB_PIXEL_S = 1.9e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The work of decoding; each array has one number per GOP [N]."""

    packets: FloatArray
    """Packets read, whether decoded or not."""
    decoded: FloatArray
    """Packets decoded: up to the last wanted one, without unwanted ones that none refers to."""
    decoded_bytes: FloatArray
    samples: FloatArray
    """Wanted frames."""


def work_of(packets: PacketIndex, gop_rows: Int64Array, targets: Int64Array) -> Work:
    """Count the work of decoding ``targets``.

    Args:
        packets: of the whole video.
        gop_rows: rows of the packets at which GOPs begin, the first 0; the last GOP ends with the
            file.
        targets: PTS of the wanted frames.
    """
    wanted = np.isin(packets.pts, targets) & (packets.pts != NO_PTS)
    rows = np.arange(len(packets))
    last_wanted = np.maximum.reduceat(np.where(wanted, rows, -1), gop_rows)
    lengths = np.diff(np.append(gop_rows, len(packets)))
    needed = rows <= np.repeat(last_wanted, lengths)
    needed &= wanted | ~_is_leaf(packets)
    return Work(
        packets=lengths.astype(np.float64),
        decoded=np.add.reduceat(needed, gop_rows, dtype=np.float64),
        decoded_bytes=np.add.reduceat(packets.num_bytes * needed, gop_rows, dtype=np.float64),
        samples=np.add.reduceat(wanted, gop_rows, dtype=np.float64),
    )


def gop_costs_s(
    video: Video,
    packets: PacketIndex,
    gop_rows: Int64Array,
    targets: Int64Array,
    *,
    rgb_pixels: int,
) -> FloatArray:
    """CPU seconds of decoding each GOP [N].

    Args:
        video: the video as probed.
        packets: as in ``work_of``.
        gop_rows: as in ``work_of``.
        targets: as in ``work_of``.
        rgb_pixels: pixels of one RGB picture; 0 if the engine needs none.
    """
    work = work_of(packets, gop_rows, targets)
    codec = CODECS.get(video.codec, OTHER_CODECS)
    pixels = video.width * video.height
    sample_s = SAMPLE_S + pixels * LUMA_PIXEL_S
    if rgb_pixels:
        sample_s += pixels * RGB_SOURCE_PIXEL_S + min(rgb_pixels, pixels) * RGB_PIXEL_S
    return np.asarray(
        work.packets * PACKET_S
        + (work.samples > 0) * GOP_S
        + work.decoded_bytes * codec.byte_s
        + work.decoded * pixels * codec.pixel_s
        + work.samples * sample_s
    )


def _is_leaf(packets: PacketIndex) -> BoolArray:
    """Which packets look like B-frames to which no other frame refers [N].

    Such a frame is shown before a frame that was decoded earlier, and the frame that is decoded
    next is shown later.
    """
    highest = np.maximum.accumulate(packets.pts)
    is_followed = np.append(packets.pts[1:] > packets.pts[:-1], [True])
    return np.asarray((packets.pts < highest) & is_followed, dtype=np.bool_)
