"""The next run asks the engine again where it failed to answer, and nowhere else."""

import asyncio
from contextlib import nullcontext
from unittest import mock

import pytest

from pipeline.config import Config
from pipeline.errors import WindowError
from pipeline.flow.driver import archive as driver
from pipeline.flow.task.packed_shard import unpack_shard
from pipeline.flow.task.stages import decode_and_gate
from pipeline.flow.task.supervisor import Replica
from pipeline.index import open_index
from pipeline.records import Completion
from tests.hard.without_ray import probe_here
from tests.videos import make_video, source_of

NUM_WINDOWS = 6
CONFIG = Config.model_validate(
    {
        "task": {"name": "gate", "labels": {"enter": "comes in"}, "summary": False},
        "engine": {"kind": "openai", "model": "m", "base_url": "http://nowhere/v1"},
        "sample": {"fps": 2},
        # A window is a shard.
        "plan": {"max_window_frames": 8, "shard_cost_s": 1e-6},
    }
)


class Convalescent:
    """Answers the windows that do not begin at one of the ``sick`` seconds."""

    def __init__(self, *sick):
        self.sick = sick
        self.asked = []

    async def answer(self, window):
        at_s = window.plan.span.start_ns // 10**9
        self.asked.append(at_s)
        if at_s in self.sick:
            raise WindowError("the endpoint failed, tried 7 times")
        return Completion(text='{"events":[]}', finish_reason="stop", num_prompt_tokens=1)

    def shutdown(self):
        pass


@pytest.fixture
def index(tmp_path):
    video = make_video(tmp_path / "v.mp4", num_frames=8 * NUM_WINDOWS, rate=2, gop=8, bframes=0)

    def run(engine, **more):
        def answers(shards, config):
            replica = Replica(config, lambda _: engine)
            for shard in shards:
                for item in decode_and_gate(unpack_shard(shard.packed), config):
                    yield from asyncio.run(replica.answer_item(item))

        with (
            mock.patch.object(driver, "running_ray", return_value=nullcontext()),
            mock.patch.object(driver, "probe_graph", probe_here),
            mock.patch.object(driver, "answer_graph", lambda s, config: answers(tuple(s), config)),
        ):
            return driver.index_archive(
                [source_of(video)], CONFIG, str(tmp_path / "index"),
                on_progress=lambda _report: None, **more,
            )  # fmt: skip

    run.uri = str(tmp_path / "index")
    return run


def statuses(index) -> tuple[list[str], list[str]]:
    """The statuses of the windows in their order, and of the videos."""
    reader = open_index(index.uri)
    windows = sorted(reader.windows().to_pylist(), key=lambda row: row["media_start"])
    return [row["status"] for row in windows], reader.videos()["status"].to_pylist()


def test_a_video_without_any_answer_is_answered_again_by_the_next_run(index):
    first = index(Convalescent(*range(0, 24, 4)))
    assert (first.windows["failed"], len(first.failures)) == (NUM_WINDOWS, 1)
    assert statuses(index) == (["failed"] * NUM_WINDOWS, ["failed"])
    second = index(engine := Convalescent())
    assert sorted(engine.asked) == list(range(0, 24, 4))
    assert (second.windows["analysed"], second.videos_done) == (NUM_WINDOWS, 1)
    assert statuses(index) == (["analysed"] * NUM_WINDOWS, ["done"])


def test_unanswered_windows_of_other_videos_are_answered_again_with_retry_failed(index):
    index(Convalescent(8))
    expected = ["analysed"] * NUM_WINDOWS
    expected[2] = "failed"
    assert statuses(index) == (expected, ["partial"])
    same = index(engine := Convalescent())
    assert (same.videos_skipped, engine.asked) == (1, [])
    again = index(engine := Convalescent(), retry_failed=True)
    assert engine.asked == [8]
    assert (again.windows["analysed"], again.windows["failed"]) == (1, 0)
    assert statuses(index) == (["analysed"] * NUM_WINDOWS, ["done"])
