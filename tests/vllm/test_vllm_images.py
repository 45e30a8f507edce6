"""Real vLLM on CPU with models that write no times themselves: each image goes after its own."""

import asyncio
import json
import shutil
from dataclasses import replace

import pytest

from pipeline.config import load_config
from pipeline.config.task import Task
from pipeline.doctor.examine import examine
from pipeline.engine.prompt import image_markers
from pipeline.errors import EngineStartError, WindowError
from tests.conftest import ROOT
from tests.vllm.test_vllm_engine import FRAME, PLAN, make_config, make_window

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
pytest.importorskip("vllm")

TASK = Task(
    name="gate",
    labels={"enter": "comes in", "exit": "goes out"},
    system="Markers look like <12.5 seconds>.",
    prompt="{labels}",
    max_events=1,
    summary=False,
)
IMAGES_FIRST = (
    "{%- for message in messages -%}<|im_start|>{{ message.role + '\n' }}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for part in message.content if part.type == 'image' -%}"
    "<|vision_start|><|image_pad|><|vision_end|>{%- endfor -%}"
    "{%- for part in message.content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}"
    "{%- endif -%}{{ '<|im_end|>\n' }}{%- endfor -%}<|im_start|>assistant\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tests.vllm.tiny_model import save_tiny_qwen2_5

    return save_tiny_qwen2_5(tmp_path_factory.mktemp("qwen2.5"))


def answers(folder, windows):
    from pipeline.engine.vllm.windows import VllmEngine

    config = make_config(folder, frames="images", max_output_tokens=192)
    engine = VllmEngine(config, task=TASK, frame=FRAME, plan=PLAN)

    async def all_at_once():
        return await asyncio.gather(*map(engine.answer, windows), return_exceptions=True)

    try:
        return asyncio.run(all_at_once())
    finally:
        engine.shutdown()


def test_a_model_without_time_markers_gets_each_frame_after_its_own_time(folder):
    window = make_window([20_000, 20_040, 21_010, 23_333], start_ms=20_000)
    empty = replace(
        window, frame_pts=window.frame_pts[:0], frame_ns=window.frame_ns[:0],
        luma=window.luma[:0], rgb=window.rgb[:0],
    )  # fmt: skip
    too_many = make_window(range(0, 20_000, 1000), seed=1)
    answer, refused, refused_too, single = answers(
        folder, [window, empty, too_many, make_window([70])]
    )
    assert answer.markers == ("<0.0 seconds>", "<0.0 seconds>", "<1.0 seconds>", "<3.3 seconds>")
    assert len(answer.confidences) == len(json.loads(answer.text)["events"])
    assert isinstance(refused, WindowError)
    assert isinstance(refused_too, WindowError)
    assert "At most 16 image(s)" in str(refused_too)
    assert single.markers == image_markers([70_000_000], 0)


def test_a_chat_template_that_moves_the_images_is_found_out(folder, tmp_path):
    # Elsewhere, since vLLM keeps the processors of folders that it has seen.
    other = shutil.copytree(folder, tmp_path / "images-first")
    (other / "chat_template.jinja").write_text(IMAGES_FIRST)
    (refused,) = answers(other, [make_window([0, 500, 1000])])
    assert isinstance(refused, WindowError)
    assert "its chat template or its processor moves texts or pictures" in str(refused)


def test_as_a_video_such_a_model_is_refused_before_anything_is_asked(folder):
    from pipeline.engine.vllm.windows import VllmEngine

    with pytest.raises(EngineStartError, match=r"set engine\.frames: images"):
        VllmEngine(make_config(folder), task=TASK, frame=FRAME, plan=PLAN)


def test_a_model_that_sees_tells_the_time_by_its_images():
    config = load_config(ROOT / "configs" / "demo.yaml", ("engine.frames=images",))
    found = {check.name: check for check in examine(config)}
    assert found["markers"].verdict == "ok"
    assert found["time"].verdict == "ok", found["time"].detail
