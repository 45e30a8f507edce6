"""A replica outlives its engine: what dies with it is asked again, what kills it fails alone."""

import asyncio

import numpy as np
import pytest

from pipeline.config import Config
from pipeline.errors import EngineDiedError, WindowError
from pipeline.flow.replica import Replica
from pipeline.records import Completion, Window, WindowPlan
from pipeline.timebase import NS_PER_S, TimeRange
from tests.made import a_video

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
            await asyncio.wait_for(self.died.wait(), 0.02)
        except TimeoutError:
            return Completion(text=ANSWER, finish_reason="stop", num_output_tokens=1)
        raise EngineDiedError("gone")

    def shutdown(self) -> None:
        self.is_shut = True


@pytest.fixture
def settle():
    Mortal.opened = 0

    def run(*names: str):
        async def all_at_once():
            replica = Replica(Config(), Mortal)
            return await asyncio.gather(*(replica.settle(window(name)) for name in names))

        return {result.window_id: result for (result,) in asyncio.run(all_at_once())}

    return run


def test_only_the_window_that_kills_engines_fails(settle):
    results = settle("a", "poison", "b", "c")
    assert {name: result.status for name, result in results.items()} == {
        "a": "analysed",
        "b": "analysed",
        "c": "analysed",
        "poison": "failed",
    }
    assert "twice" in results["poison"].error
    assert Mortal.opened == 3


def test_a_refused_window_is_a_failed_row_with_the_reason_and_costs_no_engine(settle):
    results = settle("refused", "a")
    assert (results["refused"].status, results["refused"].error) == ("failed", "too long")
    assert results["a"].status == "analysed"
    assert Mortal.opened == 1


def test_the_windows_shares_add_up_to_the_time_the_engine_was_busy(settle):
    results = settle("a", "b", "c", "d")
    shares_s = [result.engine_s for result in results.values()]
    assert sum(shares_s) == pytest.approx(0.02, abs=0.015)
    assert max(shares_s) - min(shares_s) < 0.01
