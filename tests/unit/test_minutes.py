"""Minutes of a meeting whose words and pages are known: what they say, where, and that it is so."""

import io
import json
from dataclasses import replace
from itertools import pairwise

import docx
import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.index as pi
from pipeline.errors import ConfigError, NoSourcesError
from pipeline.minutes import (
    NotShown,
    contradiction,
    contradiction_of_page,
    make_minutes,
    pages_on_screen,
)
from pipeline.records import DeckPage, Slide, Utterance, make_id
from pipeline.report.minutes import NOT_SHOWN, as_html, as_json, as_webvtt, read_meeting
from pipeline.report.minutes_docx import write_docx
from pipeline.report.minutes_markdown import as_markdown
from pipeline.tables.shared import Provenance
from pipeline.tables.slides import slides_table
from pipeline.tables.utterances import utterances_table
from pipeline.timebase import NS_PER_S, TimeRange
from tests.index_rows import rows, video

MADE_BY = Provenance(task="meeting", model="m", prompt_id="p", fingerprint="f1", config="{}")
HOSTILE = "<script>alert(1)</script> [here](https://evil.example) |x| *now*"


def seconds(start_s, end_s):
    return TimeRange(round(start_s * NS_PER_S), round(end_s * NS_PER_S))


def says(start_s, end_s, text, speaker=""):
    span = seconds(start_s, end_s)
    return Utterance(
        utterance_id=make_id("u", start_s, end_s, text, speaker),
        camera="cam1",
        video_id="v1",
        uri="v1.mp4",
        span=span,
        media=span,
        track=-1,
        speaker=speaker,
        language="en",
        text=text,
        words=(),
        confidence=None,
        window_ids=(),
    )


def shows(start_s, end_s, page, text="", **deck):
    span = seconds(start_s, end_s)
    return Slide(
        slide_id=make_id("s", start_s),
        camera="cam1",
        video_id="v1",
        uri="v1.mp4",
        span=span,
        media=span,
        page=page,
        frame_pts=(),
        steps=(),
        picture="",
        window_ids=(),
        text=text,
        **deck,
    )


SAID = (
    says(1, 3, "Welcome to the quarterly review.", "Ada"),
    says(12, 15, "The gateway costs 1,250 euros per unit.", "Ada"),
    says(16, 18, "Can we sell it in Japan?", "Bo"),
    says(22, 25, "我们决定价格是 99 元。", "陈"),
    says(26, 29, "Bo will send the offer by Friday.", "Ada"),
    says(41, 43, HOSTILE, HOSTILE),
)
SHOWN = (
    shows(10, 20, 1, "Product price\nGateway 1,250 EUR"),
    shows(20, 30, 2, "产品价格\n支持 99 元", deck_page=4, deck_text="产品价格\n技术支持 99 元"),
    shows(30, 40, 1, "Product price\n- Gateway 1,250 EUR"),
)


DECK = tuple(
    DeckPage(text=text)
    for text in ("Product price\nGateway 1,250 EUR", "Roadmap", "", "产品价格\n技术支持 99 元")
)


def test_the_page_of_an_utterance_is_the_one_that_is_shown_for_most_of_it():
    half, more, after, before = (
        says(18, 22, "half"), says(18, 22.001, "more"), says(20, 21, "after"),
        says(8, 10, "before"),
    )  # fmt: skip
    pages = pages_on_screen([half, more, after, before], SHOWN)
    assert [pages[one.utterance_id] for one in (half, more, after, before)] == [
        SHOWN[0], SHOWN[1], SHOWN[1], None,
    ]  # fmt: skip


def test_minutes_have_a_chapter_for_each_page_and_for_talk_without_one():
    minutes = make_minutes(SAID, SHOWN)
    assert [(one.page, one.title, one.num_said) for one in minutes.chapters] == [
        (None, "", 1), (1, "Product price", 2), (2, "产品价格", 2), (1, "Product price", 0),
        (None, "", 1),
    ]  # fmt: skip
    assert minutes.num_dropped == 0


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("figure", [
            (10, 1, "Gateway 1,250 EUR"), (12, 1, "The gateway costs 1,250 euros per unit."),
            (20, 2, "技术支持 99 元"), (22, 2, "我们决定价格是 99 元。"),
        ]),
        ("question", [(16, 1, "Can we sell it in Japan?")]),
        ("decision", [(22, 2, "我们决定价格是 99 元。")]),
        ("task", [(26, 2, "Bo will send the offer by Friday.")]),
    ],
)  # fmt: skip
def test_what_matters_is_listed_with_its_time_and_page(kind, found):
    notes = make_minutes(SAID, SHOWN).of_kind(kind)
    assert [(note.media.start_ns / NS_PER_S, note.page, note.text) for note in notes] == found


