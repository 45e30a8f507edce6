"""Minutes of a meeting that is too long for one call of the model."""

import asyncio
import re

import pytest

from pipeline.config import SummariesConfig
from pipeline.errors import SummaryError
from pipeline.minutes import Author, quotable, write_minutes
from pipeline.records import NOTE_KINDS, Completion
from tests.unit.test_minutes import says
from tests.unit.test_minutes_by_a_model import answer, line

NUMBERED = re.compile(r"^\[(\d+)\] \[.*?\] (.*)$", re.MULTILINE)
CONFIG = SummariesConfig(max_prompt_tokens=1200, max_output_tokens=300, max_sentences=4)


class Quotes:
    """Says one line for each five that it reads, and counts the words of what it is asked."""

    def __init__(self):
        self.read = []
        self.num_tokens = []

    async def ask(self, messages, _schema):
        question = messages[-1]["content"]
        found = NUMBERED.findall(question)
        self.read.append([text for _, text in found])
        self.num_tokens.append(sum(len(one["content"].split()) for one in messages))
        lines = [line("said", [int(n) for n, _ in found[at : at + 5]], found[at][1])
                 for at in range(0, len(found), 5)]  # fmt: skip
        is_merge = "summarise parts" in question
        room = int(re.search(r"at most (\d+) lines", question)[1])
        lines = lines[:room] if is_merge else [*lines, line("agenda", [1], found[0][1])]
        return Completion(text=answer(*lines), finish_reason="stop", num_output_tokens=1)


LONG = [says(at, at + 1, f"point {at} {'more words about it ' * 5}".strip()) for at in range(200)]


def long_minutes(model, **limits):
    author = Author(ask=model.ask, num_tokens=lambda t: len(t.split()), context=2000, **limits)
    known = {one.utterance_id: one for one in LONG}
    return asyncio.run(write_minutes(quotable(LONG, []), known, {}, CONFIG, author))


def test_a_long_meeting_is_written_in_parts_and_what_is_said_is_shortened_again():
    model = Quotes()
    found = long_minutes(model)
    assert max(model.num_tokens) <= CONFIG.max_prompt_tokens
    assert [text for part in model.read for text in part][: len(LONG)] == [o.text for o in LONG]
    of_kind = {kind: [o for o in found.lines if o.kind == kind] for kind in NOTE_KINDS}
    assert 1 <= len(of_kind["said"]) <= CONFIG.max_sentences
    assert len(of_kind["agenda"]) > 3
    assert found.num_output_tokens == len(model.read)
    assert [one.media for one in of_kind["agenda"]] == sorted(o.media for o in of_kind["agenda"])


def test_a_budget_of_tokens_ends_the_writing():
    model = Quotes()
    with pytest.raises(SummaryError, match="max_tokens=2 is spent"):
        long_minutes(model, max_tokens=2)
    assert len(model.read) == 2
