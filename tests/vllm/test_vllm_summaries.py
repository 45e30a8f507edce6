"""Summaries by a real vLLM on CPU with a tiny random Qwen3-VL.

It cannot write: what is shown is that answers have the shape of the schema, cite lines that exist,
are asked for twice and then counted and quoted, and that no prompt exceeds its budget. What a
model that can write makes of it is in tests/unit/test_summarize.py, with a double of its content.
"""

import asyncio
import json
from datetime import date

import pytest

from pipeline.config import SummariesConfig
from pipeline.engine.vllm import VllmEngineConfig
from pipeline.errors import SummaryError
from pipeline.records import Line
from pipeline.summarize import Summarizer, SummaryDay, SummaryVideo, summarize_day
from pipeline.summarize.prompt import answer_schema, messages, numbered_line
from pipeline.timebase import NS_PER_S, TimeRange

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]
pytest.importorskip("vllm")

# A token per byte: what 1 token of a real model says takes 4 here.
CONFIG = SummariesConfig(max_sentences=2, max_output_tokens=1200, max_prompt_tokens=2400)
CONTEXT = 4096


def a_line(i):
    return Line(
        span=TimeRange(i * NS_PER_S, (i + 1) * NS_PER_S), text=f"caption {i}", sources=(f"s{i}",)
    )


LINES = [a_line(i) for i in range(40)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    from pipeline.engine.vllm.text import VllmTextEngine
    from tests.vllm.tiny_model import save_tiny_model

    config = VllmEngineConfig.model_validate(
        {
            "kind": "vllm",
            "model": str(save_tiny_model(tmp_path_factory.mktemp("tiny"))),
            "num_gpus": 0,
            "max_concurrency": 4,
            "args": {
                "max_model_len": CONTEXT,
                "dtype": "float32",
                "enforce_eager": True,
                "kv_cache_memory_bytes": 64 * 2**20,
            },
        }
    )
    engine = VllmTextEngine(config, max_output_tokens=CONFIG.max_output_tokens)
    with asyncio.Runner() as runner:
        yield engine, runner.run
    engine.shutdown()


def test_an_answer_has_the_shape_of_the_schema_and_cites_lines_that_exist(engine):
    engine, run = engine
    told = [numbered_line(i, line, str) for i, line in enumerate(LINES[:5], 1)]
    asked = messages(told, max_sentences=2, instructions="Write in German.")
    answer = run(engine.ask(asked, answer_schema(5, max_sentences=2)))
    text = "".join(one["content"] for one in asked)
    # A token per byte, and a few for the chat template.
    assert 0 < answer.num_prompt_tokens - engine.num_tokens(text) < 64
    assert "Write in German." in text
    if answer.finish_reason == "length":
        assert answer.num_output_tokens == CONFIG.max_output_tokens
    else:
        written = json.loads(answer.text)
        assert set(written) == {"title", "sentences"}
        assert 1 <= len(written["sentences"]) <= 2
        assert {n for one in written["sentences"] for n in one["lines"]} <= set(range(1, 6))


def test_a_log_longer_than_the_context_is_told_in_calls_that_fit(engine):
    engine, run = engine
    prompts = []

    async def ask(asked, schema):
        answer = await engine.ask(asked, schema)
        prompts.append(answer.num_prompt_tokens)
        return answer

    assert engine.context == CONTEXT
    summarizer = Summarizer.within(engine.context, CONFIG, ask, engine.num_tokens)
    video = SummaryVideo(
        video_id="v", uri="v.mp4", span=TimeRange(0, 40 * NS_PER_S), start_ns=0, lines=tuple(LINES)
    )
    day = SummaryDay(camera="cam", task="t", date=date(1970, 1, 1), videos=(video,))
    told = run(summarize_day(day, CONFIG, summarizer, level="day"))
    chapters = [summary for summary in told if summary.level == "chapter"]
    assert len(chapters) > 1
    assert [summary.level for summary in told[len(chapters) :]] == ["video", "day"]
    assert max(prompts) <= CONTEXT - CONFIG.max_output_tokens
    # Each chapter is asked once or twice, and it shows in its row.
    spent = sum(summary.num_prompt_tokens for summary in told)
    assert spent == sum(prompts)
    known = {line.sources[0] for line in LINES}
    for summary in told:
        assert {source for one in summary.sentences for source in one.sources} <= known
        assert (summary.method == "extractive") == bool(summary.error)
        if summary.method == "extractive":
            assert all(one in LINES for one in summary.sentences)


def test_what_vllm_refuses_is_an_error_of_that_summary(engine):
    engine, run = engine
    asked = messages(["x" * (CONTEXT + 1)], max_sentences=2, instructions="")
    with pytest.raises(SummaryError, match="vLLM refused the request"):
        run(engine.ask(asked, answer_schema(1, max_sentences=2)))