ROWS = {one.utterance_id: one for one in SAID}, {one.slide_id: one for one in SHOWN}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"text": "The gateway costs 1,350 euros per unit."}, "says this"),
        ({"speaker": "Bo"}, "are not of 'Bo'"),
        ({"page": 2}, "do not show page 2"),
        ({"page": None}, "do not show page None"),
        ({"deck_page": 4}, "do not show page 4 of the deck"),
        ({"page": None, "deck_page": 4, "slide_ids": ()}, "do not show page 4 of the deck"),
        ({"slide_ids": (SHOWN[2].slide_id,)}, "not on the screen at its time"),
        ({"media": seconds(12, 15.000000001)}, "another time"),
        ({"utterance_ids": ("nobody",)}, "no row of this recording"),
        ({"utterance_ids": (), "slide_ids": ()}, "names no row"),
        ({"owner": "Ada"}, "is no task"),
        ({"kind": "task", "owner": "Ada"}, "nobody says that Ada"),
        ({"kind": "task", "due": "by Friday"}, "nobody says by Friday"),
    ],
)
def test_a_line_that_its_rows_do_not_bear_out_cannot_stand(change, why):
    [note] = [n for n in make_minutes(SAID, SHOWN).of_kind("figure") if n.speaker == "Ada"]
    assert contradiction(note, *ROWS) == ""
    assert why in contradiction(replace(note, **change), *ROWS)


@pytest.mark.parametrize(
    ("text", "owner", "due"),
    [
        ("Bo will send the offer by Friday.", "Bo", "by Friday"),
        ("I will send it by the end of the week.", "Ada", "by the end of the week"),
        ("I'll do it tomorrow morning.", "Ada", "tomorrow morning"),
        ("Anna and Ben have to finish before March 12th.", "Anna and Ben", "before March 12th"),
        ("Next, Anna must call them.", "Anna", ""),
        ("Bo, you must send it until 2026-03-01.", "Bo", "until 2026-03-01"),
        ("It must be checked, and is assigned to Carla Smith.", "Carla Smith", ""),
        ("Dr. Miller is responsible for the audit by 5 pm.", "Dr. Miller", "by 5 pm"),
        ("Anna will send it, and Bo will check it.", "", ""),
        ("We will see next week.", "", "next week"),
        ("They must pay by June 1, 2026.", "", "by June 1, 2026"),
        ("The Gateway will be late, the deadline is Friday.", "", "Friday"),
        ("It may be 5 or so, but must work.", "", ""),
        ("李雷负责报价,周五之前完成。", "李雷", "周五之前"),
        ("报价由王小明负责,下周三前。", "王小明", "下周三前"),
        ("我来负责,3月5日之前。", "Ada", "3月5日之前"),
        ("所以市场部负责发布,截止月底。", "市场部", "月底"),
        ("小陈必须明天完成。", "小陈", "明天"),
        ("我们负责市场。", "", ""),
        ("大家必须负责。", "", ""),
    ],
)
def test_a_task_has_its_owner_and_its_date_where_somebody_says_them(text, owner, due):
    other = says(5, 6, "好。", "小陈")
    one = says(1, 3, text, "Ada")
    minutes = make_minutes([one, other], [])
    [note] = minutes.of_kind("task")
    assert (note.owner, note.due) == (owner, due)
    assert minutes.num_dropped == 0


def test_pages_of_the_deck_that_were_never_shown_are_listed():
    shown = [replace(one, deck_page=one.deck_page or 1) for one in SHOWN]
    assert make_minutes(SAID, shown, DECK).not_shown == (
        NotShown(deck_page=2, title="Roadmap"), NotShown(deck_page=3, title=""),
    )  # fmt: skip
    assert make_minutes(SAID, shown).not_shown == ()
    assert make_minutes(SAID, (), DECK).not_shown == ()


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        (NotShown(deck_page=2, title="Roadmap"), ""),
        (NotShown(deck_page=2, title="Product price"), "another title"),
        (NotShown(deck_page=4, title="产品价格"), "is shown"),
        (NotShown(deck_page=5, title=""), "has 4 pages"),
        (NotShown(deck_page=0, title=""), "has 4 pages"),
    ],
)
def test_a_page_is_not_listed_as_never_shown_unless_the_deck_has_it_and_no_slide(claim, why):
    found = contradiction_of_page(claim, DECK, SHOWN)
    assert found.endswith(why) if why else found == ""


_SPANS = st.tuples(st.integers(0, 50), st.integers(1, 9)).map(lambda x: (x[0], x[0] + x[1]))
_TEXTS = st.text(max_size=30)


@settings(max_examples=60)
@given(
    said=st.lists(st.tuples(_SPANS, _TEXTS, _TEXTS), max_size=8),
    cuts=st.lists(st.tuples(st.integers(0, 60), _TEXTS), max_size=6, unique_by=lambda cut: cut[0]),
    deck=st.lists(_TEXTS.map(lambda text: DeckPage(text=text)), max_size=4),
)
def test_every_line_of_any_minutes_names_rows_that_say_it(said, cuts, deck):
    spoken = [says(*span, text, who) for span, text, who in dict.fromkeys(said)]
    starts = sorted(cuts)
    shown = [
        shows(start, end, page, text, deck_page=page if page <= len(deck) else None)
        for page, ((start, text), (end, _)) in enumerate(pairwise(starts), 1)
    ]
    minutes = make_minutes(spoken, shown, deck)
    known = {one.utterance_id: one for one in spoken}, {one.slide_id: one for one in shown}
    notes = [*minutes.notes, *(note for one in minutes.chapters for note in one.said)]
    assert minutes.num_dropped == 0
    assert all(contradiction(note, *known) == "" for note in notes)
    assert sum(one.num_said for one in minutes.chapters) == len(spoken)
    assert len(minutes.not_shown) == (max(0, len(deck) - len(shown)) if shown else 0)


