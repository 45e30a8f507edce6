"""Qwen3-VL's forward for batches without padding in front: the same numbers, several times faster.

All clips of a batch have the same number and size of frames and the same prompt, so positions and
rotations are computed once per shape instead of once per clip.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from transformers import Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
)

from jobs.training.model import MERGE, PATCH_PX, TEMPORAL_PATCH_FRAMES

# "<|im_start|>", "user", newline, "<|vision_start|>"
NUM_TOKENS_BEFORE_PATCHES: Final = 4
# "<", time, " seconds>", "<|vision_start|>" before a patch's cells
NUM_TOKENS_BEFORE_CELLS: Final = 4
NUM_TOKENS_AROUND_CELLS: Final = 5
_LONGEST_TEXT: Final = 400
# How get_rope_index marks the tokens of a video.
_VIDEO_TYPE: Final = 2
# Heads of the last layer that training teaches to point when a time comes next: at the patch in
# which an event starts, and at the first place at which it is over.
_POINTING_HEADS: Final = slice(0, 2)


@dataclass(frozen=True, slots=True)
class Shape:
    """Temporal patches and the frame in patches of 16 pixels."""

    num_patches: int
    rows: int
    columns: int

    @property
    def num_cells(self) -> int:
        """Vision tokens per temporal patch."""
        return self.rows * self.columns // MERGE**2

    @property
    def tokens_per_patch(self) -> int:
        """Tokens of a temporal patch in the prompt, its marker included."""
        return self.num_cells + NUM_TOKENS_AROUND_CELLS

    def patch_ends(self) -> torch.Tensor:
        """Positions of the tokens that close the patches; there the model has seen a patch."""
        last = NUM_TOKENS_BEFORE_PATCHES + self.tokens_per_patch - 1
        return torch.arange(self.num_patches) * self.tokens_per_patch + last

    def patch_ends_and_video_end(self) -> torch.Tensor:
        """The same and the token that closes the video, where the last patch is over."""
        video_end = NUM_TOKENS_BEFORE_PATCHES + self.num_patches * self.tokens_per_patch
        return torch.cat((self.patch_ends(), torch.tensor([video_end])))

    def patch_times(self) -> torch.Tensor:
        """Positions of the patches' time tokens."""
        first = NUM_TOKENS_BEFORE_PATCHES + 1
        return torch.arange(self.num_patches) * self.tokens_per_patch + first


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """States of the language model: before its last layer, at its end, and where it points."""

    before_last: torch.Tensor
    final: torch.Tensor
    # Log-probability [clip, head, answer position, key] of the pointing heads.
    pointing: torch.Tensor


