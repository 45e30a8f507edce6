"""vLLM's own classes take every entry of the catalogue: no key is stale, no value refused."""

import json
import shutil

import pytest
import yaml

pytest.importorskip("vllm")

from pipeline.config import load_config
from pipeline.config.catalogue import FOLDER, catalogue
from pipeline.engine.vllm.windows import engine_args

pytestmark = pytest.mark.vllm

FAMILIES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))}


FP8 = {
    "quant_method": "fp8",
    "activation_scheme": "dynamic",
    "fmt": "e4m3",
    "weight_block_size": [128, 128],
}


def family_of(name: str) -> str:
    return next(family for family, tree in FAMILIES.items() if name in tree["models"])


def is_mixture(family: str) -> bool:
    return "-a" in family


def settings(tmp_path, name: str, *overrides: str):
    path = tmp_path / "run.yaml"
    path.write_text(f"engine: {{kind: vllm, model: {name}}}\n")
    return load_config(path, overrides)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    from tests.vllm.tiny_model import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


def checkpoint_without_weights(tiny, folder, family: str, *, is_fp8: bool = False):
    """What vLLM reads before it loads weights, with the real numbers of layers and heads."""
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    facts = FAMILIES[family]["facts"]
    tree = json.loads((folder / "config.json").read_text())
    tree["text_config"] |= {
        "num_hidden_layers": facts["layers"],
        "num_attention_heads": facts["heads"],
        "num_key_value_heads": facts["kv_heads"],
        "head_dim": facts["head_dim"],
        "max_position_embeddings": facts["context"],
    }
    if is_fp8:
        tree["quantization_config"] = FP8
    if is_mixture(family):
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
    return folder


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_vllm_plans_the_parallelism_and_budgets_that_an_entry_asks_for(tmp_path, tiny, name):
    from vllm.engine.arg_utils import AsyncEngineArgs

    config = settings(tmp_path, name)
    args = engine_args(config.engine, config.frame, config.plan)
    assert args["model"] == config.engine.model
    family, is_fp8 = family_of(name), name.endswith("-fp8")
    folder = checkpoint_without_weights(tiny, tmp_path / "model", family, is_fp8=is_fp8)
    built = AsyncEngineArgs(**args | {"model": str(folder)}).create_engine_config()
    num_gpus = int(config.engine.num_gpus)
    assert built.parallel_config.tensor_parallel_size == num_gpus
    assert built.parallel_config.enable_expert_parallel == (num_gpus > 1 and is_mixture(family))
    assert built.model_config.max_model_len == config.engine.args["max_model_len"]
    assert built.model_config.quantization == ("fp8" if is_fp8 else None)
    assert built.model_config.multimodal_config.mm_encoder_tp_mode == (
        "data" if num_gpus > 1 else "weights"
    )
    # One step takes the pictures of a whole window.
    assert built.scheduler_config.max_num_encoder_input_tokens >= 5376
    parser = "qwen3" if config.engine.thinking else ""
    assert built.structured_outputs_config.reasoning_parser == parser
    assert config.engine.thinking == bool(built.reasoning_config and built.reasoning_config.enabled)


def test_a_hub_id_is_found_in_the_local_cache_without_a_network(tmp_path, tiny, monkeypatch):
    import huggingface_hub.constants
    from vllm.engine.arg_utils import AsyncEngineArgs

    revision = "0" * 40
    repo = tmp_path / "hub" / "models--Qwen--Qwen3-VL-2B-Instruct"
    snapshot = repo / "snapshots" / revision
    checkpoint_without_weights(tiny, snapshot, "qwen3-vl-2b")
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
