"""A spent budget ends a run between whole shards, and the same call continues it."""

from functools import partial
from unittest import mock

import pytest
from deltalake import DeltaTable

from pipeline.config import Config
from pipeline.engine.signals import SIGNALS_TASK
from pipeline.errors import EXIT_BUDGET
from pipeline.flow.driver import archive as driver
from pipeline.flow.graph import answer_graph
from pipeline.flow.summaries.pending_days import pending_days
from pipeline.index import Writer, open_index
from tests.bench.simulated import Replicas, opener
from tests.index_rows import DAY, T0, at, event, rows
from tests.index_rows import video as video_row
from tests.videos import make_video, source_of

pytestmark = pytest.mark.ray

NUM_WINDOWS = 30
REPLICAS = Replicas(num=1, slots=2, latency_s=0.01)


def settings(level=None, **budget):
    config = REPLICAS.config()
    return config.model_copy(
        update={
            "summaries": config.summaries.model_copy(update={"level": level}),
            "budget": config.budget.model_copy(update=budget),
            "plan": config.plan.model_copy(update={"shard_cost_s": 0.001}),
            "commit": config.commit.model_copy(update={"shards": 1}),
        }
    )


def index_archive(video, index, notes, level=None, **budget):
    config = settings(level, **budget)
    simulated = partial(answer_graph, open_engine=opener(REPLICAS, notes))
    with mock.patch.object(driver, "answer_graph", simulated):
        return driver.index_archive(
            [source_of(video)], config, str(index), on_progress=lambda _report: None
        )


@pytest.fixture(scope="module")
def running_ray():
    import ray

    ray.init(num_cpus=2, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.fixture
def video(tmp_path):
    return make_video(
        tmp_path / "v.mp4",
        num_frames=2 * NUM_WINDOWS,
        rate=1,
        width=64,
        height=64,
        bframes=0,
        gop=4,
    )


@pytest.mark.usefixtures("running_ray")
def test_after_a_spent_budget_whole_shards_are_committed_and_the_same_call_continues(
    video, tmp_path
):
    index, notes = tmp_path / "index", tmp_path / "notes"
    notes.mkdir()
    # A simulated prompt has one token.
    first = index_archive(video, index, notes, max_tokens=5)
    assert "budget.max_tokens=5 is spent" in first.stopped
    assert 5 <= first.spent.num_prompt_tokens < NUM_WINDOWS
    assert first.videos_done == 0
    num_committed = DeltaTable(str(index / "windows")).to_pyarrow_table().num_rows
    assert 0 < num_committed < NUM_WINDOWS

    rest = index_archive(video, index, notes)
    assert (rest.stopped, rest.videos_done) == ("", 1)
    # What was whole is not paid for again.
    assert sum(rest.windows.values()) == NUM_WINDOWS - num_committed
    again = index_archive(video, index, notes, max_tokens=5)
    assert (again.stopped, again.videos_skipped) == ("", 1)


@pytest.mark.usefixtures("running_ray")
def test_if_the_last_window_spends_the_budget_the_next_call_writes_the_summaries(video, tmp_path):
    index, notes = tmp_path / "index", tmp_path / "notes"
    notes.mkdir()
    report = index_archive(video, index, notes, level="day", max_tokens=NUM_WINDOWS)
    assert (report.videos_done, report.spent.num_prompt_tokens) == (1, NUM_WINDOWS)
    assert f"budget.max_tokens={NUM_WINDOWS} is spent" in report.stopped
    assert report.summaries["days"]["done"] == 0
    days = pending_days(open_index(str(index)), settings("day"), "day", {source_of(video).uri})
    assert len(days) == 1


def test_summaries_stop_when_the_budget_is_spent_and_the_next_call_writes_the_rest(
    cli, serve, tmp_path
):
    # Refused, and asked for twice: each day takes 220 tokens.
    endpoint = serve((200, "{}"))
    writer = Writer(tmp_path / "index")
    for number in range(2):
        name, start = f"v{number}", number * DAY
        made = {"task": SIGNALS_TASK.name, "config": Config().to_json(), "indexed_at": T0}
        first = {"video_id": name, "label": "motion", "task": SIGNALS_TASK.name}
        part = dict.fromkeys(("uri", "start", "end", "media_start", "media_end"))
        writer.finish_videos(
            rows("videos", video_row(name, start, start + 60) | made | {"clock_start": at(start)}),
            rows(
                "events",
                event(f"e{number}", at(start), at(start + 9), **first)
                | {"parts": [part | {"video_id": name}]},
            ),
        )
    command = (
        "summarize", "--index", tmp_path / "index", "--json", "--set", "budget.max_tokens=220",
        "--set", f"engine={{kind: openai, model: m, base_url: '{endpoint.url}'}}",
    )  # fmt: skip
    first = cli.json(*command, code=EXIT_BUDGET)
    assert "budget.max_tokens=220 is spent (220 tokens)" in cli.err
    assert (first["days"], first["tokens"]) == (
        {"done": 1, "skipped": 0},
        {"prompt": 200, "output": 20},
    )
    rest = cli.json(*command)
    assert (rest["days"], rest["stopped"]) == ({"done": 1, "skipped": 1}, "")
    assert cli.json(*command)["days"] == {"done": 0, "skipped": 2}
