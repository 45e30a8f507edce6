"""Minutes that a model writes: what it is asked, and that only what its rows bear out stands."""

import asyncio
import json
import re
from dataclasses import replace

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.index as pi
from pipeline.cli.minutes import minutes
from pipeline.config import SummariesConfig, load_config
from pipeline.engine import open_text_model
from pipeline.errors import ConfigError, SummaryError
from pipeline.index.erase import erase
from pipeline.index.scope import Scope
from pipeline.meetings.recording import read_recording
from pipeline.meetings.written import stored_minutes, write
from pipeline.minutes import (
    Author,
    Told,
    contradiction_of_told,
    make_minutes,
    quotable,
    write_minutes,
)
from pipeline.records import NOTE_KINDS, Completion
from pipeline.report.minutes import as_html, as_json, read_meeting
from pipeline.report.minutes_docx import write_docx
from pipeline.report.minutes_markdown import as_markdown
from pipeline.tables.shared import Provenance
from pipeline.tables.slides import slides_table
from pipeline.tables.utterances import utterances_table
from pipeline.timebase import NS_PER_S, ns_to_datetime
from tests.index_rows import rows, video
from tests.unit.test_minutes import HOSTILE, MADE_BY, SAID, SHOWN, says

HEARD_BY = Provenance(task="speech", model="w", prompt_id="p", fingerprint="f2", config="{}")
# The rows count from 1970, as do the seconds in the file.
TIMES = {"start": ns_to_datetime(0), "end": ns_to_datetime(60 * NS_PER_S), "footage": []}
QUOTES = quotable(SAID, SHOWN)
SAID_BY_ID = {one.utterance_id: one for one in SAID}
SHOWN_BY_ID = {one.slide_id: one for one in SHOWN}
NUMBER = {note.text: number for number, note in enumerate(QUOTES, 1)}
PRICE, JAPAN = NUMBER[SAID[1].text], NUMBER[SAID[2].text]
DECISION, OFFER = NUMBER[SAID[3].text], NUMBER[SAID[4].text]


def line(kind, lines, text, **more):
    return {"kind": kind, "lines": lines, "text": text, "owner": "", "due": "", **more}


def answer(*lines):
    return json.dumps({"minutes": lines}, ensure_ascii=False)


GOOD = (
    line("agenda", [PRICE], "Price of the gateway"),
    line("said", [PRICE, JAPAN], "The gateway costs 1250 EUR; its sale in Japan is open."),
    line("decision", [DECISION], "The price is 99 yuan."),
    line("task", [OFFER], "Bo sends the offer.", owner="Bo", due="by Friday"),
    line("question", [JAPAN], "Can it be sold in Japan?"),
)


@pytest.fixture
def writer(tmp_path):
    writer = pi.Writer(tmp_path / "index")
    writer.finish_videos(
        rows("videos", video("v1", task="meeting") | TIMES), slides=slides_table(SHOWN, MADE_BY)
    )
    hear(writer)
    return writer


def hear(writer, said=SAID):
    heard = video("v1", task="speech", fingerprint="f2", num_utterances=len(said))
    writer.finish_videos(rows("videos", heard | TIMES), utterances=utterances_table(said, HEARD_BY))


def config_of(endpoint, **more):
    engine = f"engine={{kind: openai, model: m, base_url: '{endpoint.url}', max_retries: 0}}"
    return load_config(None, (engine, *(f"{name}={value}" for name, value in more.items())))


def written(writer, config):
    recording = read_recording(writer.open(), "v1")
    engine = open_text_model(config)
    try:
        write(writer, recording, config, engine)
    finally:
        engine.shutdown()
    return stored_minutes(writer.open(), read_recording(writer.open(), "v1"))


def kept(writer):
    return writer.open().summaries(fingerprint="all").to_pylist()


