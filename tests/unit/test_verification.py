"""A model that reads the frames' own numbers: what a verification makes of its first answers."""

import asyncio
import json

import numpy as np
import pytest

from pipeline.config import Config, VerifyConfig
from pipeline.config.task import Task
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.engine.prompt import expected_markers
from pipeline.errors import UnreachableError
from pipeline.flow.task.answer import answer_window, decode_verification
from pipeline.flow.task.read_answer import read_verified_answer
from pipeline.flow.task.stages import OpenShard, decode_and_gate, probe_and_plan
from pipeline.flow.task.supervisor import Replica
from pipeline.records import Completion, Window
from pipeline.tables.shared import Provenance
from pipeline.tables.windows import window_results, windows_table
from pipeline.timebase import NS_PER_S
from tests.videos import damage, make_video, number_in, source_of

RATE = 25
TASK = Task(name="gate", labels={"enter": "", "exit": ""}, prompt="Report.", summary=False)


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """Twenty-four seconds: one window of 24 frames at one frame per second."""
    path = tmp_path_factory.mktemp("look") / "numbers.mp4"
    return make_video(path, num_frames=24 * RATE, rate=RATE, gop=50)


class Reader:
    """Sees frames with certain numbers, and says so by the markers it was shown."""

    def __init__(self, **numbers):
        self.numbers = numbers
        self.asked: list[Window] = []

    async def answer(self, window: Window) -> Completion:
        self.asked.append(window)
        frame_ns = window.frame_ns.tolist()
        markers = expected_markers(frame_ns, window.plan.span.start_ns)
        numbers = [number_in(frame) for frame in window.rgb]
        fps = 1e9 / np.diff(frame_ns).mean()
        events = []
        for name, seen in self.numbers.items():
            label, _, only = name.partition("_")
            if only and (only == "coarse") != (fps < 2):
                continue
            patches = [
                any(n in seen for n in numbers[at : at + 2]) for at in range(0, len(numbers), 2)
            ]
            edges = np.flatnonzero(np.diff([False, *patches, False])).reshape(-1, 2)
            events += [
                {"label": label, "start": second(markers[a]), "end": second(markers[b - 1])}
                for a, b in edges.tolist()
            ]
        return Completion(
            text=json.dumps({"events": events}),
            finish_reason="stop",
            markers=markers,
            confidences=(0.9,) * len(events),
            num_prompt_tokens=100,
            num_output_tokens=10,
        )


def second(marker):
    return float(marker[1:].split()[0])


def look_twice(footage, reader, *, verify=None):
    """What both looks say, as (label, start, end, verdict), and the window's row."""
    engine = OpenAIEngineConfig(
        kind="openai",
        model="reader",
        base_url="http://nowhere/v1",
        verify=verify or VerifyConfig(fps=5, reach_s=2),
    )
    config = Config.model_validate(
        {"task": TASK, "engine": engine, "sample": {"fps": 1}, "plan": {"max_window_frames": 24}}
    )
    planned = probe_and_plan(source_of(footage), config)
    ((window,),) = (list(decode_and_gate(shard, config)) for shard in planned.shards)

    async def decode_again(window, plan):
        return decode_verification(window, plan, config)

    (result,) = asyncio.run(answer_window(window, reader, config, decode_again))
    # Through the table and back, as after a restart.
    provenance = Provenance(task="gate", model="m", prompt_id="p", fingerprint="f", config="")
    (stored,) = window_results(windows_table([(planned.video, result)], provenance))
    found, _ = read_verified_answer(result, config, planned.video)
    again, _ = read_verified_answer(stored, config, planned.video)
    told = [
        [
            (one.label, one.span.start_ns / NS_PER_S, one.span.end_ns / NS_PER_S, one.verdict)
            for one in observations
        ]
        for observations in (found, again)
    ]
    assert told[0] == told[1]
    return told[0], stored


def test_a_second_look_at_what_cannot_be_read_now_leaves_the_shard_open(footage):
    config = Config.model_validate(
        {
            "task": TASK,
            "engine": {
                "kind": "openai",
                "model": "reader",
                "base_url": "http://nowhere/v1",
                "verify": {"fps": 5, "reach_s": 2},
            },
            "sample": {"fps": 1},
            "plan": {"max_window_frames": 24},
        }
    )
    planned = probe_and_plan(source_of(footage), config)
    ((window,),) = (list(decode_and_gate(shard, config)) for shard in planned.shards)

    async def decode_again(_window, _plan):
        raise UnreachableError("v.mp4: reading failed")

    replica = Replica(config, lambda _: Reader(enter=range(208, 425)), decode_again)
    [left] = asyncio.run(replica.answer_item(window))
    assert left == OpenShard(
        shard_id=planned.shards[0].shard_id,
        video_id=planned.video.video_id,
        uri=str(footage),
        error="v.mp4: reading failed",
    )


