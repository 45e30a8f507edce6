"""Real vLLM inside a Ray actor, fed by decode tasks: the receipts must say what happened."""

import json
from pathlib import Path

import pytest

from pipeline.config import load_config
from pipeline.engine.prompt import expected_markers
from pipeline.timebase import seconds_to_ns
from tests.conftest import LOBBY, Cli

pytestmark = [pytest.mark.vllm, pytest.mark.ray, pytest.mark.timeout(600)]
pytest.importorskip("vllm")


@pytest.fixture(scope="module")
def indexed(tmp_path_factory) -> tuple[Path, dict, Path]:
    """The shipped clip, indexed by a tiny random model: index, report, config file."""
    from tests.vllm.tiny_model import save_tiny_model

    folder = tmp_path_factory.mktemp("vllm")
    model = save_tiny_model(folder / "model")
    config = folder / "run.yaml"
    config.write_text(
        f"""
task:
  name: gate
  labels: {{enter: comes in, exit: goes out}}
  prompt: "Report events. {{labels}}"
  max_events: 2
  summary: false
sample: {{fps: 1}}
frame: {{rgb_max_pixels: 6144}}
plan: {{max_window_frames: 8}}
engine:
  kind: vllm
  model: {model}
  num_gpus: 0
  max_output_tokens: 96
  max_concurrency: 4
  args:
    {{dtype: float32, max_model_len: 2048, enforce_eager: true, kv_cache_memory_bytes: 67108864}}
"""
    )
    index = folder / "index"
    return index, Cli().json("index", LOBBY, "--index", index, "--config", config, "--json"), config


def test_every_window_is_answered_once_and_counted(cli, indexed):
    index, report, _ = indexed
    windows = cli.rows("query", "--index", index, "--table", "windows")
    assert sum(report["windows"].values()) == len(windows) == 18
    assert report["windows"]["quiet"] == 0
    assert report["videos"]["failed"] == 0
    assert sum(row["num_prompt_tokens"] for row in windows) == report["tokens"]["prompt"] > 0
    assert sum(row["num_output_tokens"] for row in windows) == report["tokens"]["output"] > 0
    assert sum(len(row["frame_pts"]) for row in windows) == 140


def test_the_markers_in_the_prompt_are_those_of_the_frames_that_were_sent(cli, indexed):
    index, _, _ = indexed
    for row in cli.rows("query", "--index", index, "--table", "windows"):
        frame_ns = [seconds_to_ns(s) for s in row["frame_s"]]
        assert tuple(row["markers"]) == expected_markers(
            frame_ns, seconds_to_ns(row["media_start"])
        )


def test_answers_obey_the_schema_and_name_the_model_and_the_prompt(cli, indexed):
    index, report, config = indexed
    settings = load_config(config)
    assert report["windows"]["analysed"] > 0
    for row in cli.rows("query", "--index", index, "--table", "windows"):
        assert (row["model"], row["prompt_id"]) == (settings.model, settings.prompt_id)
        if row["status"] == "analysed":
            events = json.loads(row["completion"])["events"]
            assert {event["label"] for event in events} <= {"enter", "exit"}
        else:
            assert row["error"]


def test_the_same_command_again_asks_the_model_nothing(cli, indexed):
    index, _, config = indexed
    again = cli.json("index", LOBBY, "--index", index, "--config", config, "--json")
    assert again["videos"] == {"done": 0, "skipped": 1, "superseded": 0, "waiting": 0, "failed": 0}


def test_a_model_that_is_not_there_ends_with_exit_code_3(cli, indexed, tmp_path):
    _, _, config = indexed
    cli.run(
        "index", LOBBY, "--index", tmp_path / "index", "--config", config,
        "--set", "engine.model=/nowhere/model", code=3,
    )  # fmt: skip
    assert "/nowhere/model" in cli.err
    assert "Traceback" not in cli.err
