"""A real Whisper in the format of transformers, which vLLM loads, out of CTranslate2's format.

CTranslate2 joins the projections of attention, names layers by itself, and keeps half precision.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AddedToken,
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizerFast,
)

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_END = "<|endoftext|>"
_NUM_TIMES = 1501
_HEAD_WIDTH = 64


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a ``model.bin``, by its name or its other name."""
    data, at = path.read_bytes(), 0

    def number(form):
        nonlocal at
        (value,) = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return value

    def text():
        nonlocal at
        length = number("H")
        at += length
        return data[at - length : at - 1].decode()

    number("I"), text(), number("I")  # version, name and revision of the format
    tensors = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind, num_bytes = _TYPES[number("B")], number("I")
        count = num_bytes // np.dtype(kind).itemsize
        tensors[name] = np.frombuffer(data, kind, count, at).reshape(shape)
        at += num_bytes
    for _ in range(number("I")):
        other, name = text(), text()
        tensors[other] = tensors[name]
    return tensors


def layers(num_layers: int) -> Iterator[tuple[str, str, str]]:
    """Of each layer its side and its names in transformers and in CTranslate2."""
    for side in ("encoder", "decoder"):
        for layer in range(num_layers):
            yield side, f"{side}.layers.{layer}", f"{side}/layer_{layer}"


def alike(num_layers: int) -> Iterator[tuple[str, str]]:
    """Parts that are the same in both, by their names in transformers and in CTranslate2."""
    yield from (("encoder.conv1", "encoder/conv1"), ("encoder.conv2", "encoder/conv2"))
    yield from ((f"{side}.layer_norm", f"{side}/layer_norm") for side in ("encoder", "decoder"))
    for side, name, of in layers(num_layers):
        yield f"{name}.self_attn.out_proj", f"{of}/self_attention/linear_1"
        yield f"{name}.self_attn_layer_norm", f"{of}/self_attention/layer_norm"
        yield f"{name}.fc1", f"{of}/ffn/linear_0"
        yield f"{name}.fc2", f"{of}/ffn/linear_1"
        yield f"{name}.final_layer_norm", f"{of}/ffn/layer_norm"
        if side == "decoder":
            yield f"{name}.encoder_attn.q_proj", f"{of}/attention/linear_0"
            yield f"{name}.encoder_attn.out_proj", f"{of}/attention/linear_2"
            yield f"{name}.encoder_attn_layer_norm", f"{of}/attention/layer_norm"


def joined(num_layers: int) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Projections that are one part in CTranslate2."""
    for side, name, of in layers(num_layers):
        yield f"{name}.self_attn", f"{of}/self_attention/linear_0", ("q_proj", "k_proj", "v_proj")
        if side == "decoder":
            yield f"{name}.encoder_attn", f"{of}/attention/linear_1", ("k_proj", "v_proj")


def state_of(tensors: dict[str, np.ndarray], num_layers: int) -> dict[str, torch.Tensor]:
    """The same tensors under the names of transformers."""
    embedding = tensors["decoder/embeddings/weight"]
    state = {"model.decoder.embed_tokens.weight": embedding, "proj_out.weight": embedding}
    for side in ("encoder", "decoder"):
        positions = tensors[f"{side}/position_encodings/encodings"]
        state[f"model.{side}.embed_positions.weight"] = positions
    for name, of in alike(num_layers):
        for ending, sources in {"weight": ("weight", "gamma"), "bias": ("bias", "beta")}.items():
            for source in sources:
                if f"{of}/{source}" in tensors:
                    state[f"model.{name}.{ending}"] = tensors[f"{of}/{source}"]
    for name, of, projections in joined(num_layers):
        for ending in ("weight", "bias"):
            parts = np.split(tensors[f"{of}/{ending}"], len(projections))
            for projection, part in zip(projections, parts, strict=True):
                state[f"model.{name}.{projection}.{ending}"] = part
            state.pop(f"model.{name}.k_proj.bias", None)  # Whisper has none
    return {name: torch.from_numpy(np.array(one, np.float32)) for name, one in state.items()}


def save_whisper(weights: Path, folder: Path) -> Path:
    """The folder, with all that vLLM needs of the model whose CTranslate2 weights are given."""
    tensors = read_tensors(weights / "model.bin")
    num_tokens, width = tensors["decoder/embeddings/weight"].shape
    num_layers = len({name.split("/")[1] for name in tensors if name.startswith("encoder/layer_")})
    num_layers -= 1  # encoder/layer_norm
    tokenizer = WhisperTokenizerFast(
        tokenizer_file=str(weights / "tokenizer.json"),
        **dict.fromkeys(("pad_token", "unk_token", "bos_token", "eos_token"), _END),
    )
    times = [AddedToken(f"<|{at * 0.02:.2f}|>", special=False) for at in range(_NUM_TIMES)]
    tokenizer.add_tokens(times)
    end, start = tokenizer.convert_tokens_to_ids([_END, "<|startoftranscript|>"])
    ends = {"eos_token_id": end, "bos_token_id": end, "pad_token_id": end}
    config = WhisperConfig(
        d_model=width, vocab_size=num_tokens, encoder_layers=num_layers, decoder_layers=num_layers,
        encoder_attention_heads=width // _HEAD_WIDTH, decoder_attention_heads=width // _HEAD_WIDTH,
        encoder_ffn_dim=4 * width, decoder_ffn_dim=4 * width, decoder_start_token_id=start, **ends,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    model.load_state_dict(state_of(tensors, num_layers))
    model.generation_config = GenerationConfig(decoder_start_token_id=start, **ends)
    model.half().save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    saved = json.loads((folder / "config.json").read_text())
    assert saved["eos_token_id"] == end
    return folder
