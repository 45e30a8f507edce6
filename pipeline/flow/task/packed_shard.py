"""Records as bytes: what one row between two Ray tasks holds."""

import pickle
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.records import PacketIndex, Shard


def pack(record: object) -> bytes:
    """One record; not compressed, since pixels do not shrink and would cost more than decoding."""
    return pickle.dumps(record, protocol=5)


def unpack(packed: Any) -> Any:  # noqa: ANN401 - any buffer, any record
    """The record that ``pack`` was given."""
    return pickle.loads(packed)  # noqa: S301 - our own rows


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedShard:
    """A shard as the driver holds it, which plans thousands and opens none."""

    shard_id: str
    planned_ns: int
    """Footage in its windows."""
    cost_s: float
    packed: bytes
    """Compressed: a packet index shrinks to an eighth, 0.25 MB per hour at 25 frames a second."""


def pack_shard(shard: Shard) -> PackedShard:
    """Wrap one shard."""
    return PackedShard(
        shard_id=shard.shard_id,
        planned_ns=sum(plan.span.duration_ns for plan in shard.windows),
        cost_s=shard.cost_s,
        packed=zlib.compress(pack(replace(shard, packets=_steps(shard.packets))), 1),
    )


def unpack_shard(packed: Any) -> Shard:  # noqa: ANN401 - any buffer
    """The shard in ``ShardParcel.packed``."""
    shard: Shard = unpack(zlib.decompress(packed))
    return replace(shard, packets=_sums(shard.packets))


def _steps(packets: PacketIndex) -> PacketIndex:
    """Ticks as steps from one packet to the next: mostly equal, so that they compress to nothing.

    Exact for any ticks, those of NO_PTS too, since int64 wraps around both ways.
    """
    return replace(
        packets, pts=np.diff(packets.pts, prepend=0), dts=np.diff(packets.dts, prepend=0)
    )


def _sums(packets: PacketIndex) -> PacketIndex:
    return replace(packets, pts=np.cumsum(packets.pts), dts=np.cumsum(packets.dts))
