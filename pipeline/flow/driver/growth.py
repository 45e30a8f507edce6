"""A file that has grown: what was answered of it holds where it is the same as before. No Ray.

Ids of windows are made from their video, from the stream as far as it decides what they show, and
from their frames. So the earlier video's name for a planned window tells whether it had that very
window; a shard is named by its windows, which also decide what an engine remembers on the way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.config import Config
from pipeline.flow.task.read_answer import verify_of
from pipeline.records import Shard, WindowPlan, WindowResult, make_id, name_shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What a file held before, and what was answered of it."""

    video_id: str
    by_shard: dict[str, list[WindowResult]]

    @classmethod
    def of(cls, results: Iterable[WindowResult]) -> "list[Earlier]":
        """The videos behind some results."""
        videos: dict[str, Earlier] = {}
        for result in results:
            video = videos.setdefault(result.video_id, cls(video_id=result.video_id, by_shard={}))
            video.by_shard.setdefault(result.shard_id, []).append(result)
        return list(videos.values())

    def results(self, shard: Shard) -> list[WindowResult]:
        """Those of the same shard, if the engine has answered in all of it."""
        former_id = name_shard([plan.under(self.video_id) for plan in shard.windows])
        results = self.by_shard.get(former_id, [])
        return [] if any(result.is_unanswered for result in results) else results

    def single_results(self, shard: Shard) -> dict[str, WindowResult]:
        """Those of the same windows in whatever shard, by the ids that they have in this one.

        Only of windows whose frames were all had and are sound: damage reaches beyond a window.
        """
        ids = {plan.under(self.video_id).window_id: plan.window_id for plan in shard.windows}
        return {
            ids[result.window_id]: result
            for results in self.by_shard.values()
            for result in results
            if result.window_id in ids and result.status == "analysed" and not result.num_suspect
        }


def are_windows_independent(config: Config) -> bool:
    """Whether an answer rests on its window alone: nothing is remembered from others."""
    return config.wants_rgb and config.gate.kind == "none" and verify_of(config) is None


def carry_over(
    shard: Shard, earlier: Sequence[Earlier], *, stand_alone: bool
) -> tuple[Shard, list[WindowResult]]:
    """The shard without what was answered of it before it grew, and results for that.

    A shard that is the same as a whole, else the same windows of one, if they ``stand_alone``.
    """
    planned_ns = sum(plan.span.duration_ns for plan in shard.windows)
    known: dict[str, WindowResult] = {}
    for video in earlier:
        results = video.results(shard)
        if sum(result.span.duration_ns for result in results) == planned_ns:
            return replace(shard, windows=()), [_renamed(one, shard) for one in results]
        if stand_alone:
            known |= video.single_results(shard)
    rest = tuple(plan for plan in shard.windows if plan.window_id not in known)
    return replace(shard, windows=rest), [_renamed(one, shard) for one in known.values()]


def _renamed(result: WindowResult, shard: Shard) -> WindowResult:
    """The result of the same footage in a shard of another video."""
    [plan] = [plan for plan in shard.windows if _begins_in(result, plan)]
    window_id = plan.window_id
    if result.span != plan.span:  # a part, of which not all frames could be had
        window_id = make_id(window_id, result.span.start_ns, result.span.end_ns)
    return replace(
        result, window_id=window_id, shard_id=shard.shard_id, video_id=shard.video.video_id
    )


def _begins_in(result: WindowResult, plan: WindowPlan) -> bool:
    return plan.span.start_ns <= result.span.start_ns < plan.span.end_ns