def test_the_model_reads_each_sentence_and_page_with_its_number_time_page_and_speaker(
    writer, serve
):
    endpoint = serve((200, answer(*GOOD)))
    written(writer, config_of(endpoint))
    [(_, body)] = endpoint.requests
    question = body["messages"][-1]["content"]
    assert f"[{PRICE}] [0:00:12, page 1, Ada] {SAID[1].text}" in question
    assert "[2] [0:00:10, page 1, on the screen] Product price Gateway 1,250 EUR" in question
    assert f"[{DECISION}] [0:00:22, page 4, 陈] {SAID[3].text}" in question
    schema = body["response_format"]["json_schema"]["schema"]
    cited = schema["properties"]["minutes"]["items"]["properties"]["lines"]["items"]
    assert cited["maximum"] == len(QUOTES) == 8


def test_every_format_has_what_the_model_wrote_with_what_it_rests_on(writer, serve, tmp_path):
    written(writer, config_of(serve((200, answer(*GOOD)))))
    meeting = read_meeting(writer.open(), "v1")
    write_docx(meeting, tmp_path / "minutes.docx")
    paragraphs = [one.text for one in docx.Document(str(tmp_path / "minutes.docx")).paragraphs]
    for lines in (as_markdown(meeting).splitlines(), paragraphs):
        texts = [one.removeprefix("- ") for one in lines]
        assert (
            "The gateway costs 1250 EUR; its sale in Japan is open."
            " (0:00:12, page 1; 0:00:16, page 1)"
        ) in texts
        assert (
            "Bo sends the offer. (owner: Bo, due: by Friday) (0:00:26, page 4 of the deck)" in texts
        )
        # Figures that pages and people name are quoted as ever; other lists are the model's.
        assert any("1,250 euros per unit" in one for one in texts)
        assert {one.lstrip("# ") for one in lines} >= {
            "Agenda", "Summary", "Decisions", "Tasks", "Open questions", "Prices and figures",
        }  # fmt: skip
        assert "Said as tasks" not in {one.lstrip("# ") for one in lines}
    page = as_html(meeting)
    assert "<h2>Open questions</h2>" in page
    assert "Bo sends the offer. (owner: Bo, due: by Friday)" in page
    read = json.loads(as_json(meeting))
    assert read["model"] == "m"
    [task] = [one for one in read["told"] if one["kind"] == "task"]
    assert (task["owner"], task["due"], task["media_start"]) == ("Bo", "by Friday", 26.0)
    assert task["rests_on"][0]["utterance_ids"] == [SAID[4].utterance_id]


def test_the_command_quotes_where_the_model_fails_and_asks_it_once_for_what_it_wrote(
    writer, serve, capsys
):
    endpoint = serve((200, "{}"), (200, "{}"), (200, answer(*GOOD)))
    engine = f"engine={{kind: openai, model: m, base_url: '{endpoint.url}'}}"
    texts = []
    for _ in range(3):
        minutes(writer.store.root, "v1", overrides=[engine])
        texts.append(capsys.readouterr().out)
    assert "The model has not written minutes: the answer must be minutes" in texts[0]
    assert "## Said as tasks" in texts[0]
    assert "## Open questions" in texts[1]
    assert texts[1] == texts[2] == as_markdown(read_meeting(writer.open(), "v1"))
    assert len(endpoint.requests) == 3


def test_a_model_that_cannot_write_is_refused(writer):
    with pytest.raises(ConfigError, match="is no model that writes"):
        minutes(writer.store.root, "v1", overrides=["engine={kind: signals}"])


