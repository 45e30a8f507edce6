"""What kills its process is a failed row, and nothing else is lost."""

import os
import signal
from itertools import pairwise

from pipeline.config import Config
from pipeline.flow.task.isolated import decode_isolated, probe_all_isolated
from pipeline.flow.task.packed_shard import pack
from pipeline.flow.task.stages import (
    Failure,
    Planned,
    decode_and_gate,
    failed_window,
    probe_and_plan,
)
from tests import videos
from tests.unit.test_plan import make_packets, make_video, plan_of


def test_a_shard_that_has_used_up_its_time_fails_the_rest_in_plain_words(tmp_path):
    source = videos.source_of(videos.make_video(tmp_path / "a.mp4"))
    config = Config.model_validate(
        {"decode": {"max_shard_s": 1e-6}, "plan": {"max_window_frames": 4}}
    )
    planned = probe_and_plan(source, config)
    assert isinstance(planned, Planned)
    results = list(decode_and_gate(planned.shards[0], config))
    assert len(results) > 1
    assert {result.status for result in results} == {"failed"}
    assert all("has used up decode.max_shard_s" in result.error for result in results)


def one_and_a_half_then_dies(shard, _config):
    first, second, *_ = shard.windows
    yield failed_window(first, shard, "seen")
    middle = (second.span.start_ns + second.span.end_ns) // 2
    span = type(second.span)(second.span.start_ns, middle)
    yield failed_window(type(second)(window_id="x", span=span, frame_pts=()), shard, "seen")
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_dead_process_left_undone_has_failed_and_nothing_else():
    pts = list(range(0, 60_000, 40))
    shard = plan_of(
        make_video([(0, 60_000)], len(pts)), make_packets(pts, gop=50), max_window_frames=2
    )[0]
    assert len(shard.windows) > 1
    results = list(decode_isolated(one_and_a_half_then_dies, shard, Config()))
    spans = [result.span for result in results]
    assert spans[0].start_ns == shard.windows[0].span.start_ns
    assert spans[-1].end_ns == shard.windows[-1].span.end_ns
    assert all(one.end_ns == then.start_ns for one, then in pairwise(spans))
    told = [result.error for result in results]
    assert ["seen" in error for error in told] == [True, True] + [False] * (len(told) - 2)
    assert all("SIGKILL" in error for error in told[2:])
    assert len({result.window_id for result in results}) == len(results)


def test_all_are_probed_in_their_order_also_what_is_no_video(tmp_path):
    (tmp_path / "none.mp4").write_text("no video")
    none = videos.source_of(tmp_path / "none.mp4")
    good = videos.source_of(videos.make_video(tmp_path / "good.mp4"))
    sources = [good, none, good, good, none]
    expected = [probe_and_plan(source, Config()) for source in sources]
    assert [type(one) for one in expected[:2]] == [Planned, Failure]
    assert list(map(pack, probe_all_isolated(sources, Config()))) == list(map(pack, expected))


def test_nothing_to_probe_starts_no_process():
    assert list(probe_all_isolated([], Config())) == []
