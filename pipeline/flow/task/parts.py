"""Parts of planned windows: where frames differ in kind, and what is left out as erased. No Ray."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pipeline.records import Shard, Video, WindowPlan, WindowResult, make_id
from pipeline.timebase import TimeRange, without


@dataclass(frozen=True, slots=True)
class ErasedTime:
    """What of a video must not be shown to the engine."""

    utc: tuple[TimeRange, ...] = ()
    """As tables have it, in whole microseconds."""
    media: tuple[TimeRange, ...] = ()

    def covers(self, span: TimeRange, video: Video) -> bool:
        """Whether a part of ``span``, in media time, was erased.

        Of UTC that is asked in microseconds: to the nanosecond, a border that a table has rounded
        down lies in the frame before it, and each new cut of the video would lose one more frame.
        """
        shown = video.utc(span).in_microseconds()
        return any(map(span.overlaps, self.media)) or any(map(shown.overlaps, self.utc))

    def in_media(self, video: Video) -> list[TimeRange]:
        """All of it in media time."""
        return [*map(video.media, self.utc), *self.media]


def leave_out(shard: Shard, erased: ErasedTime) -> tuple[Shard, list[WindowResult]]:
    """The shard without the frames that are on screen in erased time, and results for those.

    The remaining windows and the results together tile the planned windows.
    """
    remaining: list[WindowPlan] = []
    results: list[WindowResult] = []
    for plan in shard.windows:
        if not plan.frame_pts:
            for span, is_erased in _tiled(plan.span, erased.in_media(shard.video)):
                part = plan if span == plan.span else part_of(plan, span)
                if is_erased:
                    results.append(_erased(part, shard))
                else:
                    remaining.append(part)
            continue
        borders = [shard.video.media_ns(pts) for pts in plan.frame_pts[1:]]
        starts, ends = [plan.span.start_ns, *borders], [*borders, plan.span.end_ns]
        erased_pts = {
            pts
            for start_ns, end_ns, pts in zip(starts, ends, plan.frame_pts, strict=True)
            if erased.covers(TimeRange(start_ns, end_ns), shard.video)
        }
        for part in split(plan, [pts in erased_pts for pts in plan.frame_pts], shard.video):
            if part.frame_pts[0] in erased_pts:
                results.append(_erased(part, shard))
            else:
                remaining.append(part)
    return replace(shard, windows=tuple(remaining)), results


def _tiled(span: TimeRange, erased: Sequence[TimeRange]) -> Iterator[tuple[TimeRange, bool]]:
    """Ranges that tile ``span``, and whether each of them is erased."""
    kept = without([span], erased)
    parts = [(part, False) for part in kept] + [(part, True) for part in without([span], kept)]
    yield from sorted(parts)


def part_of(plan: WindowPlan, span: TimeRange) -> WindowPlan:
    """A part of a window of sound, which has no frames."""
    return WindowPlan(
        window_id=make_id(plan.window_id, span.start_ns, span.end_ns), span=span, frame_pts=()
    )


def split(plan: WindowPlan, kinds: Sequence[object], video: Video) -> Iterator[WindowPlan]:
    """Split ``plan`` at each frame whose kind differs from the kind of the frame before it."""
    starts = [0, *(i for i in range(1, len(kinds)) if kinds[i] != kinds[i - 1]), len(kinds)]
    if len(starts) == 2:  # noqa: PLR2004 - one run: the plan stays as it is
        yield plan
        return
    for low, high in pairwise(starts):
        frame_pts = plan.frame_pts[low:high]
        span = TimeRange(
            plan.span.start_ns if low == 0 else video.media_ns(frame_pts[0]),
            plan.span.end_ns if high == len(kinds) else video.media_ns(plan.frame_pts[high]),
        )
        yield WindowPlan(
            window_id=make_id(plan.window_id, span.start_ns, span.end_ns),
            span=span,
            frame_pts=frame_pts,
        )


def _erased(plan: WindowPlan, shard: Shard) -> WindowResult:
    return WindowResult(
        window_id=plan.window_id,
        shard_id=shard.shard_id,
        video_id=shard.video.video_id,
        span=plan.span,
        status="erased",
        frame_pts=(),
    )
