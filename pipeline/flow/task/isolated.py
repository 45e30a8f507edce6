"""The stages that decode, for input that has already ended a worker.

At first every shard is decoded right in its Ray worker, which costs nothing. If that worker dies,
Ray gives the task to another one, and there it runs in a child. What kills the child too is a
failed row; the worker lives on. Where there is no Ray, children do all the probing.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pipeline.config import Config
from pipeline.flow.task.stages import (
    Failure,
    OpenShard,
    Probed,
    ShardOutcome,
    failed_window,
    probe_and_plan,
)
from pipeline.processes.crash_isolation import ProcessDiedError, in_child_process
from pipeline.records import Shard, Source, Window, WindowPlan, make_id
from pipeline.timebase import TimeRange

FILES_PER_CHILD = 16
"""The start of a child costs as much as the probing of many files."""

Decode = Callable[[Shard, Config], Iterable[Window | ShardOutcome]]


def probe_isolated(source: Source, config: Config) -> Probed:
    """``probe_and_plan`` in a process of its own; a ``Failure`` if that dies."""
    try:
        [planned] = in_child_process(_probe, [source], config)
    except ProcessDiedError as exc:
        return Failure(source=source, error=f"{source.uri}: {exc}")
    answer: Probed = planned
    return answer


def probe_all_isolated(sources: Sequence[Source], config: Config) -> Iterator[Probed]:
    """``probe_and_plan`` of each, in their order, in one child per core at a time."""
    cores = len(os.sched_getaffinity(0))
    num = min(FILES_PER_CHILD, -(-len(sources) // cores))
    runs = [sources[first : first + num] for first in range(0, len(sources), num or 1)]
    with ThreadPoolExecutor(cores) as threads:
        for probed in threads.map(partial(_probe_in_turn, config=config), runs):
            yield from probed


def _probe_in_turn(sources: Sequence[Source], config: Config) -> list[Probed]:
    probed: list[Probed] = []
    while left := sources[len(probed) :]:
        try:
            for planned in in_child_process(_probe, left, config):
                probed.append(planned)  # noqa: PERF402 - what came before a death is kept
        except ProcessDiedError:
            probed += [probe_isolated(source, config) for source in sources[len(probed) :][:1]]
    return probed


def _probe(sources: Sequence[Source], config: Config) -> Iterator[Probed]:
    return (probe_and_plan(source, config) for source in sources)


def decode_isolated(
    decode: Decode, shard: Shard, config: Config
) -> Iterator[Window | ShardOutcome]:
    """``decode(shard, config)`` in a child process; windows that it leaves undone have failed."""
    done_ns = shard.windows[0].span.start_ns
    try:
        for item in in_child_process(decode, shard, config):
            if not isinstance(item, OpenShard):
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
