"""The stages that decode, for input that has already ended a worker.

At first every shard is decoded right in its Ray worker, which costs nothing. If that worker dies,
Ray gives the task to another one, and there it runs in a child. What kills the child too is a
failed row; the worker lives on.
"""

from collections.abc import Callable, Iterable, Iterator

from pipeline.config import Config
from pipeline.flow.stages import Failure, Planned, failed_window, probe_and_plan
from pipeline.isolated import ProcessDiedError, isolated
from pipeline.records import Shard, Source, Window, WindowPlan, WindowResult, make_id
from pipeline.timebase import TimeRange

Look = Callable[[Shard, Config], Iterable[Window | WindowResult]]


def probe_apart(source: Source, config: Config) -> Planned | Failure:
    """``probe_and_plan`` in a process of its own; a ``Failure`` if that dies."""
    try:
        [planned] = isolated(_probe, source, config)
    except ProcessDiedError as exc:
        return Failure(source=source, error=f"{source.uri}: {exc}")
    answer: Planned | Failure = planned
    return answer


def _probe(source: Source, config: Config) -> Iterator[Planned | Failure]:
    yield probe_and_plan(source, config)


def look_apart(look: Look, shard: Shard, config: Config) -> Iterator[Window | WindowResult]:
    """``look(shard, config)`` in a process of its own; what that leaves undone has failed."""
    done_ns = shard.windows[0].span.start_ns
    try:
        for item in isolated(look, shard, config):
            span = item.plan.span if isinstance(item, Window) else item.span
            done_ns = span.end_ns
            yield item
    except ProcessDiedError as exc:
        for plan in shard.windows:
            if plan.span.end_ns > done_ns:
                yield failed_window(_rest(plan, done_ns), shard, str(exc))


def _rest(plan: WindowPlan, done_ns: int) -> WindowPlan:
    if done_ns <= plan.span.start_ns:
        return plan
    span = TimeRange(done_ns, plan.span.end_ns)
    window_id = make_id(plan.window_id, span.start_ns, span.end_ns)
    return WindowPlan(window_id=window_id, span=span, frame_pts=())
