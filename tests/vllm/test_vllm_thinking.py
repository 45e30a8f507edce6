"""A Thinking checkpoint in real vLLM: a thought has a budget, and the answer after it a schema."""

import asyncio
import json

import pytest

from pipeline.config import FrameConfig, PlanConfig
from pipeline.config.task import Task
from pipeline.engine.vllm.tokens import PromptTokens
from tests.vllm.test_vllm_engine import HEIGHT, WIDTH, make_config, make_window

pytestmark = pytest.mark.vllm
pytest.importorskip("vllm")

TASK = Task(
    name="gate",
    labels={"enter": "comes in", "exit": "goes out"},
    prompt="Report. {labels}",
    max_events=1,
    summary=False,
)
THOUGHT = 12


@pytest.fixture(scope="module")
def thinker(tmp_path_factory):
    """A random model that is told to think first, and never stops thinking by itself."""
    from tests.vllm.tiny_model import save_tiny_model

    folder = save_tiny_model(tmp_path_factory.mktemp("thinker"))
    template = folder / "chat_template.jinja"
    asks, begins = "<|im_start|>assistant\n", "<|im_start|>assistant\n<think>\n"
    text = template.read_text()
    assert asks in text
    template.write_text(text.replace(asks, begins))
    return make_config(folder, thinking=True, max_thinking_tokens=THOUGHT, max_output_tokens=96)


def test_a_thought_that_will_not_end_is_ended_and_the_answer_after_it_is_json(thinker):
    from pipeline.engine.vllm.windows import VllmEngine

    frame = FrameConfig(rgb_max_pixels=HEIGHT * WIDTH)
    engine = VllmEngine(thinker, task=TASK, frame=frame, plan=PlanConfig(max_window_frames=16))
    windows = [make_window([0, 500, 1000], seed=seed) for seed in range(4)]

    async def all_at_once():
        # Without the second question that an answer of a random model may need.
        return await asyncio.gather(
            *(engine._ask_video(window, window.rgb, "") for window in windows)
        )

    try:
        completions = asyncio.run(all_at_once())
    finally:
        engine.shutdown()
    predicted = PromptTokens(thinker, TASK)
    for window, completion in zip(windows, completions, strict=True):
        assert "</think>" not in completion.text
        assert set(json.loads(completion.text)) == {"events"}
        assert completion.finish_reason == "stop"
        # The thought, the token that ends it, and the answer.
        assert THOUGHT < completion.num_output_tokens <= THOUGHT + 1 + 96
        frame_ns = window.frame_ns.tolist()
        assert completion.num_prompt_tokens == predicted.of(frame_ns, 0, num_pixels=HEIGHT * WIDTH)


def test_a_summary_has_its_whole_room_after_the_thought(thinker):
    from pipeline.engine.vllm.text import VllmTextEngine

    wanted = {"a": "x"}
    schema = {
        "type": "object",
        "properties": {"a": {"const": "x"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    # The answer has nine bytes, and as many tokens.
    engine = VllmTextEngine(thinker, max_output_tokens=10)
    try:
        answer = asyncio.run(engine.ask([{"role": "user", "content": "?"}], json.dumps(schema)))
    finally:
        engine.shutdown()
    assert engine.context == 2048 - THOUGHT
    assert json.loads(answer.text) == wanted
    assert answer.num_output_tokens > THOUGHT
