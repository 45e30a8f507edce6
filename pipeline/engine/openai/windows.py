"""Any OpenAI-compatible endpoint: windows become structured answers, many at once.

A general server takes images only; each goes after the text of its own time. vLLM's takes a video
whose frames carry exact times, and tells the tokens of the prompt it made of it.
"""

import asyncio
import base64
import io
import os
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from pipeline.config.task import Task
from pipeline.engine.ask import ask_twice
from pipeline.engine.confidence import Token, label_confidences, tokens_of_bytes
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.engine.prompt import (
    checked_markers,
    image_markers,
    messages,
    shown_ms,
    video_metadata,
)
from pipeline.errors import EngineStartError, WindowError
from pipeline.records import Completion, Window

_VIDEO_TOKEN = "<|video_pad|>"  # noqa: S105 - a token of text
_LENGTHS = ("minLength", "maxLength")
_NO_KEY = "none"
_MAX_CAUSE_CHARS = 400


class OpenAIEngine:
    """One client of one endpoint; ``answer`` may be called many times at once.

    Every answer is checked; one that breaks the rules is asked for once more, with the reason.

    Raises:
        EngineStartError: the endpoint cannot be reached, refuses the key or has no such model.
    """

    def __init__(self, config: OpenAIEngineConfig, *, task: Task) -> None:
        try:
            import openai  # noqa: PLC0415 - optional dependency
        except ImportError as exc:
            raise EngineStartError(
                f"the openai client cannot be imported ({exc}); install timereel[openai]"
            ) from exc
        self._openai = openai
        self._config = config
        self._task = task
        self._key = _key(config)
        self._slots = asyncio.Semaphore(config.max_concurrency)
        rate = config.max_requests_per_minute
        self._pace = _Pace(60.0 * config.replicas / rate if rate else 0.0)
        self._client = openai.AsyncOpenAI(
            base_url=config.base_url,
            api_key=self._key,
            timeout=config.timeout_s,
            max_retries=config.max_retries,
            # A hook sees the client's own retries as well.
            http_client=openai.DefaultAsyncHttpxClient(
                timeout=config.timeout_s, event_hooks={"request": [self._pace.wait]}
            ),
        )
        self._fields = _request_fields(config, task)
        self._check_endpoint()

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
            return await ask_twice(partial(self._ask, window, shown), window, self._task)

    def _check_endpoint(self) -> None:
        """Ask which models there are, so that a wrong address is not told once per window."""
        client = self._openai.OpenAI(
            base_url=self._config.base_url,
            api_key=self._key,
            timeout=min(30.0, self._config.timeout_s),
            max_retries=self._config.max_retries,
        )
        try:
            served = [model.id for model in client.models.list()]
        except self._openai.NotFoundError:
            return  # an endpoint without a list of models
        except self._openai.OpenAIError as exc:
            raise self._start_error(exc) from exc
        finally:
            client.close()
        if served and self._config.model not in served:
            raise EngineStartError(
                f"engine.model={self._config.model}: {self._config.base_url} serves "
                f"{', '.join(served[:8])}; name one of them"
            )

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
        conversation = messages(self._task, shown=shown, complaint=complaint)
        return await self._completion(window, await self._create(conversation, fields))

    async def _create(self, conversation: Any, fields: Mapping[str, Any]) -> Any:  # noqa: ANN401 - the client's types
        """One answer of the endpoint; raises as ``answer``."""
        openai = self._openai
        try:
            # All of it as extra_body: the names are the API's, some of them a server's own.
            return await self._client.chat.completions.create(
                model=self._config.model,
                messages=conversation,
                extra_body=fields,
            )
        except (
            openai.AuthenticationError,
            openai.PermissionDeniedError,
            openai.NotFoundError,
        ) as e:
            raise self._start_error(e) from e
        except openai.APITimeoutError as exc:
            raise WindowError(
                f"no answer in {self._config.timeout_s:g} s, {self._tries}; raise "
                "engine.timeout_s, or lower engine.max_concurrency"
            ) from exc
        except openai.APIConnectionError as exc:
            from httpx import ConnectError  # noqa: PLC0415 - of the openai client

            if isinstance(exc.__cause__, ConnectError):
                raise self._start_error(exc) from exc
            # It was there, and left without a word: perhaps over this very window.
            raise WindowError(f"the endpoint broke off, {self._tries}: {self._cause(exc)}") from exc
        except (openai.BadRequestError, openai.UnprocessableEntityError) as exc:
            raise WindowError(f"the endpoint refused the window: {self._cause(exc)}") from exc
        except openai.OpenAIError as exc:
            raise WindowError(f"the endpoint failed, {self._tries}: {self._cause(exc)}") from exc

    async def _completion(self, window: Window, answer: Any) -> Completion:  # noqa: ANN401 - the client's type
        if not answer.choices:
            raise WindowError("the endpoint gave no answer")
        choice = answer.choices[0]
        usage = answer.usage
        if self._config.server == "vllm":
            markers = await self._checked_markers(window, answer)
        else:
            markers = image_markers(window.frame_ns.tolist(), window.plan.span.start_ns)
        # A refusal is text that is no JSON: it fails, and says why.
        text = choice.message.content or getattr(choice.message, "refusal", None) or ""
        return Completion(
            text=text,
            finish_reason=choice.finish_reason or "",
            markers=markers,
            confidences=label_confidences(text, _tokens(choice)),
            num_prompt_tokens=usage.prompt_tokens if usage else 0,
            num_output_tokens=usage.completion_tokens if usage else 0,
        )

    async def _checked_markers(self, window: Window, answer: Any) -> tuple[str, ...]:  # noqa: ANN401 - the client's type
        """The times in the tokens that the server says the model was given."""
        token_ids = getattr(answer, "prompt_token_ids", None)
        if not token_ids:
            raise WindowError(
                "markers: the server returned no prompt tokens, so that it cannot be told what "
                "the model saw; is it vLLM 0.32 or later? Else set engine.server: any"
            )
        root = self._config.base_url.rstrip("/").removesuffix("/v1")
        try:
            prompt = await self._client.post(
                f"{root}/detokenize",
                cast_to=dict[str, Any],
                body={"model": self._config.model, "tokens": token_ids},
            )
        except self._openai.OpenAIError as exc:
            raise WindowError(f"markers: {root}/detokenize: {self._cause(exc)}") from exc
        text = str(prompt["prompt"])
        assert window.rgb is not None  # noqa: S101 - else nothing was sent
        return checked_markers(
            text.replace(_VIDEO_TOKEN, ""),
            num_tokens=text.count(_VIDEO_TOKEN),
            frame_ns=window.frame_ns.tolist(),
            start_ns=window.plan.span.start_ns,
            num_pixels=window.rgb.shape[1] * window.rgb.shape[2],
        )

    @property
    def _tries(self) -> str:
        return f"tried {self._config.max_retries + 1} times"

    def _start_error(self, exc: Exception) -> EngineStartError:
        return EngineStartError(
            f"engine.base_url={self._config.base_url}: {self._cause(exc)}; check the address, the "
            f"model {self._config.model} and the key "
            f"(engine.api_key_env={self._config.api_key_env})"
        )

    def _cause(self, exc: BaseException) -> str:
        """One short line; some servers quote the key they were given."""
        text = str(exc)
        if exc.__cause__ is not None:
            text = f"{text} ({type(exc.__cause__).__name__}: {exc.__cause__})"
        if self._key != _NO_KEY:
            text = text.replace(self._key, "***")
        return " ".join(f"{type(exc).__name__}: {text}"[:_MAX_CAUSE_CHARS].split())


def _tokens(choice: Any) -> list[Token]:  # noqa: ANN401 - the client's type
    """The tokens of an answer as text, each with its log-probability; none if it has none."""
    chosen = (choice.logprobs.content if choice.logprobs else None) or ()
    return tokens_of_bytes(
        (one.token.encode() if one.bytes is None else bytes(one.bytes), one.logprob)
        for one in chosen
    )


class _Pace:
    """Lets requests begin no closer together than ``interval_s``; 0 lets all through."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._next_s = 0.0

    async def wait(self, _request: object) -> None:
        """Return when the next request may begin."""
        if not self._interval_s:
            return
        now_s = time.monotonic()
        at_s = max(now_s, self._next_s)
        self._next_s = at_s + self._interval_s
        await asyncio.sleep(at_s - now_s)


def _key(config: OpenAIEngineConfig) -> str:
    if config.api_key_env is None:
        return _NO_KEY
    key = os.environ.get(config.api_key_env, "")
    if not key:
        raise EngineStartError(
            f"engine.api_key_env={config.api_key_env}: this variable is not set where the engine "
            "runs; export it before Ray starts, or pass it in the job's runtime_env"
        )
    return key


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
