"""Cuts a video into shards and windows that tile its footage exactly.

A shard owns the grid points in ``[start, end)``. It begins at a keyframe that is shown, so that the
frame on screen at its first point is never from before the shard. A window owns the time from its
first frame to the first frame of the next window.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from pipeline.config import PlanConfig, SampleConfig
from pipeline.plan.cost import FloatArray, gop_costs_s
from pipeline.plan.grid import sampled_pts, ticks_of
from pipeline.records import (
    LEAD_IN_KEYFRAMES,
    NO_PTS,
    PacketIndex,
    Shard,
    Video,
    WindowPlan,
    name_shard,
)
from pipeline.timebase import Int64Array, TimeRange


def plan_shards(
    video: Video,
    packets: PacketIndex,
    *,
    sample: SampleConfig,
    plan: PlanConfig,
    rgb_pixels: int = 0,
) -> tuple[Shard, ...]:
    """Cut one video into shards of about ``plan.shard_cost_s``, and the shards into windows.

    ``rgb_pixels`` is the number of pixels of one RGB picture, 0 if the engine needs none.
    """
    targets = sampled_pts(video, packets, sample)
    gop_rows = _gop_rows(packets)
    gop_starts = packets.pts[gop_rows]
    costs_s = gop_costs_s(video, packets, gop_rows, targets, rgb_pixels=rgb_pixels)
    cuts = _cuts(video, gop_starts, costs_s, targets, plan.shard_cost_s)
    bounds_pts = [int(targets[0]), *cuts, int(targets[-1]) + 1]
    bounds_ns = [
        video.span.start_ns,
        *(video.media_ns(cut) for cut in cuts),
        video.span.end_ns,
    ]
    owner = np.searchsorted(np.array(cuts, dtype=np.int64), gop_starts, side="right")
    contents = _Contents(video, packets, targets)
    shards = []
    for (low, high), (start_ns, end_ns), cost_s in zip(
        pairwise(bounds_pts), pairwise(bounds_ns), np.bincount(owner, costs_s), strict=True
    ):
        span = TimeRange(start_ns, end_ns)
        owned = targets[(targets >= low) & (targets < high)]
        windows = tuple(_windows(video, span, owned, plan.max_window_frames, contents))
        shards.append(
            Shard(
                shard_id=name_shard(windows),
                video=video,
                span=span,
                packets=packets_for(packets, owned),
                windows=windows,
                cost_s=float(cost_s),
            )
        )
    return tuple(shards)


def packets_for(packets: PacketIndex, want_pts: Sequence[int] | Int64Array) -> PacketIndex:
    """The packets in decode order that decoding ``want_pts`` may need, with the lead-in.

    The leading pictures of an open GOP are shown before the keyframe that they follow in decode
    order. So the last packet is found by its PTS, and not by the end of the shard.
    """
    wanted = np.flatnonzero(np.isin(packets.pts, np.asarray(want_pts, dtype=np.int64)))
    keyframes = np.flatnonzero(packets.keyframe)
    governing = int(np.searchsorted(keyframes, wanted[0], side="right")) - 1
    lead_in = max(governing - LEAD_IN_KEYFRAMES, 0)
    start = int(keyframes[lead_in]) if governing > 0 else 0
    return packets[start : int(wanted[-1]) + 1]


class _Contents:
    """Content ids of frames: the hash of the stream up to the end of the GOP of the last frame.

    Nothing after that end can change what the frames show.
    """

    def __init__(self, video: Video, packets: PacketIndex, targets: Int64Array) -> None:
        self._video = video
        self._digests = packets.digests
        self._targets = targets
        by_pts = np.argsort(packets.pts, kind="stable")
        position = np.searchsorted(packets.pts, targets, side="right", sorter=by_pts) - 1
        keyframes = np.flatnonzero(packets.keyframe)
        self._next_keyframe = np.searchsorted(keyframes, by_pts[position], side="right")

    def of(self, frame_pts: Sequence[int]) -> str:
        """The content id of consecutive targets."""
        first, last = np.searchsorted(self._targets, [frame_pts[0], frame_pts[-1]])
        end = int(self._next_keyframe[first : last + 1].max())
        if end < len(self._digests):
            return bytes(self._digests[end]).hex()
        return self._video.content_id


def _gop_rows(packets: PacketIndex) -> Int64Array:
    """Row 0 and the rows of keyframes with which a shard may start."""
    usable = packets.keyframe & ~packets.discard & (packets.pts != NO_PTS)
    rows = np.flatnonzero(usable)
    # A shard cannot start with a keyframe that is shown before an earlier keyframe.
    rows = rows[packets.pts[rows] >= np.maximum.accumulate(packets.pts[rows])]
    return np.union1d([0], rows)


def _cuts(
    video: Video,
    gop_starts: Int64Array,
    costs_s: FloatArray,
    targets: Int64Array,
    shard_cost_s: float,
) -> list[int]:
    """PTS of the keyframes to cut at: the first after each ``shard_cost_s`` of decoding.

    The last shard costs between half and one and a half times that. Only packets before a cut
    decide where it is, so that a file that grows keeps its cuts. After each cut there is a target
    in the same stretch of footage, so that no footage is left without a window.
    """
    footage_starts_ns = [footage.start_ns for footage in video.footage]

    def stretch(pts: int) -> int:
        return bisect_right(footage_starts_ns, video.media_ns(pts))

    num_shards = max(1, round(float(costs_s.sum()) / shard_cost_s))
    before_s = np.cumsum(costs_s) - costs_s
    goals_s = np.arange(1, num_shards) * shard_cost_s
    cuts: list[int] = []
    previous = bisect_left(targets, int(gop_starts[0])) if len(gop_starts) else 0
    for index in sorted({int(i) for i in np.searchsorted(before_s, goals_s)}):
        if not 0 < index < len(gop_starts):
            continue
        cut = int(gop_starts[index])
        position = bisect_left(targets, cut)
        if not previous < position < len(targets):
            continue
        if stretch(int(targets[position])) == stretch(cut):
            cuts.append(cut)
            previous = position
    return cuts


def _windows(
    video: Video, span: TimeRange, targets: Int64Array, max_frames: int, contents: _Contents
) -> Iterator[WindowPlan]:
    """Windows that tile the shard's footage; no window contains a gap."""
    for footage in video.footage:
        if not footage.overlaps(span):
            continue
        start_ns = max(footage.start_ns, span.start_ns)
        end_ns = min(footage.end_ns, span.end_ns)
        first, last = np.searchsorted(targets, ticks_of(video, TimeRange(start_ns, end_ns)))
        starts = [int(first) + offset for offset in _window_starts(int(last - first), max_frames)]
        for low, high in pairwise([*starts, int(last)]):
            window = TimeRange(
                start_ns if low == first else video.media_ns(int(targets[low])),
                end_ns if high == last else video.media_ns(int(targets[high])),
            )
            frame_pts = tuple(int(pts) for pts in targets[low:high])
            yield WindowPlan.of(video.video_id, contents.of(frame_pts), window, frame_pts)


def _window_starts(num_frames: int, max_frames: int) -> list[int]:
    """Offsets at which windows start: all windows are full, except for at most the last two.

    So a shard of a file that grows keeps all windows but its last two. If the last window would be
    less than half full, it shares its frames evenly with the window before it. They are shared in
    pairs if possible: a temporal patch of a video model is two frames, and the model sees an odd
    last frame twice.
    """
    starts = list(range(0, num_frames, max_frames))
    if len(starts) > 1 and 2 * (num_frames - starts[-1]) < max_frames:
        unit = 2 if max_frames % 2 == 0 else 1
        num_units = -(-(num_frames - starts[-2]) // unit)
        starts[-1] = starts[-2] + num_units // 2 * unit
    return starts