def test_they_are_written_anew_by_another_model_and_of_other_words(writer, serve):
    endpoint = serve((200, answer(*GOOD)))
    config = config_of(endpoint)
    assert written(writer, config).is_by(config)
    [row] = kept(writer)
    assert (row["level"], row["method"], row["task"]) == ("minutes", "model", "speech")
    assert (row["num_prompt_tokens"], row["num_output_tokens"]) == (100, 10)
    other = config_of(endpoint, **{"summaries.instructions": "short"})
    assert not stored_minutes(writer.open(), read_recording(writer.open(), "v1")).is_by(other)
    written(writer, other)
    assert [one["fingerprint"] for one in kept(writer)] == [other.summaries_fingerprint]
    hear(writer, SAID[:-1])
    assert kept(writer) == []
    assert read_meeting(writer.open(), "v1").model == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"text": "The gateway costs 1350 euros."}, "says 1350"),
        ({"text": "The gateway costs 1,250 dollars."}, "says USD"),
        ({"text": "The gateway costs two thousand euros."}, "says 2000"),
        ({"text": "It costs 1,250 euros until Monday."}, "says monday"),
        ({"text": "它三月卖一千二百五十欧元。"}, "says March"),
        ({"text": "The price falls by 5%."}, "says %"),
        ({"text": "The gateway costs more, Zoe says."}, "names Zoe"),
        ({"text": "Zoe names the price."}, "names Zoe"),
        ({"text": "bo names the price."}, "names Bo"),
        ({"text": "王小明负责报价。"}, "names 王小明"),
        ({"text": "The Router costs 1,250 euros."}, "names Router"),
        ({"owner": "Bo"}, "says Bo"),
        ({"owner": "Ad"}, "says Ad"),
        ({"due": "by Friday"}, "says by Friday"),
        ({"rests_on": ()}, "names no row"),
        ({"rests_on": (replace(QUOTES[2], text="The gateway is free."),)}, "says this"),
        ({"rests_on": (replace(QUOTES[2], utterance_ids=("nobody",)),)}, "no row of this"),
    ],
)
def test_a_line_in_other_words_stands_only_if_its_rows_have_its_figures_dates_and_names(
    changes, why
):
    told = Told(
        kind="task", text="Ada: gateway price, 1250 EUR a unit.", rests_on=(QUOTES[PRICE - 1],)
    )
    assert contradiction_of_told(told, SAID_BY_ID, SHOWN_BY_ID) == ""
    assert why in contradiction_of_told(replace(told, **changes), SAID_BY_ID, SHOWN_BY_ID)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("我们下周五之前卖出一千二百个,四十欧元。", "1200 are sold by Friday next week at €40."),
        ("Forty percent of one and a half million", "40% of the plan"),
        ("Anna and Ben agreed to meet on May 3.", "Ben's and Anna's meeting is on May 3."),
        ("The routers are priced at 2.5 million dollars", "Pricing: 2,500,000 USD for a router"),
        ("李雷负责报价", "李雷负责报价"),
    ],
)  # fmt: skip
def test_the_same_figures_and_dates_in_other_words_stand(said, told):
    one = says(1, 2, said)
    line = Told(kind="said", text=told, rests_on=tuple(quotable([one], [])))
    assert contradiction_of_told(line, {one.utterance_id: one}, {}) == ""


HOSTILE_LINES = [
    line("said", [PRICE], "The gateway costs 9999 euros."),
    line("said", [0], "Nothing."),
    line("said", [9], "Nothing."),
    line("said", [True], "Nothing."),
    line("said", [], "Nothing."),
    line("said", list(range(1, 9)) * 2, "Nothing."),
    line("said", [PRICE], ""),
    line("said", [PRICE], "\x00\u202e"),
    line("said", [PRICE], "x" * 401),
    line("gossip", [PRICE], "Nothing."),
    line("task", [PRICE], "Send it.", owner="Bo"),
    line("task", [PRICE], "Send it.", due=7),
    {"kind": "said", "text": "Nothing."},
    line("said", [PRICE], "Nothing.", start="0:00:01"),
    "said", None,
]  # fmt: skip


def test_lines_that_cannot_stand_are_left_out_and_counted(writer, serve):
    endpoint = serve((200, answer(*HOSTILE_LINES, GOOD[3])))
    row = written(writer, config_of(endpoint))
    assert row.num_dropped == len(HOSTILE_LINES)
    meeting = read_meeting(writer.open(), "v1")
    assert [one.text for one in meeting.minutes.told] == ["Bo sends the offer."]
    assert f"{len(HOSTILE_LINES)} lines were left out" in " ".join(meeting.cautions)
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I cannot help with that.", "not JSON"),
        ("[" * 9000, "not JSON"),
        ('{"minutes": [], "minutes": []}', "the key 'minutes' occurs twice"),
        (answer(), "at least one line"),
        ('{"minutes": {}}', "at least one line"),
        (answer(*GOOD * 7), "at most 30"),
        ((answer(*GOOD), "length"), "cut off"),
        (answer(*HOSTILE_LINES), "none of its lines stands"),
        ("\ud800", ""),
    ],
)
def test_after_two_answers_of_rubbish_the_minutes_are_quoted_and_say_so(writer, serve, text, why):
    endpoint = serve((200, text))
    with pytest.raises(SummaryError) as failed:
        written(writer, config_of(endpoint))
    assert why in str(failed.value)
    assert len(endpoint.requests) == 2
    assert "previous answer was refused" in endpoint.requests[1][1]["messages"][-1]["content"]
    assert kept(writer) == []
    meeting = read_meeting(writer.open(), "v1", problem=str(failed.value))
    assert "The model has not written minutes" in meeting.cautions[0]
    assert [note.text for note in meeting.minutes.of_kind("task")] == [SAID[4].text]
    assert "Said as tasks" in meeting.listed


