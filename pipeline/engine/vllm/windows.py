"""A vision model in vLLM's own processes: windows become structured answers, many at once.

Qwen3-VL takes a window as one video and writes each frame's time before it. Any other model takes
its frames as images, each after its own time. Either way the tokens say what the model was shown.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.config import FrameConfig, PlanConfig
from pipeline.config.task import Task
from pipeline.engine.ask import ask_twice
from pipeline.engine.confidence import Token, label_confidences
from pipeline.engine.prompt import (
    checked_image_markers,
    checked_markers,
    image_markers,
    messages,
    num_video_tokens,
    processor_kwargs,
    shown_ms,
    told,
    video_metadata,
)
from pipeline.engine.vllm import VllmEngineConfig
from pipeline.engine.vllm.process import VllmProcess, sampling_params
from pipeline.errors import EngineStartError, WindowError
from pipeline.records import Completion, Window

_MIN_BATCHED_TOKENS = 8192
_MAX_RENDERERS = 4

Pictures: TypeAlias = npt.NDArray[np.uint8]
"""[T, H, W, 3]"""


def engine_args(config: VllmEngineConfig, frame: FrameConfig, plan: PlanConfig) -> dict[str, Any]:
    """Arguments of vLLM's ``AsyncEngineArgs``; ``config.args`` has the last word, key by key.

    The largest window this run can send decides how many tokens one step may take, since its
    pictures are encoded in one go, and what vLLM profiles its memory with.
    """
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
        **(_as_video(frame, plan) if config.frames == "video" else _as_images(plan)),
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


def _as_video(frame: FrameConfig, plan: PlanConfig) -> dict[str, Any]:
    window_tokens = num_video_tokens(plan.max_window_frames, num_pixels=frame.rgb_max_pixels)
    return {
        "max_num_batched_tokens": max(_MIN_BATCHED_TOKENS, window_tokens),
        # A count alone: with width and height vLLM would profile a single pair of frames, while
        # without it takes longest_edge of the next, a whole window.
        "limit_mm_per_prompt": {"image": 0, "video": 1},
        "mm_processor_kwargs": processor_kwargs(frame, plan),
    }


def _as_images(plan: PlanConfig) -> dict[str, Any]:
    return {
        "max_num_batched_tokens": _MIN_BATCHED_TOKENS,
        "limit_mm_per_prompt": {"image": plan.max_window_frames, "video": 0},
        # Where a model's chat template takes plain text, vLLM would put all images before it.
        "interleave_mm_strings": True,
    }


class VllmEngine:
    """One vLLM with its model; ``answer`` may be called many times at once.

    Every answer is checked; one that breaks the rules is asked for once more, with the reason.

    Raises:
        EngineStartError: the model or vLLM cannot be loaded, or the model takes no such frames.
    """

    def __init__(
        self, config: VllmEngineConfig, *, task: Task, frame: FrameConfig, plan: PlanConfig
    ) -> None:
        self._config = config
        self._task = task
        self._vllm = VllmProcess(
            config.model, engine_args(config, frame, plan), is_thinking=config.thinking
        )
        self._sampling = sampling_params(
            config,
            task.json_schema_text(),
            max_output_tokens=config.max_output_tokens,
            # Of the chosen tokens alone: they say how sure the model is of its labels.
            logprobs=0,
        )
        if config.frames == "video":
            self._check_video()
            self._vllm.rendered(messages(task))

    def shutdown(self) -> None:
        """Stop the engine's processes."""
        self._vllm.shutdown()

    async def answer(self, window: Window) -> Completion:
        """Answer one window; ``error`` is set if the second answer breaks the rules, too.

        Raises:
            WindowError: vLLM refused the request, or did not show the model the frames' times.
            EngineDiedError: vLLM's engine process is gone.
        """
        if window.rgb is None:
            raise ValueError(f"window {window.plan.window_id} has no colour frames")
        if not len(window.rgb):
            raise WindowError("no frame of this window could be decoded")
        ask = self._ask_video if self._config.frames == "video" else self._ask_images
        answer = await ask_twice(partial(ask, window, window.rgb), window, self._task)
        return replace(answer, told=told(window))

    def _check_video(self) -> None:
        from vllm.model_executor.models.qwen3_vl import (  # noqa: PLC0415 - optional dependency
            Qwen3VLMultiModalProcessor,
        )

        if not isinstance(self._vllm.llm.renderer.mm_processor, Qwen3VLMultiModalProcessor):
            self.shutdown()
            raise EngineStartError(
                f"engine.model={self._config.model}: writes no times before the frames of a video; "
                "set engine.frames: images"
            )

    async def _ask_video(self, window: Window, rgb: Pictures, complaint: str) -> Completion:
        frames, ms = video_of(window, rgb)
        request = {
            "prompt": self._vllm.rendered(
                messages(self._task, told=told(window), complaint=complaint)
            ),
            "multi_modal_data": {"video": [(frames, video_metadata(ms))]},
        }
        output, text = await self._vllm.ask(request, self._sampling, window.plan.window_id)
        ids = np.asarray(output.prompt_token_ids)
        is_video = ids == self._vllm.llm.model_config.hf_config.video_token_id
        markers = checked_markers(
            self._vllm.text_of(ids[~is_video].tolist()),
            num_tokens=int(is_video.sum()),
            frame_ns=window.frame_ns.tolist(),
            start_ns=window.plan.span.start_ns,
            num_pixels=frames.shape[1] * frames.shape[2],
        )
        return _completion(output, text, markers)

    async def _ask_images(self, window: Window, rgb: Pictures, complaint: str) -> Completion:
        times = window.frame_ns.tolist(), window.plan.span.start_ns
        shown: list[dict[str, Any]] = []
        for marker, picture in zip(image_markers(*times), rgb, strict=True):
            shown.append({"type": "text", "text": marker})
            shown.append({"type": "image_pil", "image_pil": Image.fromarray(picture)})
        request = await self._vllm.with_pictures(
            messages(self._task, shown=shown, told=told(window), complaint=complaint)
        )
        places = request["mm_placeholders"]["image"]
        starts = [0, *(place.offset + place.length for place in places[:-1])]
        ids = request["prompt_token_ids"]
        markers = checked_image_markers(
            [
                self._vllm.text_of(ids[low : place.offset])
                for low, place in zip(starts, places, strict=True)
            ],
            *times,
        )
        output, text = await self._vllm.ask(request, self._sampling, window.plan.window_id)
        return _completion(output, text, markers)


def video_of(window: Window, rgb: Pictures) -> tuple[Pictures, tuple[int, ...]]:
    """The frames as Qwen3-VL takes them, and the time of each in ms since the window's start."""
    ms = shown_ms(window.frame_ns.tolist(), window.plan.span.start_ns)
    # A single frame is shown twice, see shown_ms.
    frames = np.repeat(rgb, len(ms), axis=0) if len(rgb) == 1 else rgb
    return np.ascontiguousarray(frames), ms


def _completion(output: Any, text: str, markers: tuple[str, ...]) -> Completion:  # noqa: ANN401 - vLLM's type
    answer = output.outputs[0]
    return Completion(
        text=text,
        finish_reason=answer.finish_reason or "",
        markers=markers,
        confidences=label_confidences(text, _tokens(answer)),
        num_prompt_tokens=len(output.prompt_token_ids),
        num_output_tokens=len(answer.token_ids),
    )


def _tokens(answer: Any) -> list[Token]:  # noqa: ANN401 - vLLM's type
    """The tokens of an answer as text, each with its log-probability."""
    chosen = [at[token] for at, token in zip(answer.logprobs, answer.token_ids, strict=True)]
    return [(one.decoded_token or "", one.logprob) for one in chosen]
