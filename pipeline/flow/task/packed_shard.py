"""Records as bytes, for the rows that Ray passes from one task to the next. No Ray here."""

import pickle
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.records import PacketIndex, Shard


def pack(record: object) -> bytes:
    """One record. Not compressed: for pixels that saves nothing and takes longer than decoding."""
    return pickle.dumps(record, protocol=5)


def unpack(packed: Any) -> Any:  # noqa: ANN401 - any buffer, any record
    """The record that ``pack`` turned into bytes."""
    return pickle.loads(packed)  # noqa: S301 - our own rows


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedShard:
    """A shard as the driver keeps it: the driver holds thousands and only needs these figures."""

    shard_id: str
    planned_ns: int
    """Duration of its windows."""
    cost_s: float
    packed: bytes
    """The shard, compressed: a packet index shrinks to an eighth, which is 0.25 MB per hour at 25
    frames per second."""


def pack_shard(shard: Shard) -> PackedShard:
    """Turn one shard into bytes."""
    return PackedShard(
        shard_id=shard.shard_id,
        planned_ns=sum(plan.span.duration_ns for plan in shard.windows),
        cost_s=shard.cost_s,
        packed=zlib.compress(pack(replace(shard, packets=_to_steps(shard.packets))), 1),
    )


def unpack_shard(packed: Any) -> Shard:  # noqa: ANN401 - any buffer
    """The shard in ``PackedShard.packed``."""
    shard: Shard = unpack(zlib.decompress(packed))
    return replace(shard, packets=_from_steps(shard.packets))


def _to_steps(packets: PacketIndex) -> PacketIndex:
    """Timestamps as steps from packet to packet: mostly equal steps take almost no space.

    Exact for all times and offsets, also for NO_PTS, since int64 wraps around in both directions.
    """
    return replace(
        packets,
        pts=np.diff(packets.pts, prepend=0),
        dts=np.diff(packets.dts, prepend=0),
        offsets=np.diff(packets.offsets, prepend=0) if len(packets.offsets) else packets.offsets,
    )


def _from_steps(packets: PacketIndex) -> PacketIndex:
    return replace(
        packets,
        pts=np.cumsum(packets.pts),
        dts=np.cumsum(packets.dts),
        offsets=np.cumsum(packets.offsets),
    )
