"""How many tokens a window's prompt will have, known before anything is decoded.

What counts is what vLLM makes of Qwen3-VL's chat template (``qwen3_vl.py``, with transformers from
5.10 on): in the place of ``<|video_pad|>`` each pair of frames becomes its marker, a start token,
one token per 32 x 32 pixels and an end token; the template's own two tokens stay around them all.
The model's own tokenizer counts text where it is at hand; elsewhere Qwen's rules do: digits are
single tokens, other text has 4.2 characters to a token.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.config.task import Task
from pipeline.engine.prompt import expected_markers, num_video_tokens, shown_ms
from pipeline.engine.vllm import VllmEngineConfig

CHARS_PER_TOKEN = 4.2
"""The shipped tasks have 4.2 and 4.3 in Qwen's vocabulary."""
_MARKER_TOKENS_BESIDE_DIGITS = 4
"""``<``, ``.``, `` seconds`` and ``>``; a digit is a token."""
_NO_FRAMES = "<|vision_start|><|vision_end|>"
_BORDER_TOKENS = 2
"""``<|vision_start|>`` and ``<|vision_end|>``."""
_FRAME_TOKENS = 3
"""``<|im_start|>``, ``<|im_end|>`` and the line feed after it, per message."""


class PromptTokens:
    """Counts the prompts of one task for one model."""

    def __init__(self, engine: VllmEngineConfig, task: Task) -> None:
        tokenizer = _tokenizer(engine)
        self.is_exact = tokenizer is not None
        """Whether the model's own tokenizer counts."""
        if tokenizer is not None:
            count: Callable[[str], int] = lambda text: len(  # noqa: E731
                tokenizer.encode(text, add_special_tokens=False)
            )
            self._marker = cache(count)
            self._text = count(_chat(task, thinking=engine.thinking))
        else:
            self._marker = cache(_marker_tokens)
            self._text = _text_tokens(task)

    def of(self, frame_ns: Sequence[int], start_ns: int, *, num_pixels: int) -> int:
        """Tokens of the prompt for frames of ``num_pixels`` at these media times."""
        markers = expected_markers(frame_ns, start_ns)
        num_frames = len(shown_ms(frame_ns, start_ns))
        return (
            self._text
            + num_video_tokens(num_frames, num_pixels=num_pixels)
            + sum(_BORDER_TOKENS + self._marker(marker) for marker in markers)
        )


def _chat(task: Task, *, thinking: bool) -> str:
    """The prompt as Qwen3-VL's chat template writes it, for a video without frames."""
    system = f"<|im_start|>system\n{task.system}<|im_end|>\n" if task.system is not None else ""
    user = f"<|im_start|>user\n{_NO_FRAMES}{task.question}<|im_end|>\n<|im_start|>assistant\n"
    return system + user + ("<think>\n" if thinking else "")


def _text_tokens(task: Task) -> int:
    num_messages = 2 if task.system is None else 3
    chars = len(task.question) + len(task.system or "") + len("user assistant system")
    return math.ceil(chars / CHARS_PER_TOKEN) + num_messages * _FRAME_TOKENS + _BORDER_TOKENS


def _marker_tokens(marker: str) -> int:
    return _MARKER_TOKENS_BESIDE_DIGITS + sum(map(str.isdigit, marker))


def _tokenizer(engine: VllmEngineConfig) -> Any:  # noqa: ANN401 - of an optional dependency
    """The model's tokenizer from its folder or the local hub cache; None if it is in neither."""
    try:
        from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - of the vllm extras
        from tokenizers import Tokenizer  # noqa: PLC0415
    except ImportError:
        return None
    where = engine.weights or engine.model
    file: Any = Path(where) / "tokenizer.json"
    if not file.is_file() and where.count("/") == 1 and where[0] not in "./":
        file = try_to_load_from_cache(where, "tokenizer.json", revision=engine.revision)
    return Tokenizer.from_file(str(file)) if file and Path(str(file)).is_file() else None
