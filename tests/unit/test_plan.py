import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import PlanConfig, SampleConfig
from pipeline.plan import grid_pts, packets_for, plan_shards, sampled_pts
from pipeline.plan.cost import work_of
from pipeline.records import PacketIndex
from pipeline.timebase import TimeRange, fps_fraction
from tests.made import a_video

MS = 1_000_000


def make_packets(pts, *, gop, reorder=False):
    """Packets at ``pts`` (ms) with a keyframe every ``gop`` frames; ``reorder`` swaps B-frames."""
    order = list(range(len(pts)))
    if reorder:
        for i in range(1, len(pts) - 1, 2):
            if (i + 1) % gop and i % gop:
                order[i], order[i + 1] = order[i + 1], order[i]
    return PacketIndex(
        pts=np.array([pts[i] for i in order], dtype=np.int64),
        dts=np.arange(len(pts), dtype=np.int64),
        num_bytes=np.full(len(pts), 5_000, dtype=np.int32),
        keyframe=np.array([i % gop == 0 for i in order]),
        discard=np.zeros(len(pts), dtype=bool),
    )


def make_video(footage_ms, num_frames):
    return a_video(
        width=1920,
        height=1080,
        footage=tuple(TimeRange(a * MS, b * MS) for a, b in footage_ms),
        num_frames=num_frames,
    )


def plan_of(video, packets, *, fps=1.0, shard_cost_s=0.5, max_window_frames=16, mode="exact"):
    return plan_shards(
        video,
        packets,
        sample=SampleConfig(fps=fps, mode=mode),
        plan=PlanConfig(shard_cost_s=shard_cost_s, max_window_frames=max_window_frames),
    )


@st.composite
def stretches(draw):
    """Frame times in ms: one to three stretches of VFR footage with long gaps between."""
    pts, footage, end = [], [], draw(st.integers(0, 500))
    for _ in range(draw(st.integers(1, 3))):
        start = end
        for gap in draw(st.lists(st.integers(1, 400), min_size=1, max_size=60)):
            pts.append(end)
            end += gap
        footage.append((start, end))
        end += draw(st.integers(20_000, 90_000))
    return pts, footage


@settings(max_examples=150, deadline=None)
@given(
    stretches(),
    st.integers(1, 20),
    st.booleans(),
    st.sampled_from([0.5, 1.0, 2.0, 7.3, 1000.0]),
    st.sampled_from([0.001, 0.02, 1.0]),
    st.integers(1, 9),
    st.sampled_from(["exact", "within", "keyframe"]),
)
def test_shards_and_windows_tile_the_footage_and_own_every_sample_once(
    drawn, gop, reorder, fps, cost_s, max_frames, mode
):
    pts, footage = drawn
    packets, video = make_packets(pts, gop=gop, reorder=reorder), make_video(footage, len(pts))
    shards = plan_of(
        video, packets, fps=fps, shard_cost_s=cost_s, max_window_frames=max_frames, mode=mode
    )

    assert shards[0].span.start_ns == video.span.start_ns
    assert shards[-1].span.end_ns == video.span.end_ns
    assert all(a.span.end_ns == b.span.start_ns for a, b in pairwise(shards))

    windows = [window for shard in shards for window in shard.windows]
    covered = sum(window.span.duration_ns for window in windows)
    assert covered == sum(part.duration_ns for part in video.footage)
    assert all(a.span.end_ns <= b.span.start_ns for a, b in pairwise(windows))

    owned = [frame for window in windows for frame in window.frame_pts]
    assert owned == list(sampled_pts(video, packets, SampleConfig(fps=fps, mode=mode)))
    for window in windows:
        assert 1 <= len(window.frame_pts) <= max_frames
        assert window.span.start_ns <= window.frame_pts[0] * MS
        assert window.frame_pts[-1] * MS < window.span.end_ns
    assert len({window.window_id for window in windows}) == len(windows)


@settings(max_examples=100, deadline=None)
@given(
    stretches(),
    st.integers(1, 20),
    st.booleans(),
    st.sampled_from([0.5, 1.0, 7.3]),
    st.sampled_from([1.0, 0.3, 0.01]),
)
def test_within_takes_the_cheapest_frame_near_the_grid_point_or_the_frame_on_screen(
    drawn, gop, reorder, fps, share
):
    pts, footage = drawn
    packets, video = make_packets(pts, gop=gop, reorder=reorder), make_video(footage, len(pts))
    sample = SampleConfig(fps=fps, mode="within", tolerance_s=share * 0.5 / fps)
    sampled = sampled_pts(video, packets, sample).tolist()
    exact = grid_pts(video, packets.shown_pts, fps).tolist()
    keyframes = set(packets.pts[packets.keyframe].tolist())
    row = {int(tick): number for number, tick in enumerate(packets.pts)}
    step_ms, tolerance_ms = 1000 / fps_fraction(fps), int(1000 * sample.tolerance)
    expected = set()
    for start, end in footage:
        own = [tick for tick in pts if start <= tick < end]
        for tick in [tick for tick in own if tick in exact and tick not in keyframes - {start}]:
            point = start + math.floor(math.ceil((tick - start) / step_ms) * step_ms)
            close = [p for p in own if point - tolerance_ms <= p < point + tolerance_ms]
            cheapest = min(close, key=lambda p: (p not in keyframes, row[p]), default=tick)
            expected.add(start if tick == start else cheapest)
    assert set(sampled) == expected | (set(exact) & keyframes)
    assert len(sampled) == len(set(sampled))


