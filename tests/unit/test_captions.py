"""Captions beside a recording and in it are what is said, with times, speakers and languages."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Said
from pipeline.speech import parse_captions
from pipeline.tables.said import read_said, write_said
from pipeline.timebase import NS_PER_MS, NS_PER_S, TimeRange

TEAMS = """WEBVTT

9f2c/12-0
00:00:01.500 --> 00:00:04.000
<v Ada Lovelace>The price is 40 euros &amp; stays.</v>

9f2c/13-0
00:00:04.000 --> 00:00:05.250
<v Grace>Agreed.</v>
"""
ZOOM = """WEBVTT

1
00:00:01.500 --> 00:00:04.000
Ada Lovelace: The price is 40 euros.

2
00:00:04.000 --> 00:00:05.250
Grace: Agreed.

3
00:00:06.000 --> 00:00:07.000
Ada Lovelace: Good: we ship.
"""
SUBRIP = "1\r\n00:00:01,5 --> 00:00:04,000\r\n<i>Zwei</i>\r\nZeilen\r\n\r\n2\r\n00:01:00,000 --> 00:01:01,000\r\n价格：四十\r\n"  # noqa: E501, RUF001
DRONE = "1\n00:00:00,000 --> 00:00:00,033\n<font>FrameCnt: 1, 2023-09-07 10:11:12.345</font>\n"


def told(text):
    return [
        (one.span.start_ns / NS_PER_S, one.span.end_ns / NS_PER_S, one.speaker, one.text)
        for one in parse_captions(text)
    ]


def test_a_voice_is_the_speaker():
    assert told(TEAMS) == [
        (1.5, 4.0, "Ada Lovelace", "The price is 40 euros & stays."),
        (4.0, 5.25, "Grace", "Agreed."),
    ]


def test_names_before_the_text_are_speakers_where_most_cues_have_one():
    assert told(ZOOM) == [
        (1.5, 4.0, "Ada Lovelace", "The price is 40 euros."),
        (4.0, 5.25, "Grace", "Agreed."),
        (6.0, 7.0, "Ada Lovelace", "Good: we ship."),
    ]


def test_subrip_has_commas_markup_and_lines():
    said = told(SUBRIP)
    assert said[0] == (1.5, 4.0, "", "Zwei Zeilen")
    assert said[1][:2] == (60.0, 61.0)


@pytest.mark.parametrize(
    "text", ["", "WEBVTT", "no captions", DRONE, "00:00:02.000 --> 00:00:01.000\nx"]
)
def test_what_nobody_says_gives_nothing(text):
    assert told(text) == []


CUE = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n"


@pytest.mark.parametrize(
    "text",
    [
        CUE + "&#" + "9" * 5000 + "; x",
        CUE + "&#x" + "f" * 5000 + ";",
        CUE + "<v" + "\t" * 1_000_000 + "x",
        CUE + "<v a" * 300_000,
        CUE + "{\\" * 300_000,
        CUE + ("<" + "a" * 299) * 5_000,
        CUE + "x: " + " " * 1_000_000 + "y",
        CUE + "x" * 20_000_000,
        "\n\n" + ("00:00:01.000 " + " " * 1_000 + "--> ") * 2_000,
        "\n \n" * 1_000_000,
    ],
    ids=lambda text: text[43:50],
)
def test_no_captions_take_long_end_a_run_or_give_a_text_that_nobody_could_read(text):
    began_s = time.process_time()
    said = parse_captions(text)
    assert time.process_time() - began_s < 10
    assert all(len(one.text) <= 10_000 and len(one.speaker) <= 200 for one in said)


def test_references_of_html_are_the_characters_that_they_name():
    text = "&lt;b&gt; &amp;amp; &#8364; &#x20AC; &nbsp;&bogus; &#0; &amp"
    assert told(CUE + text) == [(1.0, 2.0, "", "<b> &amp; € € \xa0&bogus; \ufffd &amp")]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=400) | st.builds(lambda t: TEAMS[:60] + t + TEAMS[60:], st.text()))
def test_any_text_gives_cues_with_times_and_never_raises(text):
    for said in parse_captions(text):
        assert said.span.start_ns < said.span.end_ns
        assert said.text


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.builds(
            lambda start, length, text: Said(
                span=TimeRange(start * NS_PER_MS, (start + length) * NS_PER_MS), text=text, track=0
            ),
            st.integers(0, 9_000),
            st.integers(1, 999),
            st.text(max_size=30),
        ),
        max_size=5,
    )
)
def test_an_answer_reads_back_as_it_was_written(said):
    window = TimeRange(5 * NS_PER_S, 15 * NS_PER_S)
    moved = [
        Said(
            span=TimeRange(one.span.start_ns + window.start_ns, one.span.end_ns + window.start_ns),
            text=one.text,
            track=one.track,
        )
        for one in said
    ]
    back = read_said(write_said(moved, window), window)
    assert [one.span for one in back] == [one.span for one in moved]
