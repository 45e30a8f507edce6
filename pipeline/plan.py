"""plan: sample grid, shards and windows that tile a video's footage exactly. Pure.

A shard owns the grid points in its ``[start, end)``; cuts fall on keyframes that are shown, so
the frame on screen at a shard's first point is never older than the shard. A window owns the
time from its first frame to the next window's.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np

from pipeline.config import PlanConfig, SampleConfig
from pipeline.records import NO_PTS, PacketIndex, Shard, Video, WindowPlan, make_id
from pipeline.timebase import Int64Array, TimeRange, fps_fraction, on_grid

# CPU seconds, from facts measured on one core of a Xeon with FFmpeg 8: entropy decoding goes by
# bytes, prediction and filtering by pixels, scaling by frames that are kept.
COST_S_PER_BYTE = 5e-8
COST_S_PER_PIXEL = 1.2e-9
COST_S_PER_SAMPLE = 2.5e-3

# Intra-refresh streams need up to three keyframes of lead-in before pictures are right again.
LEAD_IN_KEYFRAMES = 3


def grid_pts(video: Video, shown_pts: Int64Array, fps: float) -> Int64Array:
    """Ticks of the frames on screen at the points of the sample grid, ascending, each once.

    Every stretch of footage starts a grid of its own at its first frame, so that none, however
    short, goes unseen.
    """
    step = Fraction(1) / fps_fraction(fps) / video.time_base
    shown_ns = np.array([video.media_ns(int(pts)) for pts in shown_pts], dtype=np.int64)
    wanted = []
    for footage in video.footage:
        first, last = np.searchsorted(shown_ns, [footage.start_ns, footage.end_ns])
        part = shown_pts[first:last]
        ticks = footage.duration_ns * video.time_base.denominator
        end_pts = int(part[0]) + -(-ticks // (video.time_base.numerator * 1_000_000_000))
        wanted.append(part[on_grid(part, end_pts, step=step, origin_pts=int(part[0]))])
    return np.concatenate(wanted)


def plan_shards(
    video: Video, packets: PacketIndex, *, sample: SampleConfig, plan: PlanConfig
) -> tuple[Shard, ...]:
    """Cut one video into shards of about ``plan.shard_cost_s`` and those into windows."""
    targets = grid_pts(video, packets.shown_pts, sample.fps)
    gop_starts, gop_costs_s = _gop_costs(video, packets, targets)
    cuts = _balanced_cuts(video, gop_starts, gop_costs_s, targets, plan.shard_cost_s)
    bounds_pts = [int(targets[0]), *cuts, int(targets[-1]) + 1]
    bounds_ns = [
        video.span.start_ns,
        *(video.media_ns(cut) for cut in cuts),
        video.span.end_ns,
    ]
    shards = []
    for (low, high), (start_ns, end_ns) in zip(
        pairwise(bounds_pts), pairwise(bounds_ns), strict=True
    ):
        span = TimeRange(start_ns, end_ns)
        owned = targets[(targets >= low) & (targets < high)]
        inside = (gop_starts >= low) & (gop_starts < high) if len(cuts) else slice(None)
        shards.append(
            Shard(
                shard_id=make_id(video.video_id, sample.fps, start_ns, end_ns),
                video=video,
                span=span,
                packets=packets_for(packets, owned),
                windows=tuple(_windows(video, span, owned, plan.max_window_frames)),
                cost_s=float(gop_costs_s[inside].sum()),
            )
        )
    return tuple(shards)


def packets_for(packets: PacketIndex, want_pts: Sequence[int] | Int64Array) -> PacketIndex:
    """The packets in decode order that decoding ``want_pts`` may need, lead-in included.

    Leading pictures of an open GOP stand behind the keyframe they are shown before, so the last
    packet is found by its pts, not by the shard's end.
    """
    wanted = np.flatnonzero(np.isin(packets.pts, np.asarray(want_pts, dtype=np.int64)))
    keyframes = np.flatnonzero(packets.keyframe)
    governing = int(np.searchsorted(keyframes, wanted[0], side="right")) - 1
    lead_in = max(governing - LEAD_IN_KEYFRAMES, 0)
    start = int(keyframes[lead_in]) if governing > 0 else 0
    return packets[start : int(wanted[-1]) + 1]


def _gop_costs(
    video: Video, packets: PacketIndex, targets: Int64Array
) -> tuple[Int64Array, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """First tick and CPU seconds of each GOP that a shard may start with."""
    usable = packets.keyframe & ~packets.discard & (packets.pts != NO_PTS)
    starts = np.flatnonzero(usable)
    if not len(starts):
        starts = np.zeros(1, dtype=np.int64)
    # A keyframe shown before an earlier keyframe is no place to cut.
    starts = starts[packets.pts[starts] >= np.maximum.accumulate(packets.pts[starts])]
    edges = np.append(starts, len(packets))
    num_bytes = np.add.reduceat(packets.num_bytes.astype(np.int64), starts)
    num_frames = np.diff(edges)
    num_samples = np.diff(np.searchsorted(targets, np.append(packets.pts[starts], targets[-1] + 1)))
    costs_s = (
        num_bytes * COST_S_PER_BYTE
        + num_frames * (video.width * video.height) * COST_S_PER_PIXEL
        + np.maximum(num_samples, 0) * COST_S_PER_SAMPLE
    )
    return packets.pts[starts], costs_s


def _balanced_cuts(
    video: Video,
    gop_starts: Int64Array,
    gop_costs_s: np.ndarray[tuple[int], np.dtype[np.float64]],
    targets: Int64Array,
    shard_cost_s: float,
) -> list[int]:
    """Keyframe ticks that part the cost evenly.

    Each is followed by a target in its own stretch of footage, so that no footage is left without
    a window.
    """
    footage_starts_ns = [footage.start_ns for footage in video.footage]

    def stretch(pts: int) -> int:
        return bisect_right(footage_starts_ns, video.media_ns(pts))

    num_shards = max(1, round(float(gop_costs_s.sum()) / shard_cost_s))
    before_s = np.cumsum(gop_costs_s) - gop_costs_s
    goals_s = np.arange(1, num_shards) * float(gop_costs_s.sum()) / num_shards
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
    video: Video, span: TimeRange, targets: Int64Array, max_frames: int
) -> Iterator[WindowPlan]:
    """Windows that tile the shard's footage; none reaches over a gap."""
    target_ns = np.array([video.media_ns(int(pts)) for pts in targets], dtype=np.int64)
    for footage in video.footage:
        if not footage.overlaps(span):
            continue
        start_ns = max(footage.start_ns, span.start_ns)
        end_ns = min(footage.end_ns, span.end_ns)
        first, last = np.searchsorted(target_ns, [start_ns, end_ns])
        starts = [int(first) + offset for offset in _even_parts(int(last - first), max_frames)]
        for low, high in pairwise([*starts, int(last)]):
            window = TimeRange(
                start_ns if low == first else int(target_ns[low]),
                end_ns if high == last else int(target_ns[high]),
            )
            frame_pts = tuple(int(pts) for pts in targets[low:high])
            yield WindowPlan(
                window_id=make_id(video.video_id, window.start_ns, window.end_ns, *frame_pts),
                span=window,
                frame_pts=frame_pts,
            )


def _even_parts(num_frames: int, max_frames: int) -> list[int]:
    """Offsets at which to start windows of nearly equal length.

    Whole pairs where possible: a video model's temporal patch is two frames, and an odd count
    makes it see the last one twice.
    """
    unit = 2 if max_frames % 2 == 0 else 1
    num_units = -(-num_frames // unit)
    num_parts = -(-num_frames // max_frames)
    return [part * num_units // num_parts * unit for part in range(num_parts)]
