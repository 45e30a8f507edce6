"""Presentation times for containers that do not store them (AVI, raw H.264, MPEG program streams).

Only the decoder knows the order in which such frames are shown, so the file is decoded once.
"""

from contextlib import suppress
from dataclasses import replace

import av
import numpy as np
from av.video.stream import VideoStream

from pipeline.media.codec import prepare
from pipeline.media.container import open_container, use_stream
from pipeline.media.demux import Demuxer
from pipeline.records import NO_PTS, PacketIndex
from pipeline.storage.access import PUBLIC, Access
from pipeline.timebase import Int64Array


def presentation_pts(
    packets: PacketIndex,
    uri: str,
    stream: VideoStream,
    durations: Int64Array,
    *,
    max_pixels: int,
    access: Access = PUBLIC,
) -> tuple[PacketIndex, list[str]]:
    """Give every shown packet a pts; also return a warning if the container does not store them.

    Without reordering a packet is shown when it is decoded. Otherwise the k-th frame that the
    decoder outputs gets the k-th of the sorted times of all shown packets. A packet that shows no
    frame keeps ``NO_PTS``.
    """
    missing = (packets.pts == NO_PTS) & ~packets.discard
    if not missing.any():
        return packets, []
    has_dts = bool((packets.dts != NO_PTS).any())
    dts = _decode_times(packets.dts if has_dts else packets.pts, durations)
    known = (packets.pts != NO_PTS) & (packets.dts != NO_PTS)
    delay = int(np.median(packets.pts[known] - dts[known])) if known.any() else 0
    if not stream.codec_context.has_b_frames:
        pts = np.where(packets.pts == NO_PTS, dts + delay, packets.pts)
        return replace(packets, pts=pts), [
            "the file stores display times of some frames only; the others are evenly spaced"
            if known.any()
            else "the file stores no display times; decode times are used"
        ]
    order = _shown_order(uri, stream.index, len(packets), max_pixels, access)
    shown = np.array(order, dtype=np.int64)
    pts = np.full(len(packets), NO_PTS, dtype=np.int64)
    pts[shown] = np.sort(dts[shown])
    known = (packets.pts != NO_PTS) & (pts != NO_PTS)
    if known.any():  # the container stores some times
        pts[shown] += int(np.median(packets.pts[known] - pts[known]))
    return replace(packets, pts=pts), [
        "the file stores no display times for reordered frames; they were counted by decoding it"
    ]


def _decode_times(dts: Int64Array, durations: Int64Array) -> Int64Array:
    """The decode times, with the missing ones evenly spaced between those that are known.

    Where several frames share a packet of the container, only the first has a time.
    """
    known = np.flatnonzero(dts != NO_PTS)
    if len(known) == len(dts):
        return dts
    if not len(known):
        return np.concatenate([[0], np.cumsum(np.maximum(durations, 1))[:-1]])
    rows = np.arange(len(dts))
    filled = dts[known[0]] + np.round(
        np.interp(rows, known, (dts[known] - dts[known[0]]).astype(np.float64))
    ).astype(np.int64)
    intervals = np.diff(dts[known]) / np.diff(known)
    usual = float(np.median(intervals)) if len(intervals) else float(np.median(durations))
    step = max(1, round(usual))
    before, after = rows < known[0], rows > known[-1]
    filled[before] = dts[known[0]] - step * (known[0] - rows[before])
    filled[after] = dts[known[-1]] + step * (rows[after] - known[-1])
    return np.where(dts == NO_PTS, filled, dts)


def _shown_order(
    uri: str, stream_index: int, num_packets: int, max_pixels: int, access: Access
) -> list[int]:
    """Rows of the packet index in the order in which the decoder outputs their frames."""
    order: dict[int | None, None] = {}
    with open_container(uri, max_pixels=max_pixels, access=access) as container:
        stream = use_stream(container, stream_index)
        context = stream.codec_context
        prepare(context, max_pixels)
        rows = iter(range(num_packets))
        for (packet, _, _), row in zip(Demuxer(container, stream), rows, strict=False):
            packet.pts = row
            packet.dts = None
            try:
                order.update((frame.pts, None) for frame in context.decode(packet))
            except av.FFmpegError:
                continue
        with suppress(av.FFmpegError):
            order.update((frame.pts, None) for frame in context.decode(None))
    return [row for row in order if row is not None]
