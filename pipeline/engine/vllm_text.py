"""Qwen3-VL (or any chat model of vLLM's) asked in words alone: summaries of what was logged."""

import asyncio
import itertools
import logging
import os
from typing import Any

from pipeline.config import FrameConfig, PlanConfig, VllmEngineConfig
from pipeline.engine.prompt import FRAMES_PER_PATCH
from pipeline.engine.vllm import END_OF_THOUGHT, engine_args, load, root_cause
from pipeline.errors import EngineStartError, SummaryError
from pipeline.records import Completion

log = logging.getLogger(__name__)

# What only windows with pictures need; a text engine must not profile its memory with them.
_OF_PICTURES = ("limit_mm_per_prompt", "mm_processor_kwargs", "mm_encoder_tp_mode")


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
        self._slots = asyncio.Semaphore(config.max_concurrency)
        self._request_numbers = itertools.count()
        self._llm = load(config, text_engine_args(config))
        self._tokenizer = self._llm.get_tokenizer()
        self._render([{"role": "user", "content": [{"type": "text", "text": "?"}]}])

    @property
    def context(self) -> int:
        """Tokens of prompt and answer together."""
        return int(self._llm.model_config.max_model_len)

    def num_tokens(self, text: str) -> int:
        """How many tokens the model needs for ``text``."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def shutdown(self) -> None:
        """Stop the engine's processes."""
        self._llm.shutdown()

    async def ask(self, messages: list[dict[str, Any]], schema: str) -> Completion:
        """Answer in JSON of ``schema`` (text).

        Raises:
            SummaryError: vLLM refused the request or gave no answer.
        """
        from vllm import SamplingParams  # noqa: PLC0415 - optional dependency
        from vllm.exceptions import VLLMClientError  # noqa: PLC0415
        from vllm.sampling_params import (  # noqa: PLC0415
            RequestOutputKind,
            StructuredOutputsParams,
        )
        from vllm.v1.engine.exceptions import (  # noqa: PLC0415
            EngineDeadError,
            EngineGenerateError,
        )

        sampling = SamplingParams(
            max_tokens=self._max_output_tokens,
            temperature=0,
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=StructuredOutputsParams(json=schema),
        )
        request_id = f"text-{next(self._request_numbers)}"
        output = None
        async with self._slots:
            try:
                async for latest in self._llm.generate(
                    self._render(messages), sampling, request_id
                ):
                    output = latest
            except EngineDeadError:
                # Nothing in this process can revive vLLM's, and every day it is given would only
                # be counted. Ray restarts an actor that exits, and gives it the day again.
                log.critical("vLLM's engine died; leaving so that Ray starts another")
                os._exit(1)
            except (VLLMClientError, EngineGenerateError, ValueError) as exc:
                raise SummaryError(f"vLLM refused the summary: {root_cause(exc)}") from exc
        if output is None or not output.outputs:
            raise SummaryError("vLLM gave no answer")
        answer = output.outputs[0]
        text = answer.text
        if self._config.thinking:
            text = text.rpartition(END_OF_THOUGHT)[2].strip()
        return Completion(
            text=text,
            finish_reason=answer.finish_reason or "",
            num_prompt_tokens=len(output.prompt_token_ids),
            num_output_tokens=len(answer.token_ids),
        )

    def _render(self, messages: list[dict[str, Any]]) -> str:
        try:
            prompt = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        except ValueError as exc:
            raise EngineStartError(
                f"{self._config.model}: has no chat template ({exc}); use an Instruct or Thinking "
                "checkpoint"
            ) from exc
        return str(prompt)
