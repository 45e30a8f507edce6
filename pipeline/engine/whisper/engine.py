"""Asks faster-whisper about one stretch at a time, and refuses what nobody can have said."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engine.heard import refuse_haste, refuse_repeats, timed_word
from pipeline.engine.whisper import WhisperEngineConfig
from pipeline.errors import EngineStartError
from pipeline.records import Said, Stretch, Word
from pipeline.timebase import TimeRange

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Word as HeardWord


class WhisperEngine:
    """One loaded model."""

    def __init__(self, settings: WhisperEngineConfig) -> None:
        self._settings = settings
        self._model = _loaded(settings)

    def transcribe(self, stretch: Stretch) -> tuple[Said, ...]:
        """What is said, with the time of each word."""
        # Other temperatures than 0 take the answer to noise ten times as long, and change it.
        segments, info = self._model.transcribe(
            stretch.samples,
            language=self._settings.language,
            beam_size=5,
            temperature=0.0,
            word_timestamps=True,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        words: list[Word] = []
        text = ""
        for segment in segments:
            refuse_repeats(segment.text)
            text += segment.text
            words += [_word(word, stretch) for word in segment.words or ()]
        if not words:
            return ()
        refuse_haste(text, stretch)
        return (
            Said(
                span=TimeRange(words[0].span.start_ns, max(w.span.end_ns for w in words)),
                text=text.strip(),
                track=stretch.track.number,
                language=info.language,
                words=tuple(words),
            ),
        )

    def shutdown(self) -> None:
        """Nothing runs beside it."""


def _loaded(settings: WhisperEngineConfig) -> "WhisperModel":
    try:
        from faster_whisper import WhisperModel  # noqa: PLC0415 - part of the extra `speech`
    except ImportError as exc:
        raise EngineStartError(
            "speech.kind=whisper needs faster-whisper; install timereel[speech]"
        ) from exc
    if not settings.allow_download and not (Path(settings.weights) / "model.bin").is_file():
        raise EngineStartError(
            f"speech.weights={settings.weights}: is no folder with a model.bin; name the folder of"
            " a Whisper model in the CTranslate2 format, or set speech.allow_download=true to"
            " fetch a model by its name"
        )
    try:
        return WhisperModel(
            settings.weights,
            device=settings.device,
            compute_type=settings.compute_type,
            cpu_threads=settings.threads,
            local_files_only=not settings.allow_download,
        )
    except (RuntimeError, ValueError, OSError) as exc:
        raise EngineStartError(
            f"speech.weights={settings.weights}: cannot be loaded on {settings.device} as"
            f" {settings.compute_type}: {exc}"
        ) from exc


def _word(word: "HeardWord", stretch: Stretch) -> Word:
    return timed_word(
        word.word,
        float(word.start),
        float(word.end),
        stretch,
        min(1.0, max(0.0, float(word.probability))),
    )