def test_keyframe_takes_the_last_keyframe_at_each_grid_point():
    pts = list(range(0, 10_000, 40))
    packets, video = make_packets(pts, gop=50), make_video([(0, 10_000)], len(pts))
    for fps, sampled in ((1.0, [0, 2000, 4000, 6000, 8000]), (0.2, [0, 4000])):
        assert list(sampled_pts(video, packets, SampleConfig(fps=fps, mode="keyframe"))) == sampled


def test_footage_that_begins_without_a_keyframe_is_sampled_from_its_first_frame():
    pts = list(range(0, 3_000, 40))
    packets, video = make_packets(pts, gop=50), make_video([(0, 3_000)], len(pts))
    late = replace(packets, keyframe=packets.pts == 1000)
    for mode in ("within", "keyframe"):
        sampled = list(sampled_pts(video, late, SampleConfig(fps=1, mode=mode)))
        assert sampled[:2] == [0, 1000]


def test_a_tolerance_of_more_than_half_a_step_is_refused():
    with pytest.raises(ValueError, match=r"tolerance_s=0.6 is more than half a step"):
        SampleConfig(fps=1, mode="within", tolerance_s=0.6)
    assert SampleConfig(fps=1, mode="within", tolerance_s=0.5).tolerance == 0.5


def test_less_exact_sample_modes_are_cheaper():
    pts = list(range(0, 60_000, 40))
    packets, video = make_packets(pts, gop=250), make_video([(0, 60_000)], len(pts))
    costs = [
        sum(shard.cost_s for shard in plan_of(video, packets, mode=mode))
        for mode in ("exact", "within", "keyframe")
    ]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 5 * costs[2]


def test_frames_to_which_no_other_refers_cost_nothing_unless_they_are_wanted():
    packets = make_packets(list(range(0, 400, 40)), gop=10, reorder=True)
    rows = np.zeros(1, dtype=np.int64)
    leaves = [40, 120, 200, 280]
    assert work_of(packets, rows, np.array([0, 360])).decoded.tolist() == [10 - len(leaves)]
    assert work_of(packets, rows, np.array([40, 360])).decoded.tolist() == [11 - len(leaves)]
    assert work_of(packets, rows, np.array([0])).decoded.tolist() == [1]


@settings(max_examples=60, deadline=None)
@given(stretches(), st.integers(1, 20), st.booleans())
def test_a_shard_carries_every_packet_it_may_need(drawn, gop, reorder):
    pts, footage = drawn
    packets, video = make_packets(pts, gop=gop, reorder=reorder), make_video(footage, len(pts))
    for shard in plan_of(video, packets, fps=1000.0, shard_cost_s=0.01):
        wanted = {frame for window in shard.windows for frame in window.frame_pts}
        assert wanted <= set(shard.packets.pts.tolist())
        assert shard.packets.keyframe[0]


def test_the_lead_in_is_three_keyframes():
    packets = make_packets(list(range(0, 10_000, 100)), gop=10)
    part = packets_for(packets, [5_500, 5_600])
    assert (int(part.pts[0]), int(part.pts[-1])) == (2_000, 5_600)


def test_a_leading_picture_after_the_next_keyframe_is_included():
    packets = PacketIndex(
        pts=np.array([0, 200, 500, 300, 400], dtype=np.int64),
        dts=np.arange(5, dtype=np.int64),
        num_bytes=np.ones(5, dtype=np.int32),
        keyframe=np.array([True, False, True, False, False]),
        discard=np.zeros(5, dtype=bool),
    )
    assert packets_for(packets, [200, 300]).pts.tolist() == [0, 200, 500, 300]


def test_shards_of_uniform_footage_cost_about_the_same():
    pts = list(range(0, 600_000, 40))
    video = make_video([(0, 600_000)], len(pts))
    shards = plan_of(video, make_packets(pts, gop=50), shard_cost_s=2.0)
    costs = sorted(shard.cost_s for shard in shards)
    assert len(shards) > 5
    assert costs[-1] / costs[len(costs) // 2] <= 1.5


def test_a_video_with_one_keyframe_is_one_shard():
    pts = list(range(0, 60_000, 40))
    video = make_video([(0, 60_000)], len(pts))
    assert len(plan_of(video, make_packets(pts, gop=10_000), shard_cost_s=0.1)) == 1


@pytest.mark.parametrize(
    ("num_frames", "sizes"),
    [
        (1, [1]), (2, [2]), (16, [16]), (17, [8, 9]), (23, [12, 11]), (24, [16, 8]),
        (33, [16, 8, 9]), (40, [16, 16, 8]),
    ],
)  # fmt: skip
def test_windows_are_full_except_for_two_that_share_less_than_one_and_a_half_windows(
    num_frames, sizes
):
    pts = [n * 1000 for n in range(num_frames)]
    video = make_video([(0, num_frames * 1000)], num_frames)
    [shard] = plan_of(video, make_packets(pts, gop=10**6), shard_cost_s=100)
    assert [len(window.frame_pts) for window in shard.windows] == sizes


def test_shard_ids_depend_only_on_the_content_of_the_shard():
    pts = [n * 40 for n in range(500)]
    video, packets = make_video([(0, 20_000)], 500), make_packets(pts, gop=50)
    ids = [shard.shard_id for shard in plan_of(video, packets)]
    assert ids == [shard.shard_id for shard in plan_of(video, packets)]
    assert ids != [shard.shard_id for shard in plan_of(video, packets, fps=2.0)]
