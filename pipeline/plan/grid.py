"""Chooses the sampled frames: those on screen at the points of the sample grid, or near them."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipeline.config import SampleConfig
from pipeline.records import PacketIndex, Video
from pipeline.timebase import (
    NS_PER_S,
    BoolArray,
    Int64Array,
    TimeRange,
    fps_fraction,
    on_grid,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """The frames of one range of footage without a gap.

    The grid starts anew at its first frame, so that every range has a sampled frame.
    """

    pts: Int64Array
    """Ascending PTS, at least one."""
    end_pts: int
    """End of the last frame, exclusive."""


def grid_pts(video: Video, shown_pts: Int64Array, fps: float) -> Int64Array:
    """PTS of the frames on screen at the points of the sample grid, ascending, each once."""
    step = _step(video, fps)
    return np.concatenate([_on_screen(part, step) for part in _stretches(video, shown_pts)])


def sampled_pts(video: Video, packets: PacketIndex, sample: SampleConfig) -> Int64Array:
    """PTS of the sampled frames, ascending, each once; with the first frame of each stretch.

    * ``exact``: the frame on screen at each grid point.
    * ``within``: the cheapest frame that begins in ``[point - tolerance, point + tolerance)``: a
      keyframe, or else the frame that is decoded first. The frame on screen at the point is taken
      if it is a keyframe, or if no frame begins in that range.
    * ``keyframe``: the last keyframe at or before each grid point.
    """
    shown_pts = packets.shown_pts
    if sample.mode == "exact":
        return grid_pts(video, shown_pts, sample.fps)
    step = _step(video, sample.fps)
    is_key = np.isin(shown_pts, packets.pts[packets.keyframe & ~packets.discard])
    if sample.mode == "keyframe":
        keys = shown_pts[is_key]
        taken = [_keys_on_grid(part, keys, step) for part in _stretches(video, shown_pts)]
    else:
        tolerance = int(Fraction(sample.tolerance).limit_denominator(1_000_000) / video.time_base)
        rank = _cheapest_first(packets, shown_pts, is_key)
        taken = []
        for part in _stretches(video, shown_pts):
            rows = np.searchsorted(shown_pts, part.pts)
            taken.append(_near_grid(part, rank[rows], is_key[rows], step, tolerance))
    return np.concatenate(taken)


def _step(video: Video, fps: float) -> Fraction:
    """The grid step in ticks of the video's time base."""
    return Fraction(1) / fps_fraction(fps) / video.time_base


def _stretches(video: Video, shown_pts: Int64Array) -> Iterator[_Stretch]:
    for footage in video.footage:
        first, last = np.searchsorted(shown_pts, ticks_of(video, footage))
        part = shown_pts[first:last]
        ticks = footage.duration_ns * video.time_base.denominator
        duration = -(-ticks // (video.time_base.numerator * NS_PER_S))
        yield _Stretch(pts=part, end_pts=int(part[0]) + duration)


def ticks_of(video: Video, span: TimeRange) -> tuple[int, int]:
    """The first tick at or after each end of a range of media time."""
    tick_ns = video.time_base * NS_PER_S
    return (
        video.origin_pts - int(-span.start_ns // tick_ns),
        video.origin_pts - int(-span.end_ns // tick_ns),
    )


def _on_screen(part: _Stretch, step: Fraction) -> Int64Array:
    origin = int(part.pts[0])
    return part.pts[on_grid(part.pts, part.end_pts, step=step, origin_pts=origin)]


def _keys_on_grid(part: _Stretch, keys: Int64Array, step: Fraction) -> Int64Array:
    origin = int(part.pts[0])
    inside = np.union1d(part.pts[:1], keys[(keys >= origin) & (keys < part.end_pts)])
    return inside[on_grid(inside, part.end_pts, step=step, origin_pts=origin)]


def _cheapest_first(packets: PacketIndex, shown_pts: Int64Array, is_key: BoolArray) -> Int64Array:
    """The rank of each shown frame, all different; a lower rank means less to decode for it."""
    by_pts = np.argsort(packets.pts, kind="stable")
    last = np.searchsorted(packets.pts, shown_pts, side="right", sorter=by_pts) - 1
    rank = np.empty(len(shown_pts), dtype=np.int64)
    rank[np.lexsort((by_pts[last], ~is_key))] = np.arange(len(shown_pts))
    return rank


def _near_grid(
    part: _Stretch, rank: Int64Array, is_key: BoolArray, step: Fraction, tolerance: int
) -> Int64Array:
    origin = int(part.pts[0])
    exact = np.flatnonzero(on_grid(part.pts, part.end_pts, step=step, origin_pts=origin))
    # For each of these frames the first grid point at which it is on screen.
    points = np.array(
        [origin + int(-((origin - pts) // step) * step) for pts in part.pts[exact].tolist()],
        dtype=np.int64,
    )
    low = np.searchsorted(part.pts, points - tolerance)
    high = np.searchsorted(part.pts, points + tolerance)
    # One more at the end, because reduceat needs an element where the last range ends.
    ranks = np.append(rank, np.iinfo(np.int64).max)
    best = np.minimum.reduceat(ranks, np.stack([low, high], axis=1).ravel())[::2]
    by_rank = np.argsort(ranks)
    cheapest = by_rank[np.searchsorted(ranks, best, sorter=by_rank)]
    taken = np.where((low < high) & ~is_key[exact], cheapest, exact)
    taken[0] = 0
    return np.asarray(part.pts[np.unique(taken)], dtype=np.int64)
