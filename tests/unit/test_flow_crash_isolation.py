"""Input that kills its process becomes failed rows, and nothing else is lost."""

import os
import signal
from itertools import pairwise

from pipeline.config import Config
from pipeline.flow.task.crash_isolation import decode_isolated, probe_all_isolated
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


def test_the_rest_of_a_shard_that_has_used_up_its_time_fails_with_a_clear_message(tmp_path):
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


def test_only_windows_that_a_dead_process_did_not_return_have_failed():
    pts = list(range(0, 60_000, 40))
    shard = plan_of(
        make_video([(0, 60_000)], len(pts)), make_packets(pts, gop=50), max_window_frames=2
    )[0]
    assert len(shard.windows) > 1
    results = list(decode_isolated(one_and_a_half_then_dies, shard, Config()))
    spans = [result.span for result in results]
    assert spans[0].start_ns == shard.windows[0].span.start_ns
    assert spans[-1].end_ns == shard.windows[-1].span.end_ns
    assert all(a.end_ns == b.start_ns for a, b in pairwise(spans))
    errors = [result.error for result in results]
    assert ["seen" in error for error in errors] == [True, True] + [False] * (len(errors) - 2)
    assert all("SIGKILL" in error for error in errors[2:])
    assert len({result.window_id for result in results}) == len(results)


def test_all_files_are_probed_in_their_order_also_those_that_are_not_videos(tmp_path):
    (tmp_path / "none.mp4").write_text("no video")
    none = videos.source_of(tmp_path / "none.mp4")
    good = videos.source_of(videos.make_video(tmp_path / "good.mp4"))
    sources = [good, none, good, good, none]
    expected = [probe_and_plan(source, Config()) for source in sources]
    assert [type(item) for item in expected[:2]] == [Planned, Failure]
    assert list(map(pack, probe_all_isolated(sources, Config()))) == list(map(pack, expected))


def test_without_files_no_process_is_started():
    assert list(probe_all_isolated([], Config())) == []
