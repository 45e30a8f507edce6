"""A file that has grown: what was answered of it holds where it is the same as before. No Ray.

Ids of windows are made from their video, from the stream as far as it decides what they show, and
from their frames. So the earlier video's name for a planned window tells whether it had that very
window; a shard is named by its windows, which also decide what an engine remembers on the way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from pipeline.records import Shard, WindowResult, make_id, name_shard

EarlierResults: TypeAlias = Mapping[tuple[str, str], Sequence[WindowResult]]
"""Of other contents of a file: by their video id and shard id."""


def by_shard(results: Iterable[WindowResult]) -> EarlierResults:
    """Results as ``carried_over`` takes them."""
    grouped: dict[tuple[str, str], list[WindowResult]] = {}
    for result in results:
        grouped.setdefault((result.video_id, result.shard_id), []).append(result)
    return grouped


def carried_over(shard: Shard, earlier: EarlierResults) -> list[WindowResult]:
    """The results of the same shard in an earlier content, as those of this one; else none."""
    planned_ns = sum(plan.span.duration_ns for plan in shard.windows)
    for video_id in {video_id for video_id, _ in earlier}:
        former_id = name_shard([plan.under(video_id) for plan in shard.windows])
        results = earlier.get((video_id, former_id), ())
        if sum(result.span.duration_ns for result in results) == planned_ns:
            return [_renamed(result, shard) for result in results]
    return []


def _renamed(result: WindowResult, shard: Shard) -> WindowResult:
    [plan] = [
        one for one in shard.windows if one.span.start_ns <= result.span.start_ns < one.span.end_ns
    ]
    window_id = plan.window_id
    if result.span != plan.span:  # a part, of which not all frames could be had
        window_id = make_id(window_id, result.span.start_ns, result.span.end_ns)
    return replace(
        result, window_id=window_id, shard_id=shard.shard_id, video_id=shard.video.video_id
    )
