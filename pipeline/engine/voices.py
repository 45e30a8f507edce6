"""A network that makes a vector of each voice in a stretch of sound."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.config import VoicesConfig
from pipeline.engine.fbank import fbank
from pipeline.engine.onnx_session import open_onnx
from pipeline.errors import EngineStartError
from pipeline.records import Stretch, VoicePrint
from pipeline.records.speech import NS_PER_SAMPLE, SOUND_HZ, Samples
from pipeline.timebase import TimeRange

Vectors = npt.NDArray[np.float32]

_LENGTH = SOUND_HZ * 8 // 5
"""Samples of one vector: shorter ones are too like each other, longer ones hold two speakers."""
_STEP = SOUND_HZ // 5
_AT_ONCE = 16
_MOST_AT_ONCE = 1024
_LEAST_NUMBERS = 2
"""Of a vector: one number has no direction."""


class VoiceNetwork:
    """One loaded network, and the voices whose names are known."""

    def __init__(self, settings: VoicesConfig) -> None:
        """Load the network.

        Raises:
            EngineStartError: it cannot be loaded, or takes something else than the settings say.
        """
        self._settings = settings
        if not Path(settings.weights).is_file():
            raise EngineStartError(
                f"speech.voices.weights={settings.weights}: is no file; name an ONNX file, which"
                " timereel never fetches"
            )
        self._session = open_onnx(Path(settings.weights), threads=settings.threads, extra="speech")
        inputs = self._session.get_inputs()
        first = inputs[0].shape[0] if inputs and inputs[0].shape else None
        self._is_fixed = isinstance(first, int)
        self._at_once = first if isinstance(first, int) else _AT_ONCE
        if len(inputs) != 1 or not 1 <= self._at_once <= _MOST_AT_ONCE:
            raise EngineStartError(
                f"speech.voices.weights={settings.weights}: takes"
                f" {[list(one.shape) for one in inputs]}; a network of voices takes 1 to"
                f" {_MOST_AT_ONCE} voices at once, and nothing else"
            )
        self._input = inputs[0]
        self._known = np.zeros((0, 0), np.float32)
        quiet = np.random.default_rng(0).normal(0, 1e-3, (2, _LENGTH)).astype(np.float32)
        self._vectors(quiet)  # so that wrong settings are told before anything is heard

    def know(self, names: Mapping[str, Sequence[tuple[Stretch, Sequence[TimeRange]]]]) -> None:
        """From here on tell how alike each voice is to these.

        Args:
            names: of each speaker the stretches of a sample, and where in each a voice is heard.
        """
        means = []
        for name in sorted(names):
            parts = [part for stretch, voiced in names[name] for part in _parts(stretch, voiced)]
            if not parts:
                raise EngineStartError(
                    f"speech.voices.speakers.{name}: nobody speaks in"
                    f" {self._settings.speakers[name]}; name a recording of this voice alone"
                )
            vectors = self._vectors(np.stack([samples for _, samples in parts]))
            if not vectors.any():
                raise EngineStartError(
                    f"speech.voices.speakers.{name}: the network makes no vector of the voice in"
                    f" {self._settings.speakers[name]}, only zeros or what is no number"
                )
            means.append(vectors[vectors.any(axis=1)].mean(axis=0))
        self._known = np.stack(means) if means else self._known

    def prints(self, stretch: Stretch, voiced: Iterable[TimeRange]) -> tuple[VoicePrint, ...]:
        """The voices where somebody speaks in a stretch, by time."""
        parts = list(_parts(stretch, voiced))
        if not parts:
            return ()
        vectors = self._vectors(np.stack([samples for _, samples in parts]))
        alike = vectors @ self._known.T if len(self._known) else np.zeros((len(parts), 0))
        return tuple(
            VoicePrint(
                span=span,
                track=stretch.track.number,
                vector=_written(vector),
                alike=tuple(round(float(cosine), 4) for cosine in cosines),
            )
            for (span, _), vector, cosines in zip(parts, vectors, alike, strict=True)
            if vector.any()
        )

    def _vectors(self, samples: Samples) -> Vectors:
        """Unit vectors [N, D] of voices [N, samples]; zeros where the network makes none."""
        made = [
            self._asked(samples[first : first + self._at_once])
            for first in range(0, len(samples), self._at_once)
        ]
        vectors = np.concatenate(made).astype(np.float64)
        vectors[~np.isfinite(vectors).all(axis=1)] = 0
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        unit: Vectors = (vectors / lengths).astype(np.float32)
        return unit

    def _asked(self, samples: Samples) -> Vectors:
        missing = self._at_once - len(samples) if self._is_fixed else 0
        given = np.concatenate([samples, np.repeat(samples[:1], missing, axis=0)])
        if self._settings.input == "fbank":
            given = fbank(given, self._settings.mels, self._settings.window)
        try:
            [made, *_] = self._session.run(None, {self._input.name: given})
            vectors = np.asarray(made, np.float32)
        except Exception as exc:  # onnxruntime has many of its own, without a common base
            raise EngineStartError(
                f"speech.voices.weights={self._settings.weights}: does not take"
                f" {self._settings.input} {list(given.shape)}; its input is {self._input.name}"
                f" {self._input.shape}, set speech.voices.input and mels as it was trained ({exc})"
            ) from exc
        if vectors.shape[:1] != (len(given),) or vectors[0].size < _LEAST_NUMBERS:
            raise EngineStartError(
                f"speech.voices.weights={self._settings.weights}: gives {list(vectors.shape)} for"
                f" {len(given)} voices; name a network that gives one vector for each"
            )
        return vectors.reshape(len(given), -1)[: len(samples)]


def _parts(stretch: Stretch, voiced: Iterable[TimeRange]) -> Iterator[tuple[TimeRange, Samples]]:
    """Ranges of media time that cover each voice, and samples of equal length for each.

    A shorter voice is repeated until it is long enough.
    """
    for voice in voiced:
        first = max(0, (voice.start_ns - stretch.start_ns) // NS_PER_SAMPLE)
        last = min(len(stretch.samples), (voice.end_ns - stretch.start_ns) // NS_PER_SAMPLE)
        if last <= first:
            continue
        spare = max(0, last - first - _LENGTH)
        steps = -(-spare // _STEP)
        for step in range(steps + 1):
            begin = first + (spare * step // steps if steps else 0)
            end = min(begin + _LENGTH, last)
            span = TimeRange(
                stretch.start_ns + begin * NS_PER_SAMPLE, stretch.start_ns + end * NS_PER_SAMPLE
            )
            yield span, np.resize(stretch.samples[begin:end], _LENGTH)


def _written(vector: npt.NDArray[np.float32]) -> str:
    largest = max(float(np.abs(vector).max()), 1e-9)
    return base64.b64encode(np.rint(vector * (127 / largest)).astype(np.int8)).decode()
