"""Builds a Qwen3-VL that is small enough for a repository, with an initialisation that learns.

It is the real architecture with small sizes: transformers and vLLM load it like any Qwen3-VL.
"""

from dataclasses import dataclass
from typing import Final

import torch
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from jobs.training.tokens import (
    CHAT_TEMPLATE,
    IMAGE_PAD,
    NUM_TIMES,
    PAD,
    TURN_END,
    VIDEO_PAD,
    VISION_END,
    VISION_START,
    make_tokenizer,
    time_token,
)

PATCH_PX: Final = 16
MERGE: Final = 2
TEMPORAL_PATCH_FRAMES: Final = 2
_CELL_PX: Final = PATCH_PX * MERGE
_MAX_FRAME_PX: Final = 1024 * 1024
_MAX_FRAMES: Final = 64

_TEXT_SIZE: Final = 128
_VISION_SIZE: Final = 96
# Colour-opponent axes: brightness, red against green, blue against yellow.
_OPPONENTS: Final = ((1 / 3, 1 / 3, 1 / 3), (1.5, -1.5, 0.0), (-0.75, -0.75, 1.5))
# Mean and difference of the two frames of a patch, with factors that give them equal spread.
_TIME_FILTERS: Final = (((0.5, 0.5), 1.5), ((0.5, -0.5), 2.0))
_BLOCK_PX: Final = 4
_COPY_STRENGTH: Final = 0.25
_EMBEDDING_STD: Final = 0.15
_MATRIX_NDIM: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoModel:
    """The model, with the processor and the tokenizer that make its inputs."""

    model: Qwen3VLForConditionalGeneration
    processor: Qwen3VLProcessor
    tokenizer: PreTrainedTokenizerFast


def build(*, seed: int) -> DemoModel:
    """An untrained model; the same seed gives the same weights."""
    tokenizer = make_tokenizer()
    ids = {
        token: tokenizer.convert_tokens_to_ids(token)
        for token in (PAD, TURN_END, VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD)
    }
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": _TEXT_SIZE,
            "intermediate_size": 256,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": 32,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                # As in the large models. Attention over hundreds of tokens needs dimensions that
                # rotate slowly; with heads of 32 a base of 1e4 leaves few of them.
                "rope_theta": 5_000_000.0,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
            "pad_token_id": ids[PAD],
            "eos_token_id": ids[TURN_END],
        },
        vision_config={
            "depth": 2,
            "hidden_size": _VISION_SIZE,
            "num_heads": 3,
            "intermediate_size": 192,
            "patch_size": PATCH_PX,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": TEMPORAL_PATCH_FRAMES,
            "out_hidden_size": _TEXT_SIZE,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=ids[IMAGE_PAD],
        video_token_id=ids[VIDEO_PAD],
        vision_start_token_id=ids[VISION_START],
        vision_end_token_id=ids[VISION_END],
        tie_word_embeddings=True,
    )
    model = Qwen3VLForConditionalGeneration(config).to(torch.float32)
    model.generation_config.eos_token_id = [ids[TURN_END]]
    model.generation_config.pad_token_id = ids[PAD]
    model.generation_config.do_sample = False
    with torch.no_grad():
        _initialise(model, seed=seed)
    return DemoModel(model=model, processor=make_processor(tokenizer), tokenizer=tokenizer)


def make_processor(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLProcessor:
    """Qwen3-VL's processor; its pixel limits are so wide that no frame of the demo is resized."""
    image_processor = Qwen2VLImageProcessor(
        patch_size=PATCH_PX,
        temporal_patch_size=TEMPORAL_PATCH_FRAMES,
        merge_size=MERGE,
        size={"shortest_edge": _CELL_PX**2, "longest_edge": _MAX_FRAME_PX},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    video_processor = Qwen3VLVideoProcessor(
        patch_size=PATCH_PX,
        temporal_patch_size=TEMPORAL_PATCH_FRAMES,
        merge_size=MERGE,
        size={
            "shortest_edge": _CELL_PX**2 * TEMPORAL_PATCH_FRAMES,
            "longest_edge": _MAX_FRAME_PX * _MAX_FRAMES,
        },
    )
    return Qwen3VLProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        video_processor=video_processor,
        chat_template=CHAT_TEMPLATE,
    )


def time_token_ids(tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """The ids of all time tokens, from 0.0 on."""
    vocabulary = tokenizer.get_vocab()
    return torch.tensor([vocabulary[time_token(tenths)] for tenths in range(NUM_TIMES)])


def _initialise(model: Qwen3VLForConditionalGeneration, *, seed: int) -> None:
    """Weights with which a network of width 128 learns on a CPU; a std of 0.02 is too small."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.ndim == _MATRIX_NDIM and "embed" not in name:
            std = weight.shape[1] ** -0.5
            writes_residual = ("linear_fc2", "attn.proj", "down_proj", "o_proj")
            if "merger" not in name and any(part in name for part in writes_residual):
                std *= 0.5
            weight.normal_(0, std, generator=generator)
    vision, language = model.model.visual, model.model.language_model
    vision.pos_embed.weight.normal_(0, 0.1, generator=generator)
    _initialise_patches(vision.patch_embed.proj.weight, generator)
    vision.patch_embed.proj.bias.zero_()
    # Random codes for words and times, so that one linear map copies any of the times.
    language.embed_tokens.weight.normal_(0, _EMBEDDING_STD, generator=generator)
    for layer in language.layers:
        attention = layer.self_attn
        random = torch.randn(_TEXT_SIZE, _TEXT_SIZE, generator=generator)
        rotation, _ = torch.linalg.qr(random)
        # So each layer copies weakly what it attends to, from the first step on.
        attention.v_proj.weight.copy_(rotation)
        attention.o_proj.weight.copy_(rotation.T * _COPY_STRENGTH)


def _initialise_patches(weight: torch.Tensor, generator: torch.Generator) -> None:
    """96 filters: 4x4-pixel blocks per opponent colour, of the mean and change of both frames."""
    weight.zero_()
    index = 0
    for colors in _OPPONENTS:
        for signs, strength in _TIME_FILTERS:
            for top in range(0, PATCH_PX, _BLOCK_PX):
                for left in range(0, PATCH_PX, _BLOCK_PX):
                    block = weight[index, :, :, top : top + _BLOCK_PX, left : left + _BLOCK_PX]
                    color = torch.tensor(colors).view(3, 1, 1, 1)
                    sign = torch.tensor(signs).view(1, 2, 1, 1)
                    block.copy_((color * sign * strength / _BLOCK_PX**2).expand_as(block))
                    index += 1
    weight.add_(torch.randn(weight.shape, generator=generator) * 0.002)
