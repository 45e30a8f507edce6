"""The estimate of a run, and its budget."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.config import BudgetConfig, load_config
from pipeline.engine.vllm.tokens import PromptTokens
from pipeline.flow.driver.estimate import Estimate, plan_once
from pipeline.flow.driver.spent import Spent
from pipeline.flow.task.stages import Planned, decode_and_gate, probe_and_plan
from pipeline.records import Source, WindowResult
from pipeline.timebase import NS_PER_S, TimeRange
from tests.sounds import beeps, make_sound
from tests.videos import make_video, source_of

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """40 s at 2 frames a second, 320 x 192: 60 tokens per pair of frames."""
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    return make_video(path, num_frames=80, rate=2, width=320, height=192)


def estimate(video: Path, *overrides: str) -> Estimate:
    config = load_config(CONFIGS / "surveillance.yaml", overrides)
    figures = Estimate(config)
    planned = probe_and_plan(source_of(video), config)
    assert isinstance(planned, Planned)
    figures.add(planned)
    return figures


def test_windows_frames_and_vision_tokens_follow_from_the_plan(video):
    figures = estimate(video)
    assert (figures.num_videos, figures.num_frames, figures.num_windows) == (1, 80, 3)
    assert figures.footage_ns == 40 * NS_PER_S
    text = estimate(video, "plan.max_window_frames=80").prompt_tokens
    # Two windows more: two questions more, and not a picture more.
    question = (figures.prompt_tokens - text) / 2
    assert 500 < question < 1500
    assert figures.prompt_tokens > 40 * 60 + 3 * question


@pytest.mark.parametrize(("rotation", "size"), [(0, (288, 384)), (90, (352, 256))])
def test_tokens_are_counted_for_the_shown_size_if_pixels_are_not_square(tmp_path, rotation, size):
    path = make_video(
        tmp_path / "v.mp4", num_frames=8, rate=2, width=352, height=288, sar=Fraction(12, 11),
        rotation=rotation,
    )  # fmt: skip
    config = load_config(CONFIGS / "surveillance.yaml", ("gate.kind=none",))
    planned = probe_and_plan(source_of(path), config)
    counted = Estimate(config)
    counted.add(planned)
    ((window,),) = (decode_and_gate(shard, config) for shard in planned.shards)
    assert window.rgb.shape[1:3] == size
    assert counted.prompt_tokens == PromptTokens(config.engine, config.task).of(
        window.frame_ns.tolist(), window.plan.span.start_ns, num_pixels=size[0] * size[1]
    )


def test_gpu_hours_and_money_follow_from_the_rates_with_their_error(video):
    rates = [
        "engine.rates.prompt_tokens_per_gpu_s=100",
        "engine.rates.output_tokens_per_gpu_s=10",
        "engine.rates.output_tokens_per_window=30",
        "engine.rates.usd_per_gpu_hour=4",
        "engine.rates.error_factor=3",
    ]
    figures = estimate(video, *rates)
    hours = (figures.prompt_tokens / 100 + 3 * 30 / 10) / 3600
    assert figures.gpu_hours.expected == pytest.approx(hours)
    assert figures.gpu_hours.low == pytest.approx(hours / 3)
    assert figures.gpu_hours.high == pytest.approx(hours * 3)
    assert figures.usd.expected == pytest.approx(4 * hours)
    assert figures.max_output_tokens == 3 * 2048


def test_copies_and_overlaps_are_planned_once(tmp_path):
    config = load_config(CONFIGS / "surveillance.yaml", ("plan.max_window_frames=4",))

    def clip(name: str, num_frames: int, start_s: int) -> Source:
        path = make_video(tmp_path / name, num_frames=num_frames, rate=2, gop=2)
        return replace(source_of(path, camera="gate"), start_ns=start_s * NS_PER_S, clock="path")

    first, copy, other = clip("a.mp4", 40, 0), clip("copy.mp4", 40, 0), clip("b.mp4", 60, 15)
    figures = Estimate(config)
    for planned in plan_once([first, copy, other], config):
        figures.add(planned)
    assert figures.num_videos == 2
    # 20 s, and of the next 30 s those from the fifth on.
    assert figures.footage_ns == 45 * NS_PER_S
    assert figures.num_frames == 90
    yielded = {"media_start": 0.0, "media_end": 5.0, "to_uri": first.uri}
    assert figures.to_json()["overlaps"] == [{"uri": other.uri, **yielded}]
    assert dict(figures.lines())["overlaps"] == "1 files yield 5.0 s to other files; see --json"


def test_a_plan_gives_an_overlap_to_the_file_with_more_pixels_as_a_run_does(tmp_path):
    def clip(name: str, width: int) -> Source:
        path = make_video(tmp_path / name, num_frames=40, rate=2, gop=2, width=width)
        return replace(source_of(path, camera="gate"), start_ns=0, clock="path")

    planned = plan_once([clip("a.mp4", 160), clip("b.mp4", 320)], load_config())
    small, large = (item.video for item in planned)
    assert (small.owned, large.owned) == ((), large.footage)


def test_without_a_model_there_are_no_tokens_and_without_rates_no_money(video):
    config = load_config()
    signals = Estimate(config)
    signals.add(probe_and_plan(source_of(video), config))
    assert (signals.prompt_tokens, signals.gpu_hours, signals.usd) == (0, None, None)
    unknown = estimate(video, "engine.model=organisation/model")
    assert unknown.prompt_tokens > 0
    assert (unknown.gpu_hours, unknown.usd) == (None, None)


def test_a_budget_of_tokens_is_spent_when_prompts_and_answers_reach_it():
    spent = Spent()
    budget = BudgetConfig(max_tokens=110)
    result = WindowResult(
        window_id="w", shard_id="s", video_id="v", span=TimeRange(0, 1), status="analysed",
        frame_pts=(), num_prompt_tokens=100, num_output_tokens=9,
    )  # fmt: skip
    spent.book(result)
    assert spent.exceeded(budget) == ""
    spent.book(replace(result, num_prompt_tokens=1, num_output_tokens=0))
    assert "budget.max_tokens=110 is spent (110 tokens)" in spent.exceeded(budget)
    assert spent.exceeded(BudgetConfig()) == ""


def test_reserved_gpus_count_whether_they_work_or_not():
    spent = Spent()
    budget = BudgetConfig(max_gpu_hours=2.0)
    assert (spent.gpu_hours, spent.exceeded(budget)) == (0.0, "")
    spent.reserve_gpus(8)
    spent.reserved_since_s -= 900
    assert spent.gpu_hours == pytest.approx(2.0, abs=0.01)
    assert "budget.max_gpu_hours=2.0 is spent" in spent.exceeded(budget)


def test_released_gpus_stop_counting():
    spent = Spent()
    for num_gpus in (8, 0, 2, 0):
        spent.reserve_gpus(num_gpus)
        spent.reserved_since_s -= 900
    spent.reserve_gpus(0)
    assert spent.gpu_hours == pytest.approx(2.5, abs=0.01)


def test_a_plan_says_how_much_sound_is_listened_to(cli, tmp_path):
    wave = beeps([1.0], 9.0)
    make_sound(tmp_path / "call.m4a", [(wave, 0.0)], codec="aac")
    make_video(tmp_path / "silent.mp4")
    listening = ("--set", "speech={kind: whisper, weights: none}", "--json")
    planned = cli.json("plan", tmp_path, *listening)
    assert (planned["videos"], planned["failures"]) == (1, [])
    assert planned["sound_hours"] == pytest.approx(9 / 3600, rel=0.01)
    assert planned["listening_core_hours"] == pytest.approx(0.2 * 9 / 3600, rel=0.01)
    captions = cli.run("plan", tmp_path, "--set", "speech={kind: captions}")
    assert "captions of 0.00" in captions
    assert cli.json("plan", tmp_path, "--json")["sound_hours"] == 0
