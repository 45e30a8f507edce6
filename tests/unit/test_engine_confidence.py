"""An event is as sure as the tokens of its label were likely."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.confidence import label_confidences, tokens_of_bytes


def sure(probability):
    return math.log(probability)


def test_the_tokens_of_the_label_count_and_no_others():
    tokens = [
        ('{"events":[{"text":"', sure(0.1)),
        ("a man", sure(0.2)),
        ('","label":"', sure(0.3)),
        ("en", sure(0.8)),
        ("ter", sure(0.5)),
        ('","start":', sure(0.9)),
        ("1.0", sure(0.01)),
        ("}]}", 0.0),
    ]
    text = "".join(token for token, _ in tokens)
    # The token that ends the label counts: it says that this is not "entering".
    assert label_confidences(text, tokens) == pytest.approx((0.8 * 0.5 * 0.9,))


def test_a_text_that_looks_like_a_label_is_none():
    text = r'{"events":[{"text":"he says \"label\": \"exit\"","label":"enter","start":0}]}'
    tokens = [(character, sure(0.9)) for character in text]
    assert label_confidences(text, tokens) == pytest.approx((0.9 ** len('enter"'),))


def test_several_events_each_have_their_own():
    tokens = [('{"label":"', 0.0), ("a", sure(0.5)), ('"},{"label":"', 0.0), ("b", sure(0.25))]
    tokens.append(('"}', 0.0))
    text = "".join(token for token, _ in tokens)
    assert label_confidences(text, tokens) == pytest.approx((0.5, 0.25))


def test_an_answer_after_a_thought_is_found_at_the_end():
    thought = [('<think>{"label":"a"}</think>\n', sure(0.1))]
    answer = [('{"label":"', 0.0), ("a", sure(0.5)), ('"}', 0.0)]
    assert label_confidences('{"label":"a"}', thought + answer) == pytest.approx((0.5,))


def test_tokens_of_another_text_say_nothing():
    assert label_confidences('{"label":"a"}', [("other", -1.0)]) == ()
    assert label_confidences('{"label":"a"}', []) == ()
    assert label_confidences("", [("", 0.0)]) == ()


@given(label=st.text(min_size=1, max_size=6), cuts=st.sets(st.integers(1, 40)))
def test_tokens_may_end_inside_a_character(label, cuts):
    import json

    text = json.dumps({"label": label}, ensure_ascii=False)
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return
    edges = [0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
    pieces = [(raw[low:high], sure(0.5)) for low, high in pairwise(edges)]
    tokens = tokens_of_bytes(pieces)
    assert "".join(token for token, _ in tokens) == text
    (confidence,) = label_confidences(text, tokens)
    assert 0 < confidence < 1
