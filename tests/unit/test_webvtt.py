import io

import pytest
import webvtt

from pipeline.errors import ConfigError
from pipeline.export.webvtt import document, srt


def row(start_s, end_s, text="", uri="a.mp4", **columns):
    return {"uri": uri, "media_start": start_s, "media_end": end_s, "text": text, **columns}


def parsed(*rows):
    return webvtt.from_buffer(io.StringIO(document(rows)))


def test_each_row_is_a_cue_in_order_of_its_start_in_the_file():
    cues = parsed(row(3661.5, 3700, "second"), row(6.1, 20.0004, "first", label="motion"))
    assert [(c.start, c.end, c.text) for c in cues] == [
        ("00:00:06.100", "00:00:20.001", "motion: first"),
        ("01:01:01.500", "01:01:40.000", "second"),
    ]


def test_a_cue_covers_its_row_and_is_never_empty():
    [cue] = parsed(row(1.0004, 1.0005, "x"))
    assert (cue.start, cue.end) == ("00:00:01.000", "00:00:01.001")


def test_no_text_can_break_a_cue():
    text = "a --> b\n\n\n00:00:01.000 --> 00:00:02.000\r\n<c.red>&价格"
    first, second = parsed(row(0, 1, text), row(1, 2, ""))
    assert first.raw_text.splitlines() == [
        "a --&gt; b",
        "00:00:01.000 --&gt; 00:00:02.000",
        "&lt;c.red&gt;&amp;价格",
    ]
    assert second.start == "00:00:01.000"


@pytest.mark.parametrize(
    ("speaker", "voice", "name"),
    [
        ("Ada", "<v Ada>", "Ada: "),
        ("A>b --> {c}\n&", "<v A&gt;b -&gt; {c} &amp;>", "A\u203ab -\u203a (c) &: "),
        ("", "", ""),
        (None, "", ""),
    ],
)
def test_a_cue_says_who_speaks_and_no_name_can_break_it(speaker, voice, name):
    spoken = row(0, 1, "hello", speaker=speaker)
    [cue] = parsed(spoken)
    assert (cue.raw_text, cue.text) == (f"{voice}hello", "hello")
    assert srt([spoken]).splitlines()[2] == f"{name}hello"


def test_an_event_over_two_files_has_its_times_in_the_shared_file():
    parts = [
        {"uri": "a.mp4", "media_start": 590.0, "media_end": 600.0},
        {"uri": "b.mp4", "media_start": 0.0, "media_end": 4.0},
    ]
    over = row(590.0, 600.0, "over", parts=parts)
    cues = parsed(row(7, 8, "b", uri="b.mp4"), over)
    assert [(c.start, c.text) for c in cues] == [("00:00:00.000", "over"), ("00:00:07.000", "b")]


def test_rows_that_share_no_file_are_refused_with_a_remedy():
    with pytest.raises(ConfigError, match=r"from 2 files: a\.mp4, b\.mp4; name one with --video"):
        document([row(0, 1), row(0, 1, uri="b.mp4")])


def test_rows_without_a_time_in_a_file_are_refused():
    with pytest.raises(ConfigError, match="no uri, media_start, media_end"):
        document([{"n": 1}])


def test_no_rows_give_an_empty_document():
    assert document([]) == "WEBVTT\n"


def test_a_chapter_cue_shows_its_title_and_a_day_is_refused():
    [cue] = parsed(row(0, 900, "All of what happens.", title="Budget & plans"))
    assert cue.raw_text == "Budget &amp; plans"
    with pytest.raises(ConfigError, match="--level chapter"):
        document([row(None, None, "A day.", uri="")])
