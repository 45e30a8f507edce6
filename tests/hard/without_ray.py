"""The stages of the graph one after the other in the driver's own process.

For rounds that are about commits and not about Ray: the same stage functions, the same driver.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from pipeline.config import Config
from pipeline.engine import open_shards, open_speech
from pipeline.flow.driver import archive as driver
from pipeline.flow.task.enrol import open_voices
from pipeline.flow.task.listen import listen, plan_source
from pipeline.flow.task.packed_shard import PackedShard, pack_shard, unpack_shard
from pipeline.flow.task.stages import (
    Failure,
    Outstanding,
    Planned,
    ShardOutcome,
    answer_shard,
    decode_and_gate,
)
from pipeline.records import Source, Video


def leave_out_ray() -> None:
    """From here on, jobs of this process run in it alone."""
    driver.running_ray = lambda *_: nullcontext()
    driver.waits_for = lambda _config: "this process"
    driver.probe_graph = probe_here
    driver.answer_graph = lambda shards, config: _answer(tuple(shards), config)


def probe_here(
    sources: Sequence[Source], config: Config
) -> Iterator[tuple[Video, tuple[PackedShard, ...]] | Failure | Outstanding]:
    """Stands for ``probe_graph``."""
    for source in sources:
        planned = plan_source(source, config)
        if isinstance(planned, Planned):
            yield planned.video, tuple(map(pack_shard, planned.shards))
        else:
            yield planned


def _answer(shards: Sequence[PackedShard], config: Config) -> Iterator[ShardOutcome]:
    if config.hears:
        engine = None if config.engine_kind.reads_captions else open_speech(config)
        network = open_voices(config)
        for shard in shards:
            yield from listen(unpack_shard(shard.packed), config, engine, network)
        return
    for shard in shards:
        decoded = decode_and_gate(unpack_shard(shard.packed), config)
        yield from answer_shard(decoded, config, open_shards(config))
