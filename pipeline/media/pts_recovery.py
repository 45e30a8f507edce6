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
    dts = packets.dts
    if (dts == NO_PTS).any():
        dts = np.concatenate([[0], np.cumsum(np.maximum(durations, 1))[:-1]])
    if not stream.codec_context.has_b_frames:
        pts = np.where(packets.pts == NO_PTS, dts, packets.pts)
        return replace(packets, pts=pts), [
            "the file stores no display times; decode times are used"
        ]
    order = _shown_order(uri, stream.index, len(packets), max_pixels, access)
    shown = np.array(order, dtype=np.int64)
    pts = np.full(len(packets), NO_PTS, dtype=np.int64)
    pts[shown] = np.sort(dts[shown])
    if packets.pts[0] != NO_PTS:  # the container stores some times, including the first
        known = (packets.pts != NO_PTS) & (pts != NO_PTS)
        pts[shown] += int(np.median(packets.pts[known] - pts[known]))
    return replace(packets, pts=pts), [
        "the file stores no display times for reordered frames; they were counted by decoding it"
    ]


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
