"""Any OpenAI-compatible endpoint: windows become structured answers, many at once.

A general server takes images only; each goes after the text of its own time. vLLM's takes a video
whose frames carry exact times, and tells the tokens of the prompt it made of it.
"""

import asyncio
import base64
import io
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from pipeline.config.task import Task
from pipeline.engine.api_key import ApiKey
from pipeline.engine.ask import CUT_OFF, WindowTooLargeError, ask_twice
from pipeline.engine.confidence import label_confidences
from pipeline.engine.endpoint import Endpoint
from pipeline.engine.endpoint_answers import (
    Answer,
    EndpointError,
    read_answer,
    read_prompt,
    unwrapped,
)
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.engine.prompt import (
    checked_markers,
    image_markers,
    messages,
    shown_ms,
    told,
    video_metadata,
)
from pipeline.engine.served import REFUSES_ALL, check_served, start_error
from pipeline.errors import WindowError
from pipeline.records import Completion, Window

_VIDEO_TOKEN = "<|video_pad|>"  # noqa: S105 - a token of text
_LENGTHS = ("minLength", "maxLength")


class OpenAIEngine:
    """One client of one endpoint; ``answer`` may be called many times at once.

    Every answer is checked; one that breaks the rules is asked for once more, with the reason.

    Raises:
        EngineStartError: the endpoint cannot be reached, refuses the key or has no such model.
    """

    def __init__(self, config: OpenAIEngineConfig, *, task: Task) -> None:
        self._config = config
        self._task = task
        self._key = ApiKey.from_env(config.api_key_env, setting="engine.api_key_env")
        self._slots = asyncio.Semaphore(config.max_concurrency)
        rate = config.max_requests_per_minute
        self._endpoint = Endpoint(
            config.base_url,
            self._key,
            timeout_s=config.timeout_s,
            max_retries=config.max_retries,
            interval_s=60.0 * config.replicas / rate if rate else 0.0,
        )
        self._fields = _request_fields(config, task)
        self._has_answered = False
        check_served(config, self._key, section="engine")

    def shutdown(self) -> None:
        """Nothing to stop: the endpoint is someone else's."""

    async def answer(self, window: Window) -> Completion:
        """Answer one window; ``error`` is set if the second answer breaks the rules, too.

        Raises:
            EngineStartError: the endpoint is gone, or refuses every request.
            WindowError: the endpoint failed this request for good, or did not show the model the
                frames' times.
        """
        async with self._slots:
            # Encoded once for both requests; Pillow leaves the interpreter lock while it does.
            shown = await asyncio.to_thread(self._shown, window)
            answer = await ask_twice(partial(self._ask, window, shown), window, self._task)
        return replace(answer, told=told(window))

    def _shown(self, window: Window) -> list[dict[str, Any]]:
        """The window's frames as parts of a message."""
        if window.rgb is None:
            raise ValueError(f"window {window.plan.window_id} has no colour frames")
        if not len(window.rgb):
            raise WindowError("no frame of this window could be decoded")
        jpegs = [_jpeg(picture, self._config.jpeg_quality) for picture in window.rgb]
        if self._config.server == "vllm":
            # A single frame is shown twice, see shown_ms.
            jpegs *= 2 if len(jpegs) == 1 else 1
            url = f"data:video/jpeg;base64,{','.join(jpegs)}"
            return [{"type": "video_url", "video_url": {"url": url}}]
        parts: list[dict[str, Any]] = []
        markers = image_markers(window.frame_ns.tolist(), window.plan.span.start_ns)
        for marker, jpeg in zip(markers, jpegs, strict=True):
            parts.append({"type": "text", "text": marker})
            url = f"data:image/jpeg;base64,{jpeg}"
            parts.append({"type": "image_url", "image_url": {"url": url}})
        return parts

    async def _ask(self, window: Window, shown: list[dict[str, Any]], complaint: str) -> Completion:
        fields = dict(self._fields)
        if self._config.server == "vllm":
            fields["media_io_kwargs"] = {"video": _video_fields(window)}
        conversation = messages(self._task, shown=shown, told=told(window), complaint=complaint)
        return await self._completion(window, await self._create(conversation, fields))

    async def _create(self, conversation: Any, fields: Mapping[str, Any]) -> Answer:  # noqa: ANN401 - any JSON
        """One answer of the endpoint; raises as ``answer``."""
        asked = {"model": self._config.model, "messages": conversation, **fields}
        url = f"{self._endpoint.base_url}/chat/completions"
        try:
            answer = await self._endpoint.post(url, asked, read_answer)
        except EndpointError as exc:
            if not exc.is_reached or (exc.status in REFUSES_ALL and not self._has_answered):
                raise start_error(exc, self._config, section="engine") from None
            if exc.is_too_large:
                raise WindowTooLargeError(str(exc)) from None
            raise WindowError(str(exc)) from None
        self._has_answered = True
        return answer

    async def _completion(self, window: Window, answer: Answer) -> Completion:
        if self._config.server == "vllm":
            markers = await self._checked_markers(window, answer)
        else:
            markers = image_markers(window.frame_ns.tolist(), window.plan.span.start_ns)
        return completion(answer, markers)

    async def _checked_markers(self, window: Window, answer: Answer) -> tuple[str, ...]:
        """The times in the tokens that the server says the model was given."""
        if not answer.prompt_token_ids:
            raise WindowError(
                "markers: the server returned no prompt tokens, so that nobody can tell what "
                "the model saw; is it vLLM 0.32 or later? Else set engine.server: any"
            )
        url = f"{self._endpoint.base_url.removesuffix('/v1')}/detokenize"
        asked = {"model": self._config.model, "tokens": answer.prompt_token_ids}
        try:
            text = await self._endpoint.post(url, asked, read_prompt)
        except EndpointError as exc:
            raise WindowError(f"markers: {url}: {exc}") from None
        assert window.rgb is not None  # noqa: S101 - else nothing was sent
        return checked_markers(
            text.replace(_VIDEO_TOKEN, ""),
            num_tokens=text.count(_VIDEO_TOKEN),
            frame_ns=window.frame_ns.tolist(),
            start_ns=window.plan.span.start_ns,
            num_pixels=window.rgb.shape[1] * window.rgb.shape[2],
        )


