"""One recording as a recorder leaves it on the way, and a model's stand-in to ask about it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av

from pipeline.config import Config
from pipeline.flow.task.packed_shard import PackedShard, unpack_shard
from pipeline.flow.task.stages import decode_and_gate, result_of
from pipeline.records import Completion, Window, WindowResult
from tests.videos import Recipe, damage, make_video

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
KINDS = {"ts": ".ts", "mkv": ".mkv", "fragmented": ".mp4", "plain": ".mp4"}
"""How a recorder writes, and the suffix of its file."""


def grow(
    kind: str,
    path: Path,
    recipe: Recipe,
    shares: Sequence[float],
    *,
    damaged: int | None = None,
) -> Iterator[float]:
    """Write a recording as it is after each share of its length, the last of which is 1.

    ``damaged`` is the number of a packet that the recorder has spoiled.
    """
    whole = path.with_name(f"whole{path.suffix}")
    options = FRAGMENTED if kind == "fragmented" else {}
    make_video(whole, Recipe(**{**recipe.__dict__, "container_options": options}))
    if damaged is not None:
        damage(whole, number=damaged)
    data = whole.read_bytes()
    for share in shares:
        if kind == "plain" and share < 1:
            _first_packets(whole, path, share)
        else:
            path.write_bytes(data[: round(share * len(data))])
        yield share
    whole.unlink()


def asking(
    answer: Callable[[Window], Completion],
) -> Callable[[Sequence[PackedShard], Config], Iterator[WindowResult]]:
    """Stands for ``answer_graph`` with a model that answers like this."""

    def results(shards: tuple[PackedShard, ...], config: Config) -> Iterator[WindowResult]:
        for shard in shards:
            for item in decode_and_gate(unpack_shard(shard.packed), config):
                is_result = isinstance(item, WindowResult)
                yield item if is_result else result_of(item, answer(item), config)

    return lambda shards, config: results(tuple(shards), config)


def _first_packets(whole: Path, part: Path, share: float) -> None:
    """A recorder that stops here and writes its moov behind what it has got."""
    with av.open(str(whole)) as source, av.open(str(part), "w") as target:
        [stream] = source.streams.video
        copy = target.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.size]
        for packet in packets[: round(share * len(packets))]:
            packet.stream = copy
            target.mux(packet)
