"""Voices whose speakers are known, as a network would have heard them."""

import base64

import numpy as np

from pipeline.records import Said, VoicePrint, Word
from pipeline.timebase import TimeRange

SIZE = 32
NOISE = 0.06
"""Of each component: vectors of one voice have a mean cosine of about 0.9."""


def range_s(start_s, end_s):
    return TimeRange(round(start_s * 1e9), round(end_s * 1e9))


def vector_of(speaker, seed=0):
    """The direction of a voice, and a little chance."""
    axis = np.zeros(SIZE, np.float32)
    axis[speaker] = 1.0
    return axis + np.random.default_rng(seed).normal(0, NOISE, SIZE).astype(np.float32)


def print_of(speaker, start_s, end_s, known=()):
    """What a network makes of a moment; ``known`` are the numbers of the voices with names."""
    vector = vector_of(speaker, seed=round(start_s * 100))
    vector /= np.linalg.norm(vector)
    return VoicePrint(
        span=range_s(start_s, end_s),
        track=0,
        vector=base64.b64encode(np.rint(vector * 127).astype(np.int8)).decode(),
        alike=tuple(float(vector @ vector_of(one, seed=-1 % 99)) for one in known),
    )


def prints_of(turns, known=()):
    """Of each (speaker, start, end) a print every 0.4 seconds, 1.6 seconds long at most."""
    return [
        print_of(speaker, at_s, min(at_s + 1.6, end_s), known)
        for speaker, start_s, end_s in turns
        for at_s in np.arange(start_s, max(end_s - 1.6, start_s) + 1e-6, 0.4).round(3)
    ]


def said_of(text, start_s, step_s=0.5):
    """A word every half second."""
    words = tuple(
        Word(span=range_s(start_s + n * step_s, start_s + (n + 0.8) * step_s), text=word)
        for n, word in enumerate(text.split())
    )
    return Said(
        span=TimeRange(words[0].span.start_ns, words[-1].span.end_ns),
        text=text, track=0, language="en", words=words,
    )  # fmt: skip