@pytest.fixture
def index(tmp_path):
    writer = pi.Writer(tmp_path / "index")
    # The tables hold UTC; here it counts from 1970, as do the seconds in the file.
    writer.finish_videos(
        rows(
            "videos",
            video("v1", task="meeting", deck_pages=[{"text": p.text, "picture": ""} for p in DECK]),
            video("v2", uri="other/v1.mp4", task="meeting"),
        ),
        utterances=utterances_table(SAID, MADE_BY),
        slides=slides_table(SHOWN, MADE_BY),
    )
    return writer.index


def test_every_format_has_every_line_and_no_markup_of_others(index, tmp_path):
    meeting = read_meeting(index, "v1")
    markdown, page, document = as_markdown(meeting), as_html(meeting), as_json(meeting)
    write_docx(meeting, tmp_path / "minutes.docx")
    written = docx.Document(str(tmp_path / "minutes.docx"))
    paragraphs = [one.text for one in written.paragraphs]
    assert "- (0:00:12, page 1) Ada: The gateway costs 1,250 euros per unit." in markdown
    assert "(0:00:12, page 1) Ada: The gateway costs 1,250 euros per unit." in paragraphs
    assert f"(0:00:41) {HOSTILE}: {HOSTILE}" in paragraphs
    for text in (markdown, "\n".join(paragraphs), page):
        assert "Bo will send the offer by Friday. (owner: Bo, due: by Friday)" in text
    assert "<script" not in page
    assert "\\<script\\>" in markdown
    assert "\\[here\\](https\\://evil.example)" in markdown
    assert "- (0:00:22, page 4 of the deck) 陈: 我们决定价格是 99 元。" in markdown
    assert "## 0:00:20 to 0:00:30, page 4 of the deck: 产品价格" in markdown
    for text in (markdown, page, "\n".join(paragraphs)):
        assert "page 2: Roadmap" in text.partition(NOT_SHOWN)[2]
    read = json.loads(document)
    assert [one["deck_page"] for one in read["not_shown"]] == [1, 2, 3]
    assert read["decisions"][0]["deck_page"] == 4
    assert (read["tasks"][0]["owner"], read["tasks"][0]["due"]) == ("Bo", "by Friday")
    assert "1 of the pages shown were not found in the deck" in " ".join(read["cautions"])
    assert [note["text"] for note in read["questions"]] == ["Can we sell it in Japan?"]
    assert read["chapters"][1]["said"][0]["utterance_ids"] == [SAID[1].utterance_id]
    assert "Nobody has listened" in " ".join(read["cautions"])


def test_a_player_gets_the_chapters_as_a_track(index):
    cues = webvtt.from_buffer(io.StringIO(as_webvtt(read_meeting(index, "v1"))))
    assert [(cue.start, cue.end, cue.text) for cue in cues] == [
        ("00:00:01.000", "00:00:03.000", "no page"),
        ("00:00:10.000", "00:00:20.000", "page 1: Product price"),
        ("00:00:20.000", "00:00:30.000", "page 4 of the deck: 产品价格"),
        ("00:00:30.000", "00:00:40.000", "page 1: Product price"),
        ("00:00:41.000", "00:00:43.000", "no page"),
    ]


def test_a_page_over_which_nobody_speaks_parts_the_talk_around_it():
    silent = make_minutes([SAID[0], SAID[-1]], SHOWN[:1])
    assert [one.page for one in silent.chapters] == [None, 1, None]


def test_a_name_that_means_no_video_or_several_is_refused(index):
    with pytest.raises(NoSourcesError, match="no video nowhere"):
        read_meeting(index, "nowhere")
    with pytest.raises(ConfigError, match="names 2 videos"):
        read_meeting(index, "v1.mp4")


def test_the_command_writes_minutes_to_a_file_or_to_the_terminal(index, tmp_path, cli):
    out = tmp_path / "minutes.docx"
    asked = ("minutes", "--index", index.store.root, "--video", "v1")
    cli.run(*asked, "--out", out, "--format", "docx")
    assert "5 chapters" in cli.err
    assert docx.Document(str(out)).paragraphs
    assert cli.run(*asked).startswith("# Minutes of v1")
    assert cli.run(*asked, "--format", "webvtt").startswith("WEBVTT\n\nNOTE v1")
    cli.run(*asked, "--format", "docx", code=2)
    assert "--out" in cli.err


@pytest.mark.parametrize("text", ["1" * 100_000, "1," * 50_000])
def test_a_run_of_digits_is_not_sought_from_each_of_them(text):
    assert make_minutes([says(1, 3, text)], []).of_kind("figure") == ()
    [figure] = make_minutes([says(1, 3, f"{text} and 40,000.50%")], []).of_kind("figure")
    assert figure.text.endswith("40,000.50%")
