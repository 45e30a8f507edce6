"""A replica outlives its engine: what dies with it is asked again, what kills it fails alone."""

import asyncio
import time

import numpy as np
import pytest

from pipeline.config import Config
from pipeline.errors import EngineDiedError, SummaryError, WindowError
from pipeline.flow.task.supervisor import EngineSupervisor, Replica
from pipeline.records import Completion, Window, WindowPlan
from pipeline.timebase import NS_PER_S, TimeRange
from tests.made import a_video

ANSWER_S = 0.02
ANSWER = '{"events":[],"summary":"nothing moves"}'


def window(name: str) -> Window:
    return Window(
        plan=WindowPlan(window_id=name, span=TimeRange(0, NS_PER_S), frame_pts=(0,)),
        shard_id="s",
        video=a_video(),
        frame_pts=np.zeros(1, np.int64),
        frame_ns=np.zeros(1, np.int64),
        luma=np.zeros((1, 4, 4), np.uint8),
        rgb=None,
    )


class Mortal:
    """An engine that dies, with everything in it, of the windows named ``poison``."""

    opened = 0

    def __init__(self, _config: Config) -> None:
        type(self).opened += 1
        self.died = asyncio.Event()
        self.is_shut = False

    async def answer(self, item: Window) -> Completion:
        if item.plan.window_id == "poison":
            await asyncio.sleep(0.01)
            self.died.set()
        elif item.plan.window_id == "refused":
            raise WindowError("too long")
        try:
            await asyncio.wait_for(self.died.wait(), ANSWER_S)
        except TimeoutError:
            return Completion(text=ANSWER, finish_reason="stop", num_output_tokens=1)
        raise EngineDiedError("gone")

    def shutdown(self) -> None:
        self.is_shut = True


@pytest.fixture
def answer():
    Mortal.opened = 0

    def run(*names: str):
        async def all_at_once():
            replica = Replica(Config(), Mortal)
            return await asyncio.gather(*(replica.answer_item(window(name)) for name in names))

        return {result.window_id: result for (result,) in asyncio.run(all_at_once())}

    return run


def test_only_the_window_that_kills_engines_fails(answer):
    results = answer("a", "poison", "b", "c")
    assert {name: result.status for name, result in results.items()} == {
        "a": "analysed",
        "b": "analysed",
        "c": "analysed",
        "poison": "failed",
    }
    assert "twice" in results["poison"].error
    assert Mortal.opened == 3


def test_a_refused_window_is_a_failed_row_with_the_reason_and_costs_no_engine(answer):
    results = answer("refused", "a")
    assert (results["refused"].status, results["refused"].error) == ("failed", "too long")
    assert results["a"].status == "analysed"
    assert Mortal.opened == 1


def test_the_windows_shares_add_up_to_the_time_the_engine_was_busy(answer):
    began_s = time.monotonic()
    results = answer("a", "b", "c", "d")
    took_s = time.monotonic() - began_s
    shares_s = [result.engine_s for result in results.values()]
    assert ANSWER_S <= sum(shares_s) <= took_s
    # All were in it from the beginning, so none is charged for more than it was there longer.
    assert max(shares_s) - min(shares_s) <= took_s - ANSWER_S


def test_any_request_outlives_the_engine_it_was_in():
    Mortal.opened = 0

    async def ask():
        engines = EngineSupervisor(Config(), Mortal)
        first = engines.engine
        first.died.set()
        return await engines.ask(lambda engine: engine.answer(window("a")), SummaryError)

    assert asyncio.run(ask()).text == ANSWER
    assert Mortal.opened == 2


def test_a_request_that_kills_engines_is_told_in_its_own_kind_of_error():
    async def ask():
        engines = EngineSupervisor(Config(), Mortal)
        await engines.ask(lambda engine: engine.answer(window("poison")), SummaryError)

    with pytest.raises(SummaryError, match="this request killed the engine twice"):
        asyncio.run(ask())
