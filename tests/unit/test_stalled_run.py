"""A run of which the cluster loses a task: it asks again once, and then ends."""

import threading
from unittest import mock

import pytest
from structlog.testing import capture_logs

from pipeline.config import Config
from pipeline.errors import StalledError
from pipeline.flow.driver import archive as driver
from pipeline.index import open_index
from pipeline.records import Source
from pipeline.timebase import datetime_to_ns
from tests.hard.without_ray import leave_out_ray
from tests.index_rows import at
from tests.videos import make_video

CONFIG = Config.model_validate(
    {
        "cluster": {"stall_s": 1},
        "sample": {"fps": 1},
        "plan": {"shard_cost_s": 1e-6, "max_window_frames": 2},
    }
)


@pytest.fixture
def losing():
    """Makes graphs of which the first so many never say what the last shard shows in its end."""
    ours = ("running_ray", "probe_graph", "answer_graph", "waits_for")
    with mock.patch.multiple(driver, **{name: getattr(driver, name) for name in ours}):
        leave_out_ray()
        answer, asked = driver.answer_graph, []

        def lose(num_lost):
            def graph(shards, config):
                asked.append([shard.shard_id for shard in shards])
                results = list(answer(shards, config))
                if len(asked) > num_lost:
                    yield from results
                    return
                yield from results[:-1]
                threading.Event().wait()  # for ever

            driver.answer_graph = graph
            return asked

        yield lose


@pytest.fixture
def run(tmp_path):
    path = make_video(tmp_path / "gate.mp4", num_frames=48, rate=4, gop=4)
    source = Source(
        uri=str(path), num_bytes=path.stat().st_size, etag="", camera="gate", clock="path",
        start_ns=datetime_to_ns(at(0)),
    )  # fmt: skip

    def index(name):
        driver.index_archive([source], CONFIG, str(tmp_path / name), on_progress=reports.append)
        return reports[-1]

    reports = []
    return index


def windows_of(folder):
    rows = open_index(str(folder)).windows().to_pylist()
    return sorted((row["window_id"], row["status"]) for row in rows)


def test_a_graph_that_never_answers_is_replaced_once_and_only_what_was_open_is_asked_again(
    losing, run, tmp_path
):
    asked = losing(1)
    with capture_logs() as logs:
        report = run("lost")
    first, again = asked
    assert len(first) > 1
    assert again == first[-1:]
    assert "the open shards are submitted again" in " ".join(entry["event"] for entry in logs)

    asked.clear()
    losing(0)
    undisturbed = run("whole")
    assert windows_of(tmp_path / "lost") == windows_of(tmp_path / "whole")
    assert report.windows == undisturbed.windows
    assert report.analysed_ns == undisturbed.analysed_ns


def test_a_second_graph_that_never_answers_ends_the_run_and_what_was_whole_is_committed(
    losing, run, tmp_path
):
    asked = losing(2)
    with pytest.raises(StalledError, match="this process"):
        run("lost")
    num_whole = len(asked[0]) - 1
    shards = {row["shard_id"] for row in open_index(str(tmp_path / "lost")).windows().to_pylist()}
    assert len(shards) == num_whole > 0
    losing(0)
    run("lost")
    assert asked[-1] == asked[0][-1:]
