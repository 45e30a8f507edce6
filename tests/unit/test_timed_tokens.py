"""Whisper writes times as tokens around its sentences."""

import pytest

from pipeline.engine.vllm_speech.engine import timed_tokens

ZERO = 1000
"""The token of 0 s; each later one is 0.02 s more."""


@pytest.mark.parametrize(
    ("tokens", "sentences"),
    [
        ([], []),
        ([ZERO, ZERO + 50], []),
        ([7, 8, ZERO + 50], [([7, 8], 0.0, 1.0)]),  # the prompt ends with the time of the first
        ([ZERO + 5, 7, ZERO + 50], [([7], 0.1, 1.0)]),
        (
            [7, ZERO + 50, ZERO + 100, 8, 9, ZERO + 200, ZERO + 200],
            [([7], 0.0, 1.0), ([8, 9], 2.0, 4.0)],
        ),
        ([7, ZERO + 50, 8], [([7], 0.0, 1.0), ([8], 1.0, 5.0)]),  # no time at the end
        ([ZERO + 100, 7, ZERO + 50, 8, ZERO + 999], [([7], 2.0, 2.0), ([8], 1.0, 5.0)]),
    ],
)
def test_a_sentence_has_the_times_around_it_and_none_is_later_than_the_sound(tokens, sentences):
    assert list(timed_tokens(tokens, ZERO, 5.0)) == sentences
