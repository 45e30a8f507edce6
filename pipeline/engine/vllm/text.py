"""Qwen3-VL (or any chat model of vLLM's) asked in words alone: summaries of what was logged."""

from typing import Any

from pipeline.config import FrameConfig, PlanConfig
from pipeline.engine.prompt import FRAMES_PER_PATCH
from pipeline.engine.vllm import VllmEngineConfig
from pipeline.engine.vllm.process import VllmProcess, sampling_params
from pipeline.engine.vllm.windows import engine_args
from pipeline.errors import SummaryError, WindowError
from pipeline.records import Completion

# What only windows with pictures need; a text engine must not profile its memory with them.
_OF_PICTURES = (
    "limit_mm_per_prompt",
    "mm_processor_kwargs",
    "mm_encoder_tp_mode",
    "interleave_mm_strings",
)


def text_engine_args(config: VllmEngineConfig) -> dict[str, Any]:
    """Arguments of vLLM's ``AsyncEngineArgs`` for words alone."""
    args = engine_args(config, FrameConfig(), PlanConfig(max_window_frames=FRAMES_PER_PATCH))
    for name in _OF_PICTURES:
        args.pop(name, None)
    # Frees what the vision encoder's inputs would need.
    return args | {"language_model_only": True}


class VllmTextEngine:
    """One vLLM that answers messages with JSON; ``ask`` may be called many times at once.

    Raises:
        EngineStartError: the model or vLLM cannot be loaded.
    """

    def __init__(self, config: VllmEngineConfig, *, max_output_tokens: int) -> None:
        self._config = config
        self._max_output_tokens = max_output_tokens
        self._vllm = VllmProcess(
            config.model, text_engine_args(config), is_thinking=config.thinking
        )
        self._vllm.rendered([{"role": "user", "content": "?"}])

    @property
    def context(self) -> int:
        """Tokens of prompt and answer together, without what a Thinking model may think."""
        thought = self._config.max_thinking_tokens if self._config.thinking else 0
        return int(self._vllm.llm.model_config.max_model_len) - thought

    def num_tokens(self, text: str) -> int:
        """How many tokens the model needs for ``text``."""
        return len(self._vllm.tokenizer.encode(text, add_special_tokens=False))

    def shutdown(self) -> None:
        """Stop the engine's processes."""
        self._vllm.shutdown()

    async def ask(self, messages: list[dict[str, Any]], schema: str) -> Completion:
        """Answer in JSON of ``schema`` (text).

        Raises:
            SummaryError: vLLM refused the request or gave no answer.
            EngineDiedError: vLLM's engine process is gone.
        """
        sampling = sampling_params(self._config, schema, max_output_tokens=self._max_output_tokens)
        try:
            output, text = await self._vllm.ask(self._vllm.rendered(messages), sampling, "text")
        except WindowError as exc:
            raise SummaryError(str(exc)) from exc
        return Completion(
            text=text,
            finish_reason=output.outputs[0].finish_reason or "",
            num_prompt_tokens=len(output.prompt_token_ids),
            num_output_tokens=len(output.outputs[0].token_ids),
        )
