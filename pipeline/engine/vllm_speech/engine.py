"""Asks a model in vLLM about one stretch at a time, and refuses what nobody can have said.

Prompts are those that vLLM's own transcription endpoint writes, so every model that has one will
do. Its servers cut and resample what they are sent; here each stretch goes in whole, so its times
stay ours. Models that write times, such as Whisper, time their sentences; of others, what is said
lasts as long as a voice is heard.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.engine.heard import refuse_haste, refuse_repeats, timed_sentence
from pipeline.engine.vllm.process import VllmProcess
from pipeline.engine.vllm_speech import VllmSpeechConfig
from pipeline.errors import EngineDiedError, EngineStartError, WindowError
from pipeline.records import Said, Stretch
from pipeline.timebase import NS_PER_S

_TICK_S = 0.02
"""Of the times that Whisper writes: ``<|0.00|>`` is followed by ``<|0.02|>``."""
_ENGLISH_VOCABULARY = 51_864
"""Whisper models for English alone have a token less, and their prompts name no language."""
_CUT_OFF = "length"
_BATCHED_TOKENS = 4096
"""One step takes the sound of a stretch as a whole: 1,500 tokens of Whisper."""


class VllmSpeechEngine:
    """One vLLM with its model.

    Raises:
        EngineStartError: vLLM or the model cannot be loaded, or the model transcribes nothing.
    """

    def __init__(self, config: VllmSpeechConfig) -> None:
        self._config = config
        self._runner = asyncio.Runner()
        self._open()

    def transcribe(self, stretch: Stretch) -> tuple[Said, ...]:
        """What is said. If vLLM's process dies over it, another is opened and asked once.

        Raises:
            EngineStartError: no other can be opened.
            WindowError: there is no answer that can be believed, or both died.
        """
        for _ in range(2):
            try:
                return self._runner.run(self._transcribe(stretch))
            except EngineDiedError:
                self._vllm.shutdown()
                self._open()
        raise WindowError("vLLM's process died twice over this stretch; its log says why")

    def shutdown(self) -> None:
        """Stop vLLM's processes."""
        self._vllm.shutdown()
        self._runner.close()

    def _open(self) -> None:
        async def opened() -> VllmProcess:  # vLLM binds itself to the loop that runs
            return VllmProcess(self._config.model, _engine_args(self._config), section="speech")

        self._vllm = self._runner.run(opened())
        self._model = _transcriber(self._vllm, self._config)
        self._sound = self._model.get_speech_to_text_config(self._model_config, "transcribe")
        self._first_time = _first_time(self._vllm, self._model)

    @property
    def _is_english_whisper(self) -> bool:
        config = self._model_config.hf_config
        return bool(config.model_type == "whisper" and config.vocab_size == _ENGLISH_VOCABULARY)

    @property
    def _model_config(self) -> Any:  # noqa: ANN401 - vLLM's type
        return self._vllm.llm.model_config

    async def _transcribe(self, stretch: Stretch) -> tuple[Said, ...]:
        language = "en" if self._is_english_whisper else self._config.language
        language = language or await self._language_of(stretch)
        output = await self._ask(self._prompt(stretch, language), self._config.max_output_tokens)
        if output.finish_reason == _CUT_OFF:
            raise WindowError(
                f"the model wrote {self._config.max_output_tokens} tokens and no end: it repeats"
                " itself, or speech.max_output_tokens is too low"
            )
        parts = list(self._parts(list(output.token_ids), output.text, stretch))
        whole = " ".join(text for text, *_ in parts)
        if not whole:
            return ()
        for text, *_ in parts:
            refuse_repeats(text)
        refuse_repeats(whole)
        refuse_haste(whole, stretch)
        return tuple(
            Said(
                span=timed_sentence(start_s, end_s, stretch),
                text=text,
                track=stretch.track.number,
                language=language or "",
            )
            for text, start_s, end_s in parts
        )

    def _prompt(self, stretch: Stretch, language: str | None) -> Any:  # noqa: ANN401 - vLLM's type
        from vllm.config.speech_to_text import SpeechToTextParams  # noqa: PLC0415 - an extra

        try:
            prompt = self._model.get_generation_prompt(
                SpeechToTextParams(
                    audio=stretch.samples,
                    stt_config=self._sound,
                    model_config=self._model_config,
                    language=self._model.validate_language(language),
                )
            )
        except ValueError as exc:
            raise WindowError(f"{self._config.model}: {exc}; set speech.language") from exc
        if self._first_time is not None:
            text = prompt["decoder_prompt"]["prompt"].replace("<|notimestamps|>", "<|0.00|>")
            if self._is_english_whisper:
                text = "<|startoftranscript|><|0.00|>"
            prompt["decoder_prompt"]["prompt"] = text
        return prompt

    async def _language_of(self, stretch: Stretch) -> str | None:
        """As the model says; None if it needs not be told, and finds out while it writes."""
        if not self._model.supports_explicit_language_detection:
            return None
        tokenizer = self._vllm.tokenizer
        output = await self._ask(
            self._model.get_language_detection_prompt(stretch.samples, self._sound),
            1,
            allowed_token_ids=self._model.get_language_token_ids(tokenizer),
        )
        found = self._model.parse_language_detection_output(list(output.token_ids), tokenizer)
        return str(found)

    async def _ask(self, prompt: Any, max_tokens: int, **how: Any) -> Any:  # noqa: ANN401 - vLLM's types
        from vllm import SamplingParams  # noqa: PLC0415 - an extra
        from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

        sampling = SamplingParams(
            temperature=0.0,
            max_tokens=max_tokens,
            output_kind=RequestOutputKind.FINAL_ONLY,
            **how,
        )
        output, _ = await self._vllm.ask(prompt, sampling, "speech")
        return output.outputs[0]

    def _parts(
        self, tokens: Sequence[int], text: str, stretch: Stretch
    ) -> Iterator[tuple[str, float, float]]:
        """Texts, each with its start and end in seconds of the stretch."""
        if self._first_time is None:
            start_s, end_s = (
                (at_ns - stretch.start_ns) / NS_PER_S
                for at_ns in (stretch.voice[0].start_ns, stretch.voice[-1].end_ns)
            )
            if whole := self._model.post_process_output(text).strip():
                yield whole, start_s, end_s
            return
        length_s = stretch.span.duration_ns / NS_PER_S
        for words, start_s, end_s in timed_tokens(tokens, self._first_time, length_s):
            if spoken := self._vllm.tokenizer.decode(words, skip_special_tokens=True).strip():
                yield spoken, start_s, end_s


