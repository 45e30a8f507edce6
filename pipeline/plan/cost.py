"""What decoding costs, in CPU seconds: read from the packet index alone."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.records import NO_PTS, PacketIndex, Video
from pipeline.timebase import BoolArray, Int64Array

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Codec:
    """Entropy decoding goes by bytes, prediction and filtering by pixels."""

    byte_s: float
    pixel_s: float


# CPU seconds of one core of an EPYC VM with FFmpeg 8.1, by tests/bench/calibrate_cost.py: run that
# on other machines. Only their ratios matter to how a job is balanced.
CODECS = {
    "h264": _Codec(byte_s=8.7e-8, pixel_s=1.25e-9),
    "hevc": _Codec(byte_s=7.3e-8, pixel_s=2.0e-9),
}
# Not measured: taken to be like H.264.
OTHER_CODECS = CODECS["h264"]
PACKET_S = 1.4e-5
GOP_S = 3.1e-4
SAMPLE_S = 1.0e-4
LUMA_PIXEL_S = 3.6e-10
RGB_SOURCE_PIXEL_S = 6.4e-10
RGB_PIXEL_S = 1.9e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What decoding has to do; each array holds one number per GOP [N]."""

    packets: FloatArray
    """Read, whether decoded or not."""
    decoded: FloatArray
    """Packets decoded: as far as the last wanted one, without those nobody refers to."""
    decoded_bytes: FloatArray
    samples: FloatArray


def work_of(packets: PacketIndex, gop_rows: Int64Array, targets: Int64Array) -> Work:
    """Count the work of decoding ``targets``.

    Args:
        packets: of the whole video.
        gop_rows: rows of the packets at which GOPs begin, from 0; the last ends with the file.
        targets: ticks of the wanted frames.
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
    """CPU seconds of decoding each GOP [N]; for the arguments see ``work_of``.

    Args:
        video: as probed.
        packets: likewise.
        gop_rows: likewise.
        targets: likewise.
        rgb_pixels: of one colour picture; 0 where nobody asks for one.
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
    """Which packets look like B-frames to which no other refers [N].

    They are shown before one that was decoded earlier, and what is decoded next is shown later.
    """
    highest = np.maximum.accumulate(packets.pts)
    is_followed = np.append(packets.pts[1:] > packets.pts[:-1], [True])
    return np.asarray((packets.pts < highest) & is_followed, dtype=np.bool_)