def test_borders_are_found_to_the_higher_frame_rate(footage):
    # On screen from 8.32 to 17.00 s; at one frame per second, pairs tell 8 to 17.
    reader = Reader(enter=range(208, 425))
    ((_, start_s, end_s, verdict),), row = look_twice(footage, reader)
    assert start_s == pytest.approx(8.32, abs=0.4)
    assert end_s == pytest.approx(17.0, abs=0.4)
    assert start_s != 8
    assert verdict == "moved"
    # Both answers are there, and all requests are counted.
    assert json.loads(row.text)["events"] == [{"label": "enter", "start": 8.5, "end": 16.5}]
    assert [len(look.frame_pts) for look in row.verifications] == [20, 20]
    assert (row.num_prompt_tokens, row.num_output_tokens) == (300, 30)
    assert [round(window.plan.span.start_ns / NS_PER_S) for window in reader.asked[1:]] == [6, 15]


def test_what_no_second_look_shows_is_rejected_and_the_rest_stays(footage):
    reader = Reader(enter=range(200, 425), exit_coarse=range(100, 160))
    found, row = look_twice(footage, reader)
    assert [label for label, *_ in found] == ["enter"]
    assert len(json.loads(row.text)["events"]) == 2


@pytest.mark.parametrize(("until", "num_kept"), [(425, 1), (40, 0)])
def test_what_goes_on_beyond_the_window_is_only_rejected_where_a_look_covers_it(
    footage, until, num_kept
):
    found, row = look_twice(footage, Reader(enter_coarse=range(until)))
    assert len(row.verifications) == 1
    assert [verdict for *_, verdict in found] == [None] * num_kept


def test_two_that_were_taken_for_one_are_split(footage):
    reader = Reader(enter=[*range(200, 240), *range(265, 425)])
    found, _ = look_twice(footage, reader, verify=VerifyConfig(fps=5, reach_s=3))
    (_, _, first_end, one), (_, second_start, _, other) = found
    assert (one, other) == ("split", "split")
    assert first_end == pytest.approx(240 / RATE, abs=0.4)
    assert second_start == pytest.approx(265 / RATE, abs=0.4)


def test_a_short_event_gets_one_look_at_the_whole_of_it(footage):
    reader = Reader(enter=range(250, 270))
    ((_, start_s, end_s, _),), row = look_twice(footage, reader)
    assert len(row.verifications) == 1
    # No more frames than a window may have.
    assert len(row.verifications[0].frame_pts) <= 24
    assert start_s == pytest.approx(10.0, abs=0.45)
    assert end_s == pytest.approx(10.8, abs=0.45)


def test_an_event_at_the_windows_edge_is_not_cut_there(footage):
    ((_, start_s, end_s, verdict),), row = look_twice(footage, Reader(enter=range(600)))
    assert (start_s, end_s, verdict) == (0, pytest.approx(23, abs=1), None)
    assert row.verifications == ()


def test_where_pictures_are_damaged_the_first_look_stays(footage, tmp_path):
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(footage.read_bytes())
    damage(torn, number=401)
    _, row = look_twice(torn, Reader(enter=range(208, 425)))
    # Of that GOP frames 400 and 425 were sampled. The look at 17 s would have shown it too.
    assert row.num_suspect == 2
    assert [round(look.span.start_ns / NS_PER_S) for look in row.verifications] == [6]


def test_the_cost_is_bounded(footage):
    numbers = {label: range(at, at + 30) for label, at in (("enter", 100), ("exit", 300))}
    _, row = look_twice(footage, Reader(**numbers), verify=VerifyConfig(fps=5, max_looks=1))
    assert len(row.verifications) == 1


def test_a_look_that_fails_changes_nothing(footage):
    class Failing(Reader):
        async def answer(self, window):
            completion = await super().answer(window)
            if len(self.asked) == 1:
                return completion
            return Completion(text="{", finish_reason="stop", error="is not JSON")

    ((_, start_s, end_s, verdict),), row = look_twice(footage, Failing(enter=range(208, 425)))
    assert (start_s, end_s, verdict) == (8, 17, None)
    assert {look.completion.error for look in row.verifications} == {"is not JSON"}