def timed_tokens(
    tokens: Sequence[int], first_time: int, length_s: float
) -> Iterator[tuple[list[int], float, float]]:
    """The tokens of each sentence, between the times that Whisper writes around it.

    What stands before the first time begins with the sound, what follows the last one ends with it.

    Args:
        tokens: as the model wrote them.
        first_time: the token of 0 s; greater ones are later by 0.02 s each.
        length_s: of the sound.
    """
    words: list[int] = []
    start_s = 0.0
    for token in tokens:
        if token < first_time:
            words.append(token)
            continue
        at_s = min((token - first_time) * _TICK_S, length_s)
        if words:
            yield words, start_s, max(start_s, at_s)
            words = []
        start_s = at_s
    if words:
        yield words, start_s, length_s


def _engine_args(config: VllmSpeechConfig) -> dict[str, Any]:
    args: dict[str, Any] = {
        "model": config.model,
        "revision": config.revision,
        "tokenizer_revision": config.revision,
        "seed": 0,
        "max_num_seqs": 1,
        "max_num_batched_tokens": _BATCHED_TOKENS,
        "limit_mm_per_prompt": {"audio": 1},
        # No stretch is sent twice but for its language.
        "mm_processor_cache_gb": 0,
        "enable_log_requests": False,
    }
    if "://" in config.model:
        args["load_format"] = "runai_streamer"
    return args | config.args


def _transcriber(vllm: VllmProcess, config: VllmSpeechConfig) -> Any:  # noqa: ANN401 - vLLM's type
    from vllm.model_executor.model_loader import get_model_cls  # noqa: PLC0415 - an extra
    from vllm.model_executor.models.interfaces import supports_transcription  # noqa: PLC0415

    model = get_model_cls(vllm.llm.model_config)
    if not supports_transcription(model):
        vllm.shutdown()
        raise EngineStartError(
            f"speech.model={config.model}: {model.__name__} of vLLM transcribes nothing; take a"
            " model for speech, such as Whisper or Qwen3-ASR"
        )
    return model


def _first_time(vllm: VllmProcess, model: Any) -> int | None:  # noqa: ANN401 - vLLM's type
    """The token of 0 s; None if the model writes no times."""
    if not model.supports_segment_timestamp:
        return None
    tokens = vllm.tokenizer.encode("<|0.00|>", add_special_tokens=False)
    return int(tokens[0]) if len(tokens) == 1 else None
