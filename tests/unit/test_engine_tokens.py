"""Predicted prompt tokens against counts made by hand; against real vLLM: see tests/vllm."""

from pathlib import Path

import pytest

from pipeline.config.task import Task
from pipeline.engine.vllm import VllmEngineConfig
from pipeline.engine.vllm.tokens import PromptTokens
from pipeline.timebase import NS_PER_MS

TASK = Task(name="t", labels={"fall": "someone falls"}, prompt="x" * 400)
HUB = VllmEngineConfig(kind="vllm", model="organisation/model-nobody-has")
PIXELS = 64 * 96


def of(task: Task, frame_ms, *, start_ms: int = 0, engine: VllmEngineConfig = HUB) -> int:
    frame_ns = [ms * NS_PER_MS for ms in frame_ms]
    return PromptTokens(engine, task).of(frame_ns, start_ms * NS_PER_MS, num_pixels=PIXELS)


def test_each_pair_of_frames_costs_its_pixels_its_borders_and_its_marker():
    one, two = of(TASK, [0, 1000]), of(TASK, [0, 1000, 2000, 3000])
    # 2 x 3 tokens of 32 x 32 pixels, two borders, < 2 . 5 _seconds >
    assert two - one == 6 + 2 + 6
    # At ten seconds a marker has a digit more.
    assert of(TASK, [10_000, 11_000]) - one == 1
    assert of(TASK, [10_000, 11_000], start_ms=10_000) == one


@pytest.mark.parametrize(("frames", "pairs"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_an_odd_frame_costs_as_much_as_a_pair(frames, pairs):
    single = of(TASK, [0])
    assert of(TASK, range(0, frames * 1000, 1000)) - single == (pairs - 1) * 14


def test_a_system_text_and_a_longer_question_cost_their_length():
    longer = TASK.model_copy(update={"system": "y" * 200})
    added = of(longer, [0, 1000]) - of(TASK, [0, 1000])
    assert 50 <= added <= 56


def test_the_tokenizer_in_the_models_folder_counts_exactly():
    pytest.importorskip("tokenizers")
    folder = Path(__file__).parents[2] / "pipeline" / "demo" / "checkpoint"
    engine = VllmEngineConfig(kind="vllm", model=str(folder))
    assert PromptTokens(engine, TASK).is_exact
    assert not PromptTokens(HUB, TASK).is_exact
