"""vLLM's engine process and the actor that holds it are killed for real, in the middle of a run."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.config import load_config
from tests.conftest import LOBBY

pytestmark = [pytest.mark.vllm, pytest.mark.ray, pytest.mark.timeout(900)]
pytest.importorskip("vllm")

NUM_WINDOWS = 140


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    from tests.vllm.tiny_model import save_tiny_model

    folder = tmp_path_factory.mktemp("kills")
    path = folder / "run.yaml"
    path.write_text(
        f"""
task:
  name: gate
  labels: {{enter: comes in, exit: goes out}}
  prompt: "Report events. {{labels}}"
  max_events: 1
  summary: false
sample: {{fps: 2}}
frame: {{rgb_max_pixels: 2048}}
plan: {{max_window_frames: 2, shard_cost_s: 0.05}}
commit: {{shards: 1}}
engine:
  kind: vllm
  model: {save_tiny_model(folder / "model")}
  num_gpus: 0
  max_output_tokens: 48
  max_concurrency: 1
  args:
    {{dtype: float32, max_model_len: 1024, enforce_eager: true, kv_cache_memory_bytes: 67108864}}
"""
    )
    return path


def actor_and_engine(run: subprocess.Popen) -> tuple[int, int] | None:
    """Process ids of the actor that holds the model and of the engine process below it."""
    import psutil

    for actor in psutil.Process(run.pid).children(recursive=True):
        try:
            if "_ModelActor" in " ".join(actor.cmdline()):
                for child in actor.children():
                    if "VLLM::EngineCore" in " ".join(child.cmdline()):
                        return actor.pid, child.pid
        except psutil.NoSuchProcess:
            continue
    return None


def replaced(engine: int, run: subprocess.Popen) -> tuple[int, int] | None:
    """The actor and its engine, once that is another one than ``engine``."""
    found = actor_and_engine(run)
    return found if found and found[1] != engine else None


def num_commits(index: Path) -> int:
    return len(list((index / "windows" / "_delta_log").glob("*.json")))


def wait_for(run: subprocess.Popen, what, timeout_s: float = 400.0):
    """What ``what`` returns once it is true; a run that ends before that is told with its words."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if found := what():
            return found
        if run.poll() is not None:
            out, err = run.communicate()
            pytest.fail(f"the run ended with {run.returncode}: {out.decode()}\n{err.decode()}")
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come true in {timeout_s} s")


def test_a_killed_engine_and_a_killed_actor_cost_no_window(cli, config, tmp_path):
    index = tmp_path / "index"
    run = cli.start("index", LOBBY, "--index", index, "--config", config, "--json")
    try:
        # The first commit made the table. With the next one the engine is at work, and one window
        # at a time leaves it work for longer than a commit takes on a slow disk.
        actor, engine = wait_for(run, lambda: actor_and_engine(run))
        wait_for(run, lambda: num_commits(index) >= 2)
        os.kill(engine, signal.SIGKILL)
        done = num_commits(index)
        same, _ = wait_for(run, lambda: replaced(engine, run))
        wait_for(run, lambda: num_commits(index) > done)
        assert same == actor, "the actor opens another engine itself"
        os.kill(actor, signal.SIGKILL)
        out, err = run.communicate(timeout=400)
    finally:
        run.kill()
    assert run.returncode == 0, err.decode()
    report = json.loads(out.splitlines()[-1])
    assert sum(report["windows"].values()) == NUM_WINDOWS
    rows = cli.rows("query", "--index", index, "--table", "windows")
    assert len({row["window_id"] for row in rows}) == len(rows) == NUM_WINDOWS
    # A random model's answer may be refused; none is lost with the processes.
    assert not [row["error"] for row in rows if "died" in row["error"]]
    assert sum(row["num_output_tokens"] > 0 for row in rows) == NUM_WINDOWS
    (video,) = cli.rows("query", "--index", index, "--table", "videos")
    assert video["engine_s"] == pytest.approx(sum(row["engine_s"] for row in rows))
    assert video["engine_s"] > 0
    assert (video["num_windows_failed"], load_config(config).fingerprint) == (
        report["windows"]["failed"],
        video["fingerprint"],
    )
