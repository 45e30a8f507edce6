"""A broken answer is asked for once more, and no oftener."""

import asyncio
from itertools import pairwise

import numpy as np
import pytest

from pipeline.config import Config
from pipeline.config.task import Task
from pipeline.engine.ask import ask_twice, halves
from pipeline.errors import WindowError
from pipeline.flow.task.answer import answer_window
from pipeline.records import Completion, Window, WindowPlan
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


def a_window(num_frames: int, *, start_ns: int = 0) -> Window:
    ns = start_ns + np.arange(num_frames) * NS_PER_S
    span = TimeRange(start_ns, start_ns + num_frames * NS_PER_S + 1)
    return Window(
        plan=WindowPlan(window_id="w", span=span, frame_pts=tuple((ns // 10**6).tolist())),
        shard_id="s",
        video=a_video(footage=(span,)),
        frame_pts=ns // 10**6,
        frame_ns=ns,
        luma=np.zeros((num_frames, 9, 16), np.uint8),
        rgb=np.zeros((num_frames, 32, 32, 3), np.uint8),
        suspect_pts=frozenset((ns // 10**6)[-3:].tolist()),
        decode_cpu_s=1.5,
    )


def test_halves_tile_the_window_and_keep_pairs_of_frames_together():
    for num_frames in range(8, 40):
        whole = a_window(num_frames, start_ns=7)
        first, second = halves(whole)
        assert first.plan.span.start_ns == whole.plan.span.start_ns
        assert first.plan.span.end_ns == second.plan.span.start_ns == second.frame_ns[0]
        assert second.plan.span.end_ns == whole.plan.span.end_ns
        assert len(first.frame_pts) % 2 == 0
        assert min(len(first.frame_pts), len(second.frame_pts)) >= 4
        assert first.plan.frame_pts + second.plan.frame_pts == whole.plan.frame_pts
        assert len(first.rgb) + len(second.rgb) == num_frames
        assert (first.num_suspect, second.num_suspect) == (0, 3)
        assert len({"w", first.plan.window_id, second.plan.window_id}) == 3
    assert halves(a_window(7)) is None


class Chatterbox:
    """An engine whose answer to more than ``enough`` frames never ends."""

    def __init__(self, enough: int):
        self.enough = enough
        self.asked = []

    async def answer(self, window: Window) -> Completion:
        num_frames = len(window.frame_pts)
        self.asked.append(num_frames)

        async def once(_complaint: str) -> Completion:
            is_short = num_frames <= self.enough
            return Completion(
                text=GOOD if is_short else '{"events": [{"la',
                finish_reason="stop" if is_short else "length",
                num_prompt_tokens=num_frames,
                num_output_tokens=1,
            )

        return await ask_twice(once, window, TASK)


def answer_all(engine: Chatterbox, window: Window):
    return asyncio.run(answer_window(window, engine, Config(task=TASK)))


def test_a_window_whose_answer_is_cut_off_is_parted_until_it_fits():
    engine = Chatterbox(enough=8)
    whole = a_window(32)
    results = answer_all(engine, whole)
    assert sorted(engine.asked) == [8, 8, 8, 8, 16, 16, 32]
    assert [result.status for result in results] == ["analysed"] * 4
    spans = [result.span for result in results]
    assert (spans[0].start_ns, spans[-1].end_ns) == (0, whole.plan.span.end_ns)
    assert all(one.end_ns == then.start_ns for one, then in pairwise(spans))
    assert sum(result.num_prompt_tokens for result in results) == 3 * 32
    assert sum(result.num_output_tokens for result in results) == 7
    assert sum(result.decode_cpu_s for result in results) == 1.5


def test_parting_ends_where_little_is_left_and_what_was_said_is_kept():
    engine = Chatterbox(enough=0)
    results = answer_all(engine, a_window(32))
    # The smallest are asked twice, within one call.
    assert sorted(engine.asked) == [4] * 8 + [8] * 4 + [16] * 2 + [32]
    assert [result.status for result in results] == ["failed"] * 8
    assert {result.text for result in results} == {'{"events": [{"la'}
    assert "cut off" in results[0].error


def test_a_refused_request_is_not_asked_again():
    async def refuse(complaint: str) -> Completion:
        assert complaint == ""
        raise WindowError("too long")

    with pytest.raises(WindowError, match="too long"):
        asyncio.run(ask_twice(refuse, WINDOW, TASK))
