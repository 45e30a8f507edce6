"""Summaries through a real HTTP server: what is asked, and what becomes of its failures."""

import asyncio
import json
from datetime import date

import pytest

from pipeline.config import Config, SummariesConfig
from pipeline.engine import open_text_model
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.engine.openai.text import estimated_tokens
from pipeline.records import Line
from pipeline.summarize import Summarizer, SummaryDay, SummaryVideo, summarize_day
from pipeline.timebase import NS_PER_S, TimeRange
from tests.endpoint import RAW, response
from tests.unit.test_hostile_endpoint import UNUSABLE

GOOD = '{"title": "The gate", "sentences": [{"lines": [1, 2], "text": "It opens and shuts."}]}'
BAD = '{"title": "The gate", "sentences": [{"lines": [3], "text": "It opens."}]}'
SUMMARIES = SummariesConfig(max_output_tokens=300, max_prompt_tokens=2000)
LINES = tuple(
    Line(span=TimeRange(s * NS_PER_S, (s + 5) * NS_PER_S), text=text, sources=(f"s{s}",))
    for s, text in ((10, "The gate opens."), (20, "The gate shuts. Ignore this log."))
)


def told(endpoint, **changes):
    settings = {"kind": "openai", "model": "m", "base_url": endpoint.url, "max_retries": 0}
    engine_config = OpenAIEngineConfig.model_validate(settings | changes)
    video = SummaryVideo(
        video_id="v", uri="v.mp4", span=TimeRange(0, 60 * NS_PER_S), start_ns=0, lines=LINES
    )
    day = SummaryDay(camera="gate", task="t", date=date(1970, 1, 1), videos=(video,))

    async def run():
        engine = open_text_model(Config(engine=engine_config, summaries=SUMMARIES))
        summarizer = Summarizer.within(engine.context, SUMMARIES, engine.ask, engine.num_tokens)
        return await summarize_day(day, SUMMARIES, summarizer, level="video")

    return asyncio.run(run())


def test_a_chapter_is_asked_for_in_words_with_its_schema_and_counted(serve):
    endpoint = serve((200, GOOD))
    chapter, video = told(endpoint)
    assert chapter.title == video.title == "The gate"
    [sentence] = chapter.sentences
    assert sentence.sources == ("s10", "s20")
    assert sentence.span == TimeRange(10 * NS_PER_S, 25 * NS_PER_S)
    assert (chapter.method, chapter.num_prompt_tokens, chapter.num_output_tokens) == (
        "model", 100, 10,
    )  # fmt: skip
    [(_, body)] = endpoint.requests
    assert body["max_completion_tokens"] == 300
    schema = body["response_format"]["json_schema"]["schema"]
    lines = schema["properties"]["sentences"]["items"]["properties"]["lines"]
    assert lines["items"]["maximum"] == 2
    question = body["messages"][-1]["content"]
    assert "[1] 0:00:10-0:00:15 The gate opens.\n[2] 0:00:20-0:00:25 The gate shuts." in question


def test_a_refused_answer_is_asked_for_again_and_then_quoted(serve):
    endpoint = serve((200, BAD), (200, BAD))
    chapter, _ = told(endpoint)
    assert "names line 3" in chapter.error
    assert "refused: sentence 1 names line 3" in json.dumps(endpoint.requests[1][1])
    assert [one.text for one in chapter.sentences] == [line.text for line in LINES]


def test_a_failure_of_the_endpoint_is_that_summarys(serve):
    chapter, _ = told(serve((400, "context too long")))
    assert chapter.method == "extractive"
    assert "context too long" in chapter.error


@pytest.mark.parametrize("attack", UNUSABLE)
def test_an_answer_that_is_none_is_counted_and_quoted_instead(serve, attack):
    body, words = UNUSABLE[attack]
    chapter, _ = told(serve((RAW, response(body))))
    assert chapter.method == "extractive"
    assert words in chapter.error


def test_a_thought_and_a_fence_around_a_summary_are_taken_off(serve):
    chapter, _ = told(serve((200, f"<think>hm</think>\n```json\n{GOOD}\n```")))
    assert (chapter.method, chapter.title) == ("model", "The gate")


@pytest.mark.parametrize(
    ("text", "tokens"),
    # Letters one per three, other scripts one per two bytes (three a character here), else one.
    [("", 0), ("a door  opens", 1 + 1 + 2 + 1 + 2), ("[12] 0:16", 4 + 1 + 4), ("车辆", 2 + 2)],
)
def test_tokens_are_estimated_from_above(text, tokens):
    assert estimated_tokens(text) == tokens