def test_what_is_written_goes_with_the_words_of_a_speaker_and_with_the_video(writer, serve):
    config = config_of(serve((200, answer(*GOOD))))
    for scope in (Scope.parse(speaker="Bo"), Scope.parse(video="v1")):
        written(writer, config)
        assert len(kept(writer)) == 1
        receipt = erase(writer.store, scope)
        assert receipt["rows"]["summaries"] == 1
        assert kept(writer) == []


def test_nothing_is_kept_of_words_that_were_erased_while_the_model_wrote(writer, serve):
    def erases(_body):
        erase(writer.store, Scope.parse(speaker="Bo"))
        return answer(*GOOD)

    with pytest.raises(SummaryError, match="meanwhile"):
        written(writer, config_of(serve((200, erases))))
    assert kept(writer) == []


def test_no_model_is_asked_about_a_recording_without_words(tmp_path, serve):
    writer = pi.Writer(tmp_path / "index")
    writer.finish_videos(rows("videos", video("v1")))
    endpoint = serve((200, answer(*GOOD)))
    with pytest.raises(ConfigError, match="no words of it are known"):
        written(writer, config_of(endpoint))
    assert endpoint.requests == []


_WORDS = st.sampled_from(
    ["Ada", "Bo", "Zoe", "陈", "1,250", "99", "7", "euros", "Friday", "the gateway", "Japan",
     "costs", "by", "will", "send", "元", "价格", HOSTILE, "Gateway", "twelve"]
)  # fmt: skip
_TEXT = st.lists(_WORDS, min_size=1, max_size=6).map(" ".join)
_LINE = st.builds(
    line, st.sampled_from(NOTE_KINDS), st.lists(st.integers(-1, 10), max_size=4), _TEXT,
    owner=st.just("") | _WORDS, due=st.just("") | _TEXT,
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(_LINE | st.none() | st.text(max_size=5), max_size=12))
def test_every_line_that_stands_cites_rows_that_have_its_figures_and_names(lines):
    async def ask(_messages, _schema):
        return Completion(text=answer(*lines), finish_reason="stop")

    author = Author(ask=ask, num_tokens=len, context=10**6)
    config = SummariesConfig(max_prompt_tokens=10**6)
    try:
        found = asyncio.run(write_minutes(QUOTES, SAID_BY_ID, SHOWN_BY_ID, config, author))
    except SummaryError:
        return
    for told in make_minutes(SAID, SHOWN, told=found.lines).told:
        assert told.row_ids
        rows_said = [SAID_BY_ID[one] for one in told.row_ids if one in SAID_BY_ID]
        cited = "\n".join(
            [text for one in rows_said for text in (one.text, one.speaker)]
            + [SHOWN_BY_ID[one].written for one in told.row_ids if one in SHOWN_BY_ID]
        )
        for claim in (told.text, told.owner, told.due):
            figures = re.findall(r"\d[\d,]*", claim)
            assert set(figures) <= set(re.findall(r"\d[\d,]*", cited))
            names = re.findall(r"\b(?:Ada|Bo|Zoe|Japan|Friday)\b", claim)
            assert all(name in cited for name in names)
        assert told.owner.lower() in cited.lower()
        assert told.due.lower() in cited.lower()
    assert len(found.lines) + found.num_dropped <= len(lines)
