"""vLLM's own argument classes take every entry of configs/models: no key is stale."""

import json

import pytest
import yaml

pytest.importorskip("vllm")

from pipeline.catalogue import FOLDER, catalogue
from pipeline.config import load_config
from pipeline.engine.vllm import engine_args

pytestmark = pytest.mark.vllm

FAMILIES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))}


def is_mixture(family: str) -> bool:
    return "-a" in family


def settings(tmp_path, name: str, *overrides: str):
    path = tmp_path / "run.yaml"
    path.write_text(f"engine: {{kind: vllm, model: {name}}}\n")
    return load_config(path, overrides)


def checkpoint_without_weights(folder, facts: dict, *, experts: bool):
    """What vLLM reads before it loads weights, with the real numbers of layers and heads."""
    from tests.vllm.tiny_model import make_processor, save_tiny_model

    tree = json.loads((save_tiny_model(folder) / "config.json").read_text())
    tree["text_config"] |= {
        "num_hidden_layers": facts["layers"],
        "num_attention_heads": facts["heads"],
        "num_key_value_heads": facts["kv_heads"],
        "head_dim": facts["head_dim"],
        "max_position_embeddings": facts["context"],
    }
    if experts:
        tree["architectures"] = ["Qwen3VLMoeForConditionalGeneration"]
        tree["model_type"] = "qwen3_vl_moe"
        tree["text_config"] |= {
            "model_type": "qwen3_vl_moe_text",
            "num_experts": 128,
            "num_experts_per_tok": 8,
            "moe_intermediate_size": 768,
            "decoder_sparse_step": 1,
        }
        tree["vision_config"]["model_type"] = "qwen3_vl_moe_vision"
    (folder / "config.json").write_text(json.dumps(tree))
    make_processor().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_key_of_an_entry_is_one_of_vllms(tmp_path, name):
    from vllm.engine.arg_utils import AsyncEngineArgs

    config = settings(tmp_path, name)
    args = engine_args(config.engine, config.frame, config.plan)
    assert AsyncEngineArgs(**args).model == config.engine.model


@pytest.mark.parametrize("family", FAMILIES)
def test_vllm_plans_the_parallelism_and_budgets_that_the_entry_asks_for(tmp_path, family):
    from vllm.engine.arg_utils import AsyncEngineArgs

    # Of each family the entry with the most that can be wrong.
    name = f"{family}-thinking"
    config = settings(tmp_path, name)
    facts = FAMILIES[family]["facts"]
    folder = checkpoint_without_weights(tmp_path / "model", facts, experts=is_mixture(family))
    args = engine_args(config.engine, config.frame, config.plan) | {"model": str(folder)}
    built = AsyncEngineArgs(**args).create_engine_config()
    num_gpus = int(config.engine.num_gpus)
    assert built.parallel_config.tensor_parallel_size == num_gpus
    assert built.parallel_config.enable_expert_parallel == (num_gpus > 1 and is_mixture(family))
    assert built.model_config.max_model_len == config.engine.args["max_model_len"]
    assert built.model_config.multimodal_config.mm_encoder_tp_mode == (
        "data" if num_gpus > 1 else "weights"
    )
    # One step takes the pictures of a whole window.
    assert built.scheduler_config.max_num_encoder_input_tokens >= 5376
    assert built.structured_outputs_config.reasoning_parser == "qwen3"
    assert built.reasoning_config.enabled


def test_a_hub_id_is_found_in_the_local_cache_without_a_network(tmp_path, monkeypatch):
    import huggingface_hub.constants
    from vllm.engine.arg_utils import AsyncEngineArgs

    revision = "0" * 40
    repo = tmp_path / "hub" / "models--Qwen--Qwen3-VL-2B-Instruct"
    snapshot = repo / "snapshots" / revision
    snapshot.mkdir(parents=True)
    checkpoint_without_weights(snapshot, FAMILIES["qwen3-vl-2b"]["facts"], experts=False)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(revision)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    config = settings(tmp_path, "qwen3-vl-2b-instruct")
    args = engine_args(config.engine, config.frame, config.plan)
    assert AsyncEngineArgs(**args).create_engine_config().model_config.model == str(snapshot)


def test_weights_may_lie_elsewhere_than_the_model_they_are_of(tmp_path):
    config = settings(tmp_path, "qwen3-vl-8b-instruct", "engine.weights=s3://bucket/8b")
    args = engine_args(config.engine, config.frame, config.plan)
    assert (args["model"], args["load_format"]) == ("s3://bucket/8b", "runai_streamer")
    assert config.model == "Qwen/Qwen3-VL-8B-Instruct"
