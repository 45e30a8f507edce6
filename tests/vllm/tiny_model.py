"""Random models of a few hundred thousand weights: real code paths, meaningless answers."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
# As in Qwen's own tokenizers these are single tokens, yet not special: they stay in the text.
THOUGHT = ("<think>", "</think>")
_TOKEN = {name: i for i, name in enumerate(SPECIAL)}
CHAT_TEMPLATE = (
    "{%- for message in messages -%}<|im_start|>{{ message.role + '\n' }}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'text' -%}{{ part.text }}"
    "{%- elif part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part.type == 'video' -%}<|vision_start|><|video_pad|><|vision_end|>"
    "{%- endif -%}{%- endfor -%}{%- endif -%}{{ '<|im_end|>\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)

_ROPE = {"rope_type": "default", "rope_theta": 10_000.0}
_TEXT = {
    "vocab_size": len(SPECIAL) + len(THOUGHT) + 256,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
    "pad_token_id": _TOKEN["<|endoftext|>"],
    "eos_token_id": _TOKEN["<|im_end|>"],
}
_TOKENS = {
    "image_token_id": _TOKEN["<|image_pad|>"],
    "video_token_id": _TOKEN["<|video_pad|>"],
    "vision_start_token_id": _TOKEN["<|vision_start|>"],
    "vision_end_token_id": _TOKEN["<|vision_end|>"],
    "tie_word_embeddings": True,
}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, and Qwen's special tokens."""
    names = [*SPECIAL, *THOUGHT, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in THOUGHT])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",  # noqa: S106
        pad_token="<|endoftext|>",  # noqa: S106
        additional_special_tokens=list(SPECIAL[1:]),
        clean_up_tokenization_spaces=False,
        model_max_length=8192,
    )
    fast.image_token = "<|image_pad|>"  # noqa: S105
    fast.video_token = "<|video_pad|>"  # noqa: S105
    fast.chat_template = CHAT_TEMPLATE
    return fast


def make_processor() -> Qwen3VLProcessor:
    """Qwen3-VL's own processor with its usual patches: 16 pixels, 2 frames, merged 2 x 2."""
    patches = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**patches),
        tokenizer=make_tokenizer(),
        video_processor=Qwen3VLVideoProcessor(**patches),
        chat_template=CHAT_TEMPLATE,
    )


def save_tiny_model(folder: Path, *, seed: int = 0) -> Path:
    """Write a checkpoint that vLLM and transformers load like any other; returns ``folder``."""
    processor = make_processor()
    config = Qwen3VLConfig(
        text_config=_TEXT
        | {
            "head_dim": 32,
            "rope_parameters": _ROPE | {"mrope_section": [6, 5, 5], "mrope_interleaved": True},
        },
        vision_config={
            "depth": 2,
            "hidden_size": 48,
            "num_heads": 3,
            "intermediate_size": 96,
            "patch_size": 16,
            "out_hidden_size": 64,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        **_TOKENS,
    )
    return _save(Qwen3VLForConditionalGeneration, config, processor, folder, seed)


def save_tiny_qwen2_5(folder: Path) -> Path:
    """A Qwen2.5-VL, which takes images and videos, and writes no times before either."""
    patches = {"patch_size": 14, "temporal_patch_size": 2, "merge_size": 2}
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**patches),
        tokenizer=make_tokenizer(),
        video_processor=Qwen2VLVideoProcessor(**patches),
        chat_template=CHAT_TEMPLATE,
    )
    config = Qwen2_5_VLConfig(
        text_config=_TEXT | {"rope_parameters": _ROPE | {"mrope_section": [6, 5, 5]}},
        vision_config={
            "depth": 2,
            "hidden_size": 48,
            "num_heads": 3,
            "intermediate_size": 96,
            "out_hidden_size": 64,
            "fullatt_block_indexes": [1],
        },
        **_TOKENS,
    )
    return _save(Qwen2_5_VLForConditionalGeneration, config, processor, folder, seed=0)


def _save(model_class: Any, config: Any, processor: Any, folder: Path, seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config).to(torch.float32)
    model.generation_config.eos_token_id = [_TOKEN["<|im_end|>"]]
    model.generation_config.pad_token_id = _TOKEN["<|endoftext|>"]
    model.generation_config.do_sample = False
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
