"""Asks faster-whisper about one stretch at a time, and refuses what nobody can have said."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engine.whisper import WhisperEngineConfig
from pipeline.errors import EngineStartError, WindowError
from pipeline.records import Said, Stretch, Word
from pipeline.timebase import NS_PER_MS, NS_PER_S, TimeRange, seconds_to_ns

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Word as HeardWord

MAX_COMPRESSION = 2.4
"""Text that compresses better repeats itself: the model is caught in a loop."""
MAX_WORDS_PER_S = 8
"""Nobody speaks faster."""
_FEW_WORDS = 8


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
            if segment.compression_ratio > MAX_COMPRESSION:
                raise WindowError(
                    f"the model repeats itself (compression {segment.compression_ratio:.1f}, more"
                    f" than {MAX_COMPRESSION}): {segment.text.strip()[:60]!r}"
                )
            text += segment.text
            words += [_word(word, stretch) for word in segment.words or ()]
        if not words:
            return ()
        voice_s = sum(one.duration_ns for one in stretch.voice) / NS_PER_S
        if len(words) > max(_FEW_WORDS, MAX_WORDS_PER_S * voice_s):
            raise WindowError(
                f"{len(words)} words in {voice_s:.1f} s of voice are more than {MAX_WORDS_PER_S} a"
                " second, which nobody says"
            )
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
    """The word with media times: the model knows them by attention, which begins in a pause.

    So a word begins and ends with the voice that it lies in.
    """
    start_ns = stretch.start_ns + seconds_to_ns(max(0.0, float(word.start)))
    end_ns = min(stretch.start_ns + seconds_to_ns(max(0.0, float(word.end))), stretch.span.end_ns)
    start_ns = min(start_ns, stretch.span.end_ns - NS_PER_MS)
    end_ns = max(end_ns, start_ns + NS_PER_MS)
    voice = max(stretch.voice, key=lambda one: _common_ns(one, start_ns, end_ns))
    if _common_ns(voice, start_ns, end_ns) > 0:
        start_ns, end_ns = max(start_ns, voice.start_ns), min(end_ns, voice.end_ns)
    return Word(
        span=TimeRange(start_ns, end_ns),
        text=word.word.strip(),
        probability=min(1.0, max(0.0, float(word.probability))),
    )


def _common_ns(voice: TimeRange, start_ns: int, end_ns: int) -> int:
    return min(voice.end_ns, end_ns) - max(voice.start_ns, start_ns)
