"""Answers for the unchanged part of a file that has grown stay valid. No Ray here.

The id of a window is made from its video, from the part of the stream that decides what it shows,
and from its frames. So a planned window, named with the id of the earlier video, has a result
exactly if the earlier video had the same window. The id of a shard is made from its windows, which
also decide what an engine remembers between them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.config import Config
from pipeline.flow.task.read_answer import verify_of
from pipeline.records import Shard, WindowPlan, WindowResult, make_id, name_shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The video that a file held before it grew, and the results for it."""

    video_id: str
    by_shard: dict[str, list[WindowResult]]

    @classmethod
    def of(cls, results: Iterable[WindowResult]) -> "list[Earlier]":
        """The earlier videos that these results belong to."""
        videos: dict[str, Earlier] = {}
        for result in results:
            video = videos.setdefault(result.video_id, cls(video_id=result.video_id, by_shard={}))
            video.by_shard.setdefault(result.shard_id, []).append(result)
        return list(videos.values())

    def results(self, shard: Shard) -> list[WindowResult]:
        """The results of the same shard; none if the engine failed to answer a window of it."""
        earlier_id = name_shard([plan.under(self.video_id) for plan in shard.windows])
        results = self.by_shard.get(earlier_id, [])
        return [] if any(result.is_unanswered for result in results) else results

    def single_results(self, shard: Shard) -> dict[str, WindowResult]:
        """The results of the same windows in any shard, by the window ids of this shard.

        Only windows with all of their frames, none of them suspect: damage reaches beyond a window.
        """
        ids = {plan.under(self.video_id).window_id: plan.window_id for plan in shard.windows}
        return {
            ids[result.window_id]: result
            for results in self.by_shard.values()
            for result in results
            if result.window_id in ids and result.status == "analysed" and not result.num_suspect
        }


def are_windows_independent(config: Config) -> bool:
    """Whether each answer depends on its window alone, and on nothing remembered from others."""
    return config.asks_a_model and config.gate.kind == "none" and verify_of(config) is None


def carry_over(
    shard: Shard, earlier: Sequence[Earlier], *, independent: bool
) -> tuple[Shard, list[WindowResult]]:
    """The shard without the windows that were answered before the file grew, and their results.

    If the whole shard is unchanged, all of its results are taken. Otherwise those of unchanged
    windows are taken, if windows are ``independent``.
    """
    planned_ns = sum(plan.span.duration_ns for plan in shard.windows)
    reused: dict[str, WindowResult] = {}
    for video in earlier:
        results = video.results(shard)
        if sum(result.span.duration_ns for result in results) == planned_ns:
            return replace(shard, windows=()), [_renamed(result, shard) for result in results]
        if independent:
            reused |= video.single_results(shard)
    rest = tuple(plan for plan in shard.windows if plan.window_id not in reused)
    return replace(shard, windows=rest), [_renamed(result, shard) for result in reused.values()]


def _renamed(result: WindowResult, shard: Shard) -> WindowResult:
    """The result with the ids that the same footage has in ``shard``."""
    [plan] = [plan for plan in shard.windows if _begins_in(result, plan)]
    window_id = plan.window_id
    if result.span != plan.span:  # a part of a window whose other frames could not be decoded
        window_id = make_id(window_id, result.span.start_ns, result.span.end_ns)
    return replace(
        result, window_id=window_id, shard_id=shard.shard_id, video_id=shard.video.video_id
    )


def _begins_in(result: WindowResult, plan: WindowPlan) -> bool:
    return plan.span.start_ns <= result.span.start_ns < plan.span.end_ns