def _rotate_half(x: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat((-second, first), -1)


def patchify(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Frames [2T, H, W, 3] to [T, patches, values] in the order of the video processor."""
    number, high, wide, channels = frames.shape
    scaled = frames.astype(np.float32) * np.float32(1 / 127.5) - 1
    split = scaled.reshape(
        number // TEMPORAL_PATCH_FRAMES,
        TEMPORAL_PATCH_FRAMES,
        high // (PATCH_PX * MERGE),
        MERGE,
        PATCH_PX,
        wide // (PATCH_PX * MERGE),
        MERGE,
        PATCH_PX,
        channels,
    ).transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)
    num_patches = (high // PATCH_PX) * (wide // PATCH_PX)
    flat = split.reshape(number // TEMPORAL_PATCH_FRAMES, num_patches, -1)
    return np.ascontiguousarray(flat)


class FastForward:
    """Holds no weights of its own: it runs those of the model it was given."""

    def __init__(self, model: Qwen3VLForConditionalGeneration) -> None:
        """Borrow the model's weights."""
        self._model = model
        self._vision_layouts: dict[tuple[int, int], tuple[torch.Tensor, ...]] = {}
        self._text_layouts: dict[Shape, tuple[torch.Tensor, ...]] = {}

    def _vision_layout(self, rows: int, columns: int) -> tuple[torch.Tensor, ...]:
        key = (rows, columns)
        if key not in self._vision_layouts:
            vision = self._model.model.visual
            grid = torch.tensor([[1, rows, columns]])
            indices, weights = get_vision_interpolation_indices_and_weights(
                grid,
                num_grid_per_side=vision.num_grid_per_side,
                mode=vision.interpolation_mode,
                align_corners=vision.interpolation_align_corners,
                spatial_merge_size=MERGE,
                kwargs={},
            )
            positions = get_vision_position_ids(grid, MERGE, kwargs={})
            cosines, sines = vision.rotary_pos_emb(torch.zeros(1), positions)
            self._vision_layouts[key] = (indices, weights, cosines, sines)
        return self._vision_layouts[key]

    def _text_layout(self, shape: Shape) -> tuple[torch.Tensor, ...]:
        if shape not in self._text_layouts:
            types = [0] * NUM_TOKENS_BEFORE_PATCHES
            for _ in range(shape.num_patches):
                types += [0] * NUM_TOKENS_BEFORE_CELLS + [_VIDEO_TYPE] * shape.num_cells + [0]
            types += [0] * _LONGEST_TEXT
            token_types = torch.tensor([types])
            positions, _ = self._model.model.get_rope_index(
                torch.zeros_like(token_types),
                token_types,
                video_grid_thw=torch.tensor([[shape.num_patches, shape.rows, shape.columns]]),
            )
            rotary = self._model.model.language_model.rotary_emb
            cosines, sines = rotary(torch.zeros(1), positions)
            is_cell = (token_types[0] == _VIDEO_TYPE).nonzero()[:, 0]
            self._text_layouts[shape] = (cosines[:, None], sines[:, None], is_cell)
        return self._text_layouts[shape]

    def see(
        self, pixels: torch.Tensor, rows: int, columns: int
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Pixels [n, patches, values] to cells [n, cells, hidden] and those of earlier layers."""
        vision = self._model.model.visual
        config = vision.config
        indices, weights, cosines, sines = self._vision_layout(rows, columns)
        number, patches, _ = pixels.shape
        head_size = config.hidden_size // config.num_heads
        projection = vision.patch_embed.proj
        x = functional.linear(
            pixels, projection.weight.view(config.hidden_size, -1), projection.bias
        )
        x = x + (vision.pos_embed(indices) * weights[:, :, None]).sum(1)
        deep: list[torch.Tensor] = []
        for index, block in enumerate(vision.blocks):
            mixed = block.attn.qkv(block.norm1(x))
            split = mixed.view(number, patches, 3, config.num_heads, head_size)
            query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
            query = query * cosines + _rotate_half(query) * sines
            key = key * cosines + _rotate_half(key) * sines
            seen = functional.scaled_dot_product_attention(query, key, value)
            x = x + block.attn.proj(seen.transpose(1, 2).reshape(number, patches, -1))
            inner = block.mlp.linear_fc1(block.norm2(x))
            x = x + block.mlp.linear_fc2(functional.gelu(inner, approximate="tanh"))
            if index in config.deepstack_visual_indexes:
                merger = vision.deepstack_merger_list[config.deepstack_visual_indexes.index(index)]
                deep.append(merger(x).view(number, patches // MERGE**2, -1))
        return vision.merger(x).view(number, patches // MERGE**2, -1), deep

    def read(
        self,
        ids: torch.Tensor,
        cells: torch.Tensor,
        deep: list[torch.Tensor],
        shape: Shape,
        answer_start: int,
    ) -> Hidden:
        """Run ids [clip, position] with cells [clip, patches*cells, hidden] in their places."""
        language = self._model.model.language_model
        config = language.config
        number, length = ids.shape
        cosines, sines, is_cell = self._text_layout(shape)
        cosines, sines = cosines[:, :, :length], sines[:, :, :length]
        heads, size = config.num_attention_heads, config.head_dim
        epsilon = config.rms_norm_eps
        x = language.embed_tokens(ids).index_copy(1, is_cell, cells)
        before_last, pointing = x, x
        for index, layer in enumerate(language.layers):
            is_last = index == len(language.layers) - 1
            if is_last:
                before_last = x
            attention = layer.self_attn
            normed = functional.rms_norm(x, (x.shape[-1],), layer.input_layernorm.weight, epsilon)

            def split(y: torch.Tensor) -> torch.Tensor:
                return y.view(number, length, heads, size)

            query = functional.rms_norm(
                split(attention.q_proj(normed)), (size,), attention.q_norm.weight, epsilon
            ).transpose(1, 2)
            key = functional.rms_norm(
                split(attention.k_proj(normed)), (size,), attention.k_norm.weight, epsilon
            ).transpose(1, 2)
            value = split(attention.v_proj(normed)).transpose(1, 2)
            query = query * cosines + _rotate_half(query) * sines
            key = key * cosines + _rotate_half(key) * sines
            if is_last:
                pointing = _pointing(query, key, answer_start)
            seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + attention.o_proj(seen.transpose(1, 2).reshape(number, length, -1))
            normed = functional.rms_norm(
                x, (x.shape[-1],), layer.post_attention_layernorm.weight, epsilon
            )
            mlp = layer.mlp
            x = x + mlp.down_proj(functional.silu(mlp.gate_proj(normed)) * mlp.up_proj(normed))
            if index < len(deep):
                x = x.index_add(1, is_cell, deep[index])
        final = functional.rms_norm(x, (x.shape[-1],), language.norm.weight, epsilon)
        return Hidden(before_last=before_last, final=final, pointing=pointing)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Scores of all tokens."""
        return functional.linear(hidden, self._model.model.language_model.embed_tokens.weight)


def _pointing(query: torch.Tensor, key: torch.Tensor, answer_start: int) -> torch.Tensor:
    """Where the heads look from the positions that predict the answer's tokens."""
    length, size = query.shape[2:]
    asking = query[:, _POINTING_HEADS, answer_start - 1 : -1]
    scores = asking @ key[:, _POINTING_HEADS].transpose(2, 3) * size**-0.5
    last_visible = torch.arange(answer_start - 1, length - 1)
    future = torch.arange(length)[None] > last_visible[:, None]
    return functional.log_softmax(scores.masked_fill(future, -torch.inf), -1)
