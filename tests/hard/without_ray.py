"""The stages of the graph one after the other in the driver's own process.

For rounds that are about commits and not about Ray: the same stage functions, the same driver.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import pipeline.flow
from pipeline.config import Config
from pipeline.engine.signals import SignalsEngine
from pipeline.flow.parcel import ShardParcel, open_parcel, parcel
from pipeline.flow.stages import (
    Failure,
    Outstanding,
    Planned,
    Settled,
    answer_shard,
    look_at_shard,
    probe_and_plan,
)
from pipeline.records import Source, Video


def leave_out_ray() -> None:
    """From here on, jobs of this process run in it alone."""
    pipeline.flow.running_ray = lambda *_: nullcontext()
    pipeline.flow.probe_graph = probe_here
    pipeline.flow.answer_graph = lambda shards, config: _answer(tuple(shards), config)


def probe_here(
    sources: Sequence[Source], config: Config
) -> Iterator[tuple[Video, tuple[ShardParcel, ...]] | Failure | Outstanding]:
    """Stands for ``probe_graph``."""
    for source in sources:
        planned = probe_and_plan(source, config)
        if isinstance(planned, Planned):
            yield planned.video, tuple(map(parcel, planned.shards))
        else:
            yield planned


def _answer(shards: Sequence[ShardParcel], config: Config) -> Iterator[Settled]:
    for shard in shards:
        looked_at = look_at_shard(open_parcel(shard.packed), config)
        yield from answer_shard(looked_at, config, SignalsEngine(config.engine, config.task))