def completion(answer: Answer, markers: tuple[str, ...] = ()) -> Completion:
    """An answer as the receipt of a window; ``finish_reason`` says what was taken off its text."""
    # One that was cut off is no whole value, whatever is taken off.
    is_whole = answer.finish_reason != CUT_OFF
    text, taken_off = unwrapped(answer.text) if is_whole else (answer.text, "")
    return Completion(
        text=text,
        finish_reason=", ".join(filter(None, (answer.finish_reason, taken_off))),
        markers=markers,
        confidences=label_confidences(text, answer.tokens),
        num_prompt_tokens=answer.num_prompt_tokens,
        num_output_tokens=answer.num_output_tokens,
    )


def _request_fields(config: OpenAIEngineConfig, task: Task) -> Mapping[str, Any]:
    fields: dict[str, Any] = {
        "temperature": 0,
        "seed": 0,
        "logprobs": True,
        "max_completion_tokens": config.max_output_tokens,
        "response_format": response_format(
            task.json_schema(),
            config,
            all_required=all(field.required for field in task.fields.values()),
        ),
    }
    if config.server == "vllm":
        fields["return_token_ids"] = True
    return {name: value for name, value in (fields | config.args).items() if value is not None}


def response_format(
    schema: dict[str, Any], config: OpenAIEngineConfig, *, all_required: bool
) -> dict[str, Any]:
    """The request field that asks for JSON of ``schema``.

    OpenAI's own servers hold an answer to a strict schema only. They refuse one as strict in which
    a key may be missing or a text has a length; the parser knows the lengths, too.
    """
    if config.server == "any" and all_required:
        schema = _without_lengths(schema)
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": all_required},
    }


def _without_lengths(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(schema, dict):
        return {
            key: _without_lengths(value)
            for key, value in schema.items()
            # A property may have such a name, too.
            if not (key in _LENGTHS and isinstance(value, int))
        }
    return schema


def _video_fields(window: Window) -> dict[str, Any]:
    ms = shown_ms(window.frame_ns.tolist(), window.plan.span.start_ns)
    # num_frames: by default vLLM takes the first 32 of them and drops the rest.
    return {**video_metadata(ms), "num_frames": -1}


def _jpeg(picture: np.ndarray[Any, Any], quality: int) -> str:
    """One colour picture [H, W, 3] as base64 text."""
    buffer = io.BytesIO()
    # Without chroma subsampling: pictures are small already.
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=0)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
