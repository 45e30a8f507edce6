"""What can be analysed of a file that is still being written: all before its last cut. No Ray here.

Cuts depend only on what lies before them, so the shards before the last cut stay what they are when
the file grows. The last shard does not: it would be decoded again by every run.
"""

from collections.abc import Sequence

from pipeline.flow.task.packed_shard import PackedShard, unpack_shard


def last_cut_ns(shards: Sequence[PackedShard]) -> int:
    """The media time at which the last shard starts."""
    return unpack_shard(shards[-1].packed).span.start_ns


def before_cut(shards: Sequence[PackedShard], cut_ns: int) -> tuple[PackedShard, ...]:
    """The shards, in their order, without the last one if that starts at ``cut_ns`` or later."""
    has_end = bool(shards) and last_cut_ns(shards) >= cut_ns
    return tuple(shards[:-1] if has_end else shards)
