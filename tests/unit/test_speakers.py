"""Who speaks follows from the voices of a whole video; each word belongs to one speaker."""

import base64
import random
from dataclasses import replace

import numpy as np
import pytest

from pipeline.records import VoicePrint
from pipeline.speech import VoiceRules, told_by_voice
from tests.spoken import SIZE, prints_of, range_s, said_of

ADA, GRACE, MARY = 3, 9, 20
RULES = VoiceRules(same=0.6, least_confidence=0.6)
TALK = [(ADA, 0.0, 5.0), (GRACE, 5.2, 10.0), (ADA, 10.2, 15.0)]


def told(said, prints, rules=RULES):
    answers = told_by_voice([(f"w{n}", [one]) for n, one in enumerate(said)], prints, rules)
    return [(one.speaker, one.text) for _, parts in answers for one in parts]


def test_an_utterance_splits_where_the_speaker_changes():
    said = said_of("we go on monday then yes i think so too fine by me now " + "and on " * 8, 0.0)
    assert told([said], prints_of(TALK)) == [
        ("speaker 1", "we go on monday then yes i think so too"),
        ("speaker 2", "fine by me now and on and on and on"),
        ("speaker 1", "and on and on and on and on and on"),
    ]


def test_speakers_have_numbers_in_the_order_in_which_they_speak_first():
    # The voices of a later shard say that the first two windows are of two speakers.
    turns = [(GRACE, 0.0, 4.0), (ADA, 5.0, 9.0), (MARY, 10.0, 14.0), (ADA, 15.0, 19.0)]
    said = [said_of(text, at_s) for text, at_s in [("a b c", 1), ("d e", 6), ("f", 11), ("g", 16)]]
    assert told(said, prints_of(turns)) == [
        ("speaker 1", "a b c"), ("speaker 2", "d e"), ("speaker 3", "f"), ("speaker 2", "g")
    ]  # fmt: skip


def test_one_voice_is_one_speaker_however_long_it_speaks():
    said = [said_of("on and on", at_s) for at_s in range(0, 200, 20)]
    assert {who for who, _ in told(said, prints_of([(ADA, 0.0, 205.0)]))} == {"speaker 1"}


def test_a_long_meeting_has_the_speakers_of_a_short_one():
    chance = random.Random(1)
    turns = [
        (chance.choice((ADA, GRACE, MARY)), 12.0 * number, 12.0 * number + 11.5)
        for number in range(60)
    ]
    prints = prints_of(turns)
    assert len(prints) > 1200  # more than are compared with each other at once
    said = [said_of("yes", start_s + 2) for _, start_s, _ in turns]
    names = [who for who, _ in told(said, prints)]
    whose = {number: name for (number, _, _), name in zip(turns, names, strict=True)}
    assert names == [whose[number] for number, _, _ in turns]
    assert sorted(whose.values()) == ["speaker 1", "speaker 2", "speaker 3"]


def test_a_known_voice_has_its_name_and_the_others_have_numbers():
    rules = replace(RULES, names=("Grace", "Mary"))
    said = [said_of("good morning", 1), said_of("hello", 6), said_of("well", 11)]
    known = prints_of(TALK, known=(GRACE, MARY))
    assert told(said, known, rules) == [
        ("speaker 1", "good morning"), ("Grace", "hello"), ("speaker 1", "well")
    ]  # fmt: skip


def test_where_two_voices_are_equally_near_nobody_is_named_and_the_confidence_says_so():
    both = replace(prints_of([(ADA, 16.2, 16.9)])[0], vector=_between(ADA, GRACE))
    answers = told_by_voice(
        [("w", [said_of("who", 1)]), ("x", [said_of("me", 16.5)])],
        [*prints_of(TALK), both],
        replace(RULES, least_confidence=0.75),
    )
    [sure], [unsure] = (said for _, said in answers)
    assert (sure.speaker, unsure.speaker) == ("speaker 1", "")
    assert unsure.speaker_confidence == pytest.approx(0.5, abs=0.2)
    assert sure.speaker_confidence > 0.9


def test_nobody_says_a_word_that_no_voice_is_near():
    assert told([said_of("what", 60.0)], prints_of(TALK)) == [("", "what")]


def test_a_voice_of_a_moment_is_no_speaker():
    turns = [*TALK, (MARY, 15.3, 16.9)]
    assert {who for who, _ in told([said_of("hm", 15.5), said_of("so", 6)], prints_of(turns))} <= {
        "", "speaker 1", "speaker 2"
    }  # fmt: skip


def test_who_is_known_already_stays_so_and_keeps_a_number_for_itself():
    kept = replace(said_of("as i said", 1), speaker="speaker 1")
    assert told([kept, said_of("hello there", 6)], prints_of(TALK)) == [
        ("speaker 1", "as i said"), ("speaker 2", "hello there")
    ]  # fmt: skip


def test_words_without_times_are_said_by_whoever_speaks_longest():
    untimed = replace(said_of("well that is it", 5.5), span=range_s(4.0, 9.5), words=())
    assert told([said_of("go", 1), untimed], prints_of(TALK)) == [
        ("speaker 1", "go"), ("speaker 2", "well that is it")
    ]  # fmt: skip


@pytest.mark.parametrize("vector", ["", "no base64", "AAAA", "AQID"])
def test_a_vector_that_is_none_tells_nothing(vector):
    broken = VoicePrint(span=range_s(5.2, 10), track=0, vector=vector)
    assert told([said_of("hello", 6)], [broken])[0][1] == "hello"
    assert told([said_of("go", 1)], [*prints_of(TALK), broken]) == [("speaker 1", "go")]


def test_the_order_of_the_windows_decides_nothing():
    said, prints = said_of("go " * 28, 0.0), prints_of(TALK)
    shuffled = random.Random(1).sample(prints, len(prints))
    assert told([said], shuffled) == told([said], prints)


def _between(first, second):
    vector = np.zeros(SIZE, np.int8)
    vector[[first, second]] = 90
    return base64.b64encode(vector).decode()
