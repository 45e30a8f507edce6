from dataclasses import replace

import numpy as np

from pipeline.flow.task.packed_shard import pack_shard, unpack_shard
from pipeline.records import NO_PTS, PacketIndex, Shard, WindowPlan
from pipeline.timebase import TimeRange
from tests.made import a_video


def a_shard(pts) -> Shard:
    ticks = np.array(pts, dtype=np.int64)
    packets = PacketIndex(
        pts=ticks,
        dts=ticks - 2,
        num_bytes=np.arange(len(ticks), dtype=np.int32),
        keyframe=np.arange(len(ticks)) % 50 == 0,
        discard=np.zeros(len(ticks), dtype=np.bool_),
    )
    window = WindowPlan(window_id="w", span=TimeRange(0, 10), frame_pts=(1,))
    return Shard(
        shard_id="s", video=a_video(), span=TimeRange(0, 10), packets=packets, windows=(window,),
        cost_s=1.0,
    )  # fmt: skip


def test_a_shard_is_unpacked_unchanged_also_with_missing_or_huge_timestamps():
    shard = a_shard([5, 3, 4, NO_PTS, 2**62, -(2**62), 9])
    placed = {"first_row": 7, "shifts": np.arange(7) * 2**33, "offsets": np.arange(7) * 188 - 1}
    shard = replace(shard, packets=replace(shard.packets, **placed))
    again = unpack_shard(pack_shard(shard).packed)
    for name in ("pts", "dts", "num_bytes", "keyframe", "discard", "shifts", "offsets"):
        before, after = getattr(shard.packets, name), getattr(again.packets, name)
        assert np.array_equal(before, after)
        assert before.dtype == after.dtype
    assert again.packets.first_row == 7
    assert replace(again, packets=shard.packets) == shard


def test_the_timestamps_of_an_hour_take_almost_no_space():
    hour = a_shard(np.arange(90_000) * 3600)
    assert len(pack_shard(hour).packed) < 200_000
