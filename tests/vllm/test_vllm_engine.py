"""Real vLLM on CPU with a tiny random Qwen3-VL: its answers mean nothing, all else is real."""

import asyncio
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import FrameConfig, PlanConfig
from pipeline.config.task import Task
from pipeline.config.task_field import TaskField
from pipeline.engine.prompt import expected_markers, found_markers, messages, video_metadata
from pipeline.engine.vllm import VllmEngineConfig
from pipeline.errors import EngineStartError, WindowError
from pipeline.records import Sighting, Window, WindowPlan
from pipeline.timebase import NS_PER_MS, TimeRange
from tests.made import a_video

pytestmark = pytest.mark.vllm
pytest.importorskip("vllm")

HEIGHT, WIDTH = 64, 96
TASK = Task(
    name="gate",
    labels={"enter": "comes in", "exit": "goes out"},
    system="Report only what is visible.",
    prompt="Markers look like <12.5 seconds>.\n{labels}",
    fields={"text": TaskField(max_chars=20)},
    max_events=2,
)
FRAME = FrameConfig(rgb_max_pixels=HEIGHT * WIDTH)
PLAN = PlanConfig(max_window_frames=16)
VIDEO = a_video(width=WIDTH, height=HEIGHT)


def make_config(folder, **changes) -> VllmEngineConfig:
    settings = {
        "kind": "vllm",
        "model": str(folder),
        "num_gpus": 0,
        "max_output_tokens": 64,
        "max_concurrency": 4,
        "args": {
            "max_model_len": 2048,
            "dtype": "float32",
            "enforce_eager": True,
            "kv_cache_memory_bytes": 64 * 2**20,
        },
    }
    return VllmEngineConfig.model_validate(settings | changes)


def make_window(frame_ms, *, start_ms=0, seed=0) -> Window:
    pts = np.array(frame_ms, dtype=np.int64)
    rng = np.random.default_rng(seed)
    return Window(
        plan=WindowPlan(
            window_id=f"w{start_ms}-{len(pts)}-{seed}",
            span=TimeRange(start_ms * NS_PER_MS, (int(pts[-1]) + 500) * NS_PER_MS),
            frame_pts=tuple(int(tick) for tick in pts),
        ),
        shard_id="s",
        video=VIDEO,
        frame_pts=pts,
        frame_ns=pts * NS_PER_MS,
        luma=np.zeros((len(pts), 9, 16), np.uint8),
        rgb=rng.integers(0, 255, (len(pts), HEIGHT, WIDTH, 3), dtype=np.uint8),
    )


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    from tests.vllm.tiny_model import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def engine(model_folder):
    from pipeline.engine.vllm.windows import VllmEngine

    engine = VllmEngine(make_config(model_folder), task=TASK, frame=FRAME, plan=PLAN)
    yield engine
    engine.shutdown()


@pytest.fixture(scope="module")
def ask(engine):
    """Answer windows, all at once, on one engine and one event loop."""
    with asyncio.Runner() as runner:

        async def all_at_once(windows):
            return await asyncio.gather(*map(engine.answer, windows), return_exceptions=True)

        yield lambda *windows: runner.run(all_at_once(windows))


