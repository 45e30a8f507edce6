"""Crash isolation: probing and decoding in a child process, for input that has killed a worker.

At first a shard is decoded in the process of its Ray worker, which costs nothing. If the worker
dies, Ray starts the task again in another worker, which decodes in a child process. If the child
dies too, its windows become failed rows, and the worker lives on. Without Ray all probing runs in
child processes. No Ray here.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pipeline.config import Config
from pipeline.flow.task.listen import plan_source
from pipeline.flow.task.stages import (
    Failure,
    OpenShard,
    Probed,
    ShardOutcome,
    failed_window,
)
from pipeline.processes.crash_isolation import ProcessDiedError, in_child_process
from pipeline.records import Shard, Source, Window, WindowPlan, make_id
from pipeline.timebase import TimeRange

FILES_PER_CHILD = 16
"""Many, because the start of a child process costs as much as the probing of many files."""

Decode = Callable[[Shard, Config], Iterable[Window | ShardOutcome]]


def probe_isolated(source: Source, config: Config) -> Probed:
    """``plan_source`` in a child process; a ``Failure`` if the child dies."""
    probed: Probed
    try:
        [probed] = in_child_process(_probe, [source], config)
    except ProcessDiedError as exc:
        return Failure(source=source, error=f"{source.uri}: {exc}")
    return probed


def probe_all_isolated(sources: Sequence[Source], config: Config) -> Iterator[Probed]:
    """``plan_source`` of each source, in their order, in one child process per core."""
    cores = len(os.sched_getaffinity(0))
    num = min(FILES_PER_CHILD, -(-len(sources) // cores))
    groups = [sources[first : first + num] for first in range(0, len(sources), num or 1)]
    with ThreadPoolExecutor(cores) as threads:
        for probed in threads.map(partial(_probe_group, config=config), groups):
            yield from probed


def _probe_group(sources: Sequence[Source], config: Config) -> list[Probed]:
    probed: list[Probed] = []
    while remaining := sources[len(probed) :]:
        try:
            for item in in_child_process(_probe, remaining, config):
                probed.append(item)  # noqa: PERF402 - keeps the items from before a death
        except ProcessDiedError:
            probed += [probe_isolated(source, config) for source in sources[len(probed) :][:1]]
    return probed


def _probe(sources: Sequence[Source], config: Config) -> Iterator[Probed]:
    return (plan_source(source, config) for source in sources)


def decode_isolated(
    decode: Decode, shard: Shard, config: Config
) -> Iterator[Window | ShardOutcome]:
    """``decode(shard, config)`` in a child process.

    If the child dies, the windows that it has not returned become failed windows.
    """
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
                yield failed_window(_from(plan, done_ns), shard, str(exc))


def _from(plan: WindowPlan, done_ns: int) -> WindowPlan:
    """The part of the window from ``done_ns`` on."""
    if done_ns <= plan.span.start_ns:
        return plan
    span = TimeRange(done_ns, plan.span.end_ns)
    window_id = make_id(plan.window_id, span.start_ns, span.end_ns)
    return WindowPlan(window_id=window_id, span=span, frame_pts=())
