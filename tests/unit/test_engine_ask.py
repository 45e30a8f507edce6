"""A broken answer is asked for once more, and no oftener."""

import asyncio

import numpy as np
import pytest

from pipeline.engine.ask import ask_twice
from pipeline.errors import WindowError
from pipeline.records import Completion, Window, WindowPlan
from pipeline.task import Task
from pipeline.timebase import NS_PER_S, TimeRange
from tests.made import a_video

TASK = Task(name="gate", labels={"enter": "comes in"}, prompt="Report.")
SPAN = TimeRange(0, NS_PER_S)
WINDOW = Window(
    plan=WindowPlan(window_id="w", span=SPAN, frame_pts=(0,)),
    shard_id="s",
    video=a_video(footage=(SPAN,)),
    frame_pts=np.array([0]),
    frame_ns=np.array([0]),
    luma=np.zeros((1, 9, 16), np.uint8),
    rgb=None,
)
GOOD = '{"events": [], "summary": "nothing"}'


class Model:
    """Gives the given answers in turn, and keeps what it was told was wrong."""

    def __init__(self, *texts: str):
        self.texts = list(texts)
        self.complaints = []

    async def __call__(self, complaint: str) -> Completion:
        self.complaints.append(complaint)
        text = self.texts.pop(0)
        return Completion(
            text=text, finish_reason="stop", num_prompt_tokens=100, num_output_tokens=10
        )


def ask(model: Model) -> Completion:
    return asyncio.run(ask_twice(model, WINDOW, TASK))


def test_a_good_answer_is_taken_at_once():
    model = Model(GOOD)
    assert ask(model).text == GOOD
    assert model.complaints == [""]


def test_a_broken_answer_is_asked_for_again_with_the_reason_and_both_are_paid():
    model = Model("I cannot", GOOD)
    completion = ask(model)
    assert (completion.text, completion.error) == (GOOD, "")
    assert (completion.num_prompt_tokens, completion.num_output_tokens) == (200, 20)
    assert model.complaints[0] == ""
    assert "not JSON" in model.complaints[1]


def test_after_two_broken_answers_the_second_is_kept_with_its_error():
    completion = ask(Model("{", '{"events": [], "summary": 3}', GOOD))
    assert completion.text == '{"events": [], "summary": 3}'
    assert "summary must be text" in completion.error


def test_a_refused_request_is_not_asked_again():
    async def refuse(complaint: str) -> Completion:
        assert complaint == ""
        raise WindowError("too long")

    with pytest.raises(WindowError, match="too long"):
        asyncio.run(ask_twice(refuse, WINDOW, TASK))
