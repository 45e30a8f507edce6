"""Sound is cut where nobody speaks, into stretches that every engine takes; they never overlap."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records.speech import NS_PER_SAMPLE
from pipeline.speech import MAX_STRETCH_NS, group, turns, voices
from pipeline.timebase import NS_PER_S, TimeRange

STEP = 512
STEP_NS = STEP * NS_PER_SAMPLE


def heard(*spoken_s, length_s=60.0, cut=voices):
    """What is cut where these seconds are spoken."""
    at_s = np.arange(round(length_s * NS_PER_S) // STEP_NS) * STEP_NS / NS_PER_S
    said = np.zeros(len(at_s), np.float32)
    for start_s, end_s in spoken_s:
        said[(at_s >= start_s) & (at_s < end_s)] = 0.9
    return cut(said, STEP, TimeRange(0, round(length_s * NS_PER_S)))


def test_a_short_pause_stays_inside_and_a_long_one_cuts():
    assert len(heard((1, 3), (4.9, 6))) == 1
    assert len(heard((1, 3), (5.2, 6))) == 2
    assert heard() == []


def test_a_short_noise_between_two_voices_is_no_voice_of_its_own_but_a_short_yes_is():
    with_noise = heard((1, 3), (3.2, 3.36), (3.6, 5), cut=turns)
    assert with_noise == heard((1, 3), (3.6, 5), cut=turns)
    assert len(heard((1, 3), (3.2, 3.5), (3.7, 5), cut=turns)) == 3


def test_a_voice_without_pauses_is_cut_where_it_is_weakest():
    parts = heard((1, 59))
    assert all(one.span.duration_ns <= MAX_STRETCH_NS for one in parts)
    assert [before.span.end_ns for before in parts[:-1]] == [
        after.span.start_ns for after in parts[1:]
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), max_size=3000), st.integers(0, 10**12))
def test_stretches_of_any_sound_are_short_ordered_and_inside_it(probabilities, start_ns):
    within = TimeRange(start_ns, start_ns + len(probabilities) * STEP_NS + 100)
    found = voices(np.array(probabilities, np.float32), STEP, within)
    for one in found:
        assert within.start_ns <= one.span.start_ns < one.span.end_ns <= within.end_ns
        assert one.span.duration_ns <= MAX_STRETCH_NS
        assert (one.span.start_ns - within.start_ns) % NS_PER_SAMPLE == 0
        assert all(one.span.start_ns <= part.start_ns for part in one.voice)
        assert all(part.end_ns <= one.span.end_ns for part in one.voice)
    assert all(one.span.end_ns <= two.span.start_ns for one, two in pairwise(found))
    tiles = group([one.span for one in found], within)
    assert [tiles[0][0].start_ns, tiles[-1][0].end_ns] == [within.start_ns, within.end_ns]
    assert all(one.end_ns == two.start_ns for (one, _), (two, _) in pairwise(tiles))


def test_stretches_of_two_tracks_that_overlap_are_one_window():
    spans = [TimeRange(10, 20), TimeRange(15, 30), TimeRange(30, 40)]
    assert group(spans, TimeRange(0, 50)) == [
        (TimeRange(0, 10), False),
        (TimeRange(10, 30), True),
        (TimeRange(30, 40), True),
        (TimeRange(40, 50), False),
    ]
