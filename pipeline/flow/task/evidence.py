"""Keeps the picture nearest the middle of each observation, while its window is in memory."""

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np

from pipeline.config import FrameConfig
from pipeline.media import small_webp
from pipeline.records import Frame, Observation, Picture, Shard, Window, WindowResult
from pipeline.timebase import NS_PER_S

CANDIDATE_NS = NS_PER_S
"""An engine that looks at grey pictures has one colour picture per so much time to choose from."""
_CANDIDATE_PIXELS = 320 * 256


def candidate_pts(shard: Shard) -> frozenset[int]:
    """The first frame of each second of media time: those that are kept in colour."""
    first: dict[int, int] = {}
    for plan in shard.windows:
        for pts in plan.frame_pts:
            first.setdefault(shard.video.media_ns(pts) // CANDIDATE_NS, pts)
    return frozenset(first.values())


def small_frame(frame: FrameConfig) -> FrameConfig:
    """The size of pictures that are only made as candidates."""
    return frame.model_copy(update={"rgb_max_pixels": _CANDIDATE_PIXELS})


def with_candidates(window: Window, frames: Iterable[Frame], wanted: Collection[int]) -> Window:
    """The window with those of its frames in colour that have a wanted PTS."""
    coloured = ((frame.pts, frame.rgb) for frame in frames if frame.pts in wanted)
    return replace(window, candidates=tuple((pts, rgb) for pts, rgb in coloured if rgb is not None))


def with_evidence(
    result: WindowResult, window: Window, observations: Iterable[Observation]
) -> WindowResult:
    """The result with a picture for each observation; equal ones are kept once."""
    if window.rgb is not None:
        shown = list(zip(window.frame_pts.tolist(), window.rgb, strict=True))
    else:
        shown = list(window.candidates)
    if not shown:
        return result
    times_ns = np.array([window.video.media_ns(pts) for pts, _ in shown])
    nearest = {
        int(np.abs(2 * times_ns - (one.span.start_ns + one.span.end_ns)).argmin())
        for one in observations
    }
    pictures = tuple(
        Picture(pts=pts, webp=small_webp(picture, window.video))
        for pts, picture in (shown[i] for i in sorted(nearest))
    )
    return replace(result, pictures=pictures)
