"""The features that most networks for speech of the Kaldi family take: log mel filters."""

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.records.speech import SOUND_HZ

Floats = npt.NDArray[np.float32]
Window = Literal["hamming", "povey"]

_FRAME = SOUND_HZ // 40
_STEP = SOUND_HZ // 100
_FFT = 512
_LOWEST_HZ = 20.0
_PREEMPHASIS = 0.97
_AMPLITUDE = 2.0**15
"""Kaldi counts sound in the steps of 16 bits."""
_LEAST = float(np.finfo(np.float32).eps)


def fbank(samples: Floats, mels: int, window: Window) -> Floats:
    """Kaldi's features, without dither, less their mean over time.

    Args:
        samples: voices of equal length, from -1 to 1 [N, samples].
        mels: how many filters.
        window: its shape.

    Returns:
        [N, T, mels], a hundred a second.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples * _AMPLITUDE, _FRAME, axis=1)
    frames = frames[:, ::_STEP]
    frames = frames - frames.mean(axis=2, keepdims=True)
    before = np.concatenate([frames[..., :1], frames[..., :-1]], axis=2)
    spectrum = np.fft.rfft((frames - _PREEMPHASIS * before) * _window(window), _FFT)
    power = np.square(np.abs(spectrum)).astype(np.float32)
    logs = np.log(np.maximum(power @ _filters(mels).T, _LEAST))
    features: Floats = (logs - logs.mean(axis=1, keepdims=True)).astype(np.float32)
    return features


def _window(name: Window) -> Floats:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / (_FRAME - 1))
    shape: Floats = (hann**0.85 if name == "povey" else np.hamming(_FRAME)).astype(np.float32)
    return shape


@cache
def _filters(mels: int) -> Floats:
    """Triangles that are even on the mel scale [mels, 257]."""
    highest, lowest = _mel(np.array(SOUND_HZ / 2)), _mel(np.array(_LOWEST_HZ))
    edges = np.linspace(lowest, highest, mels + 2)[:, None]
    at = _mel(np.arange(_FFT // 2 + 1) * SOUND_HZ / _FFT)
    rise = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    triangles: Floats = np.maximum(0, np.minimum(rise, fall)).astype(np.float32)
    return triangles


def _mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 1127 * np.log1p(hertz / 700)
