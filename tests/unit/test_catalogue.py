"""Every entry of the catalogue makes a run, fits its GPUs, and gives way to the run's own keys."""

import pytest
import yaml

from pipeline.config import load_config
from pipeline.config.catalogue import FOLDER, catalogue
from pipeline.engine.prompt import num_video_tokens
from pipeline.engine.vllm import VllmEngineConfig
from pipeline.errors import ConfigError

SIZES = ("2b", "4b", "8b", "32b", "30b-a3b", "235b-a22b")
NAMES = [
    f"qwen3-vl-{size}-{variant}{precision}"
    for size in SIZES
    for variant in ("instruct", "thinking")
    for precision in ("", "-fp8")
]
GPU_BYTES = 80e9
WORK_BYTES = 5e9
"""Of activations and CUDA graphs."""
QUESTION_TOKENS = 1500


def write(tmp_path, engine: str):
    path = tmp_path / "run.yaml"
    path.write_text(f"engine: {engine}\ntask: {{name: t, labels: {{fall: someone falls}}}}\n")
    return path


def family_of(name: str) -> dict:
    return next(
        tree
        for path in FOLDER.glob("*.yaml")
        if name in (tree := yaml.safe_load(path.read_text()))["models"]
    )


def test_there_is_an_entry_for_every_qwen3_vl():
    assert sorted(catalogue()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_alone_makes_a_run_whose_prompt_and_answer_fit_the_context(tmp_path, name):
    config = load_config(write(tmp_path, f"{{kind: vllm, model: {name}}}"))
    engine = config.engine
    assert isinstance(engine, VllmEngineConfig)
    hub = engine.model.removeprefix("Qwen/").removesuffix("-FP8")
    assert hub.lower() == name.removesuffix("-fp8")
    assert engine.model.endswith("-FP8") == name.endswith("-fp8")
    assert engine.thinking == ("thinking" in name)
    window = num_video_tokens(config.plan.max_window_frames, num_pixels=config.frame.rgb_max_pixels)
    answer = engine.max_output_tokens + (engine.max_thinking_tokens if engine.thinking else 0)
    needed = window + QUESTION_TOKENS + answer
    assert needed <= engine.args["max_model_len"] <= family_of(name)["facts"]["context"]


@pytest.mark.parametrize("name", NAMES)
def test_weights_and_eight_whole_prompts_fit_the_gpus(tmp_path, name):
    engine = load_config(write(tmp_path, f"{{kind: vllm, model: {name}}}")).engine
    facts = family_of(name)["facts"]
    num_gpus = int(engine.num_gpus)
    assert facts["heads"] % num_gpus == 0
    weights = facts["weights_gb"]["fp8" if name.endswith("-fp8") else "bf16"] * 1e9 / num_gpus
    # Key and value, two bytes each; with more GPUs than heads, heads are kept several times.
    heads_per_gpu = max(1, facts["kv_heads"] // num_gpus)
    token = 2 * 2 * facts["layers"] * heads_per_gpu * facts["head_dim"]
    usable = GPU_BYTES * engine.args["gpu_memory_utilization"] - WORK_BYTES
    assert weights + 8 * token * engine.args["max_model_len"] < usable


def test_the_runs_own_keys_count_before_the_catalogues(tmp_path):
    path = write(tmp_path, "{kind: vllm, model: qwen3-vl-8b-instruct}")
    base = load_config(path)
    changed = load_config(
        path, ("engine.args.max_model_len=4096", "plan.max_window_frames=8", "sample.fps=1")
    )
    assert changed.engine.args == {**base.engine.args, "max_model_len": 4096}
    assert (changed.plan.max_window_frames, changed.sample.fps) == (8, 1)
    assert changed.engine.model == base.engine.model == "Qwen/Qwen3-VL-8B-Instruct"


def test_the_rows_and_the_fingerprint_name_the_checkpoint_not_the_entry(tmp_path):
    by_name = load_config(write(tmp_path, "{kind: vllm, model: qwen3-vl-8b-instruct-fp8}"))
    assert by_name.model == "Qwen/Qwen3-VL-8B-Instruct-FP8"
    other = load_config(write(tmp_path, "{kind: vllm, model: qwen3-vl-8b-instruct}"))
    assert by_name.fingerprint != other.fingerprint
    dearer = load_config(tmp_path / "run.yaml", ("engine.rates.usd_per_gpu_hour=9",))
    assert dearer.fingerprint == other.fingerprint


@pytest.mark.parametrize("model", ["org/some-vlm", "./folder", "s3://bucket/model"])
def test_any_other_model_is_taken_as_it_is_named(tmp_path, model):
    config = load_config(write(tmp_path, f"{{kind: vllm, model: {model}}}"))
    assert config.engine.model == model
    assert config.engine.rates is None


def test_a_mistyped_name_is_told_with_the_nearest_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"qwen3-vl-8b-instuct.*qwen3-vl-8b-instruct"):
        load_config(write(tmp_path, "{kind: vllm, model: qwen3-vl-8b-instuct}"))