def test_torchs_companions_import_or_are_absent_in_a_fresh_process():
    import subprocess
    import sys

    code = """
import importlib, torch
importlib.import_module("torchvision.transforms.v2")
for name in ("torchaudio", "torchcodec"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        pass
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_processor_itself_writes_the_expected_markers(model_folder):
    from transformers import AutoProcessor
    from transformers.video_utils import VideoMetadata

    processor = AutoProcessor.from_pretrained(model_folder)
    text = processor.apply_chat_template(messages(TASK), add_generation_prompt=True)
    rng = np.random.default_rng(0)
    for num_frames in (2, 3, 4, 7, 16):
        ms = np.cumsum(rng.integers(1, 900, num_frames)).tolist()
        metadata = video_metadata(ms)
        del metadata["do_sample_frames"]
        inputs = processor(
            text=[text],
            videos=[np.zeros((num_frames, HEIGHT, WIDTH, 3), np.uint8)],
            video_metadata=[VideoMetadata(**metadata)],
            videos_kwargs={"do_sample_frames": False, "cap_pixels_per_frame": False},
        )
        prompt = processor.tokenizer.decode(inputs["input_ids"][0])
        shown = found_markers(prompt)
        assert shown == expected_markers([t * NS_PER_MS for t in ms], 0)
        assert len(shown) == math.ceil(num_frames / 2)


def test_markers_are_the_times_of_the_frames_sent_and_the_answer_is_json(ask):
    variable = make_window([20_000, 20_040, 21_010, 21_020, 23_333], start_ms=20_000)
    (completion,) = ask(variable)
    assert completion.markers == ("<0.0 seconds>", "<1.0 seconds>", "<3.3 seconds>")
    assert completion.finish_reason == "stop"
    assert completion.error == ""
    answer = json.loads(completion.text)
    assert set(answer) == {"events", "summary"}
    assert completion.num_output_tokens > 0
    assert len(completion.confidences) == len(answer["events"])
    assert all(0 < confidence <= 1 for confidence in completion.confidences)
    # A token per byte of the text, markers included, and a vision token per 32 x 32 pixels.
    assert completion.num_prompt_tokens > 3 * 6


@pytest.mark.parametrize("frame_ms", [[70], [0, 250], [0, 1, 2], list(range(0, 4000, 250))])
def test_any_number_of_frames_up_to_the_planned(ask, frame_ms):
    (completion,) = ask(make_window(frame_ms))
    assert completion.markers == expected_markers([t * NS_PER_MS for t in frame_ms], 0)


def test_a_model_that_is_told_what_a_detector_saw_is_shown_the_same_frames_and_reads_more(ask):
    window = make_window([0, 500, 1000])
    seen = (Sighting(at_ns=0, label="person", box=(0.0, 0.0, 48.0, 64.0)),)
    alone, told = ask(window, replace(window, sightings=seen))
    assert told.markers == alone.markers
    assert told.told.endswith("0.0 s: person [0, 0, 500, 1000]")
    # A token per byte.
    assert told.num_prompt_tokens - alone.num_prompt_tokens == len(f"{told.told}\n\n")


def test_one_bad_window_does_not_hold_up_the_others(ask):
    good = make_window([0, 500, 1000])
    too_long = make_window(range(0, 40_000, 100))
    later = make_window([600_000, 600_700], start_ms=600_000, seed=1)
    first, refused, second = ask(good, too_long, later)
    assert isinstance(refused, WindowError)
    assert "longer than the maximum model length" in str(refused)
    assert first.markers == ("<0.2 seconds>", "<1.0 seconds>")
    assert second.markers == ("<0.3 seconds>",)


def test_vllm_is_handed_the_next_windows_while_its_places_are_taken(engine, ask, monkeypatch):
    num_windows = 3 * engine._config.max_concurrency
    all_are_there = asyncio.Barrier(num_windows)

    async def answered_when_all_are_there(*_request):
        async with asyncio.timeout(20):
            await all_are_there.wait()
        raise WindowError("seen")

    monkeypatch.setattr(engine._vllm, "ask", answered_when_all_are_there)
    refused = ask(*(make_window([0, 500], seed=seed) for seed in range(num_windows)))
    assert [str(one) for one in refused] == ["seen"] * num_windows


def test_equal_pictures_at_other_times_get_their_own_markers(ask):
    early, late = make_window([0, 400]), make_window([0, 900])
    assert np.array_equal(early.rgb, late.rgb)
    first, second = ask(early, late)
    assert (first.markers, second.markers) == (("<0.2 seconds>",), ("<0.5 seconds>",))


def test_a_window_without_a_decoded_frame_is_refused(ask):
    window = make_window([0, 500])
    empty = replace(
        window,
        frame_pts=window.frame_pts[:0],
        frame_ns=window.frame_ns[:0],
        luma=window.luma[:0],
        rgb=window.rgb[:0],
    )
    (refused,) = ask(empty)
    assert isinstance(refused, WindowError)


def test_a_missing_or_empty_model_folder_is_told_before_anything_starts(tmp_path):
    from pipeline.engine.vllm.windows import VllmEngine

    for folder, reason in [(tmp_path / "absent", "no such folder"), (tmp_path, "cannot start")]:
        with pytest.raises(EngineStartError, match=reason):
            VllmEngine(make_config(folder), task=TASK, frame=FRAME, plan=PLAN)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_gpus": 1},
        {"num_gpus": 0.5},
        {"num_gpus": 2, "args": {"max_model_len": 4096, "mm_encoder_tp_mode": "data"}},
        {"thinking": True},
        {"args": {"max_model_len": 4096, "gpu_memory_utilization": 0.8, "dtype": "bfloat16"}},
    ],
)
def test_vllm_builds_its_whole_configuration_from_our_arguments(model_folder, changes):
    from vllm.engine.arg_utils import AsyncEngineArgs

    from pipeline.engine.vllm.windows import engine_args

    config = make_config(model_folder, **changes)
    built = AsyncEngineArgs(**engine_args(config, FRAME, PLAN)).create_engine_config()
    structured = built.structured_outputs_config
    assert built.parallel_config.tensor_parallel_size == max(1, math.ceil(config.num_gpus))
    assert structured.reasoning_parser == ("qwen3" if config.thinking else "")
    assert (structured.backend, structured.disable_any_whitespace) == ("xgrammar", True)
    assert built.model_config.max_model_len == config.args["max_model_len"]
    assert built.cache_config.enable_prefix_caching
    assert built.scheduler_config.max_num_seqs == config.max_concurrency


def test_one_step_takes_the_pictures_of_a_whole_window(model_folder):
    from pipeline.engine.vllm.windows import engine_args

    plan = PlanConfig(max_window_frames=63)
    args = engine_args(make_config(model_folder), FrameConfig(rgb_max_pixels=1024 * 576), plan)
    assert args["max_num_batched_tokens"] == 32 * 576
    assert args["mm_processor_kwargs"]["size"]["longest_edge"] == 64 * 1024 * 576


def test_vllm_profiles_its_memory_with_a_whole_window(model_folder):
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.multimodal import MULTIMODAL_REGISTRY

    from pipeline.engine.vllm.windows import engine_args

    args = engine_args(make_config(model_folder), FRAME, PLAN)
    model_config = AsyncEngineArgs(**args).create_model_config()
    processor = MULTIMODAL_REGISTRY.create_processor(model_config)
    counts = {"video": 1}
    ((frames, _),) = processor.dummy_inputs.get_dummy_mm_data(2048, counts, {})["video"]
    assert frames.shape[0] * frames.shape[1] * frames.shape[2] == 16 * HEIGHT * WIDTH
