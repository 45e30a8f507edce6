"""Asks an endpoint about one stretch at a time, and refuses what nobody can have said."""

import asyncio
import io
import json
import wave
from collections.abc import Sequence

import numpy as np

from pipeline.engine.api_key import ApiKey
from pipeline.engine.endpoint import Endpoint
from pipeline.engine.endpoint_answers import EndpointError
from pipeline.engine.heard import refuse_haste, refuse_repeats, timed_sentence, timed_word
from pipeline.engine.openai_speech import OpenAISpeechConfig
from pipeline.engine.served import REFUSES_ALL, check_served, start_error
from pipeline.engine.transcriptions import Timed, Transcription, read_transcription
from pipeline.errors import WindowError
from pipeline.records import Said, Stretch, Word
from pipeline.records.speech import SOUND_HZ, Samples
from pipeline.timebase import NS_PER_S, TimeRange

_FULL_SCALE = 32_767


class OpenAISpeechEngine:
    """One client of one endpoint.

    Raises:
        EngineStartError: the endpoint cannot be reached, refuses the key or has no such model.
    """

    def __init__(self, config: OpenAISpeechConfig) -> None:
        self._config = config
        key = ApiKey.from_env(config.api_key_env, setting="speech.api_key_env")
        rate = config.max_requests_per_minute
        self._endpoint = Endpoint(
            config.base_url,
            key,
            timeout_s=config.timeout_s,
            max_retries=config.max_retries,
            interval_s=60.0 * config.replicas / rate if rate else 0.0,
        )
        self._has_answered = False
        check_served(config, key, section="speech")

    def transcribe(self, stretch: Stretch) -> tuple[Said, ...]:
        """What is said; without times of words, a sentence lasts as long as its segment."""
        answer = self._asked(stretch)
        if not answer.text:
            return ()
        refuse_repeats(answer.text)
        refuse_haste(answer.text, stretch)
        language = self._config.language or answer.language
        words = _placed(answer.words, stretch)
        if words:
            span = TimeRange(words[0].span.start_ns, max(one.span.end_ns for one in words))
            parts = [(answer.text, span)]
        else:
            segments = answer.segments or (_whole(answer, stretch),)
            parts = [
                (one.text.strip(), timed_sentence(one.start_s, one.end_s, stretch))
                for one in segments
            ]
        return tuple(
            Said(
                span=span,
                text=text,
                track=stretch.track.number,
                language=language,
                words=words,
            )
            for text, span in parts
        )

    def shutdown(self) -> None:
        """Nothing to stop: the endpoint is someone else's."""

    def _asked(self, stretch: Stretch) -> Transcription:
        asked = self._endpoint.upload(
            f"{self._endpoint.base_url}/audio/transcriptions",
            self._fields(),
            ("speech.wav", "audio/wav", _wav(stretch.samples)),
            read_transcription,
        )
        try:
            answer = asyncio.run(asked)
        except EndpointError as exc:
            if not exc.is_reached or (exc.status in REFUSES_ALL and not self._has_answered):
                raise start_error(exc, self._config, section="speech") from None
            raise WindowError(str(exc)) from None
        self._has_answered = True
        return answer

    def _fields(self) -> list[tuple[str, str]]:
        """Fields of the form; a list is a field for each of its values."""
        fields = {
            "model": self._config.model,
            "response_format": "verbose_json",
            "timestamp_granularities[]": ["word", "segment"],
            "temperature": "0",
            "language": self._config.language,
        } | self._config.args
        return [
            (name, one if isinstance(one, str) else json.dumps(one))
            for name, value in fields.items()
            if value is not None
            for one in (value if isinstance(value, list) else [value])
        ]


def _whole(answer: Transcription, stretch: Stretch) -> Timed:
    """All of it, while a voice is heard."""
    start_s, end_s = (
        (at_ns - stretch.start_ns) / NS_PER_S
        for at_ns in (stretch.voice[0].start_ns, stretch.voice[-1].end_ns)
    )
    return Timed(answer.text, start_s, end_s)


def _placed(timed: Sequence[Timed], stretch: Stretch) -> tuple[Word, ...]:
    """In media time, in order."""
    words = [timed_word(one.text, one.start_s, one.end_s, stretch) for one in timed]
    return tuple(sorted(words, key=lambda word: word.span))


def _wav(samples: Samples) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_HZ)
        file.writeframes((np.clip(samples, -1, 1) * _FULL_SCALE).astype("<i2").tobytes())
    return out.getvalue()
