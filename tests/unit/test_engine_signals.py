"""What the signals engine says about small synthetic pictures whose truth is exact."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.config import load_config
from pipeline.config.task import Task
from pipeline.engine.signals import SIGNALS_TASK, SignalsEngineConfig
from pipeline.engine.signals.blocks import block_counts, block_means, components, pad_to_blocks
from pipeline.engine.signals.engine import SignalsEngine
from pipeline.records import Video, Window, WindowPlan
from pipeline.timebase import TimeRange
from tests.made import a_video

Luma = npt.NDArray[np.uint8]
HEIGHT, WIDTH = 90, 160
STEP_NS = 100_000_000
DOWN, ACROSS = np.mgrid[0:HEIGHT, 0:WIDTH]
ROOM = 110 + 40 * np.sin(ACROSS / 7) + 30 * np.cos(DOWN / 5)


def video(*, width: int = 640, height: int = 360, rotation: int = 0) -> Video:
    return a_video(width=width, height=height, rotation=rotation)


def scene(num: int, *, noise: float = 1.0, seed: int = 0) -> npt.NDArray[np.float64]:
    """An empty room seen by a camera with sensor noise."""
    return ROOM + np.random.default_rng(seed).normal(0, noise, (num, HEIGHT, WIDTH))


def walk(frames: npt.NDArray[np.float64], first: int, stop: int) -> npt.NDArray[np.float64]:
    """A person of 12 x 30 pixels in a checked shirt goes through frames ``first`` to ``stop``."""
    for i in range(first, stop):
        left = 20 + (i - first) % 100
        frames[i, 40:70, left : left + 12] = 15 + 90 * ((DOWN[:30, :12] // 3) % 2)
    return frames


def as_luma(frames: npt.NDArray[np.float64]) -> Luma:
    return np.asarray(frames.clip(0, 255).round(), np.uint8)


def windows(
    luma: Luma,
    *sizes: int,
    frame_ns: npt.NDArray[np.int64] | None = None,
    of: Video | None = None,
) -> list[Window]:
    """The frames cut into consecutive windows of these many frames; the last takes the rest."""
    if frame_ns is None:
        frame_ns = np.arange(len(luma), dtype=np.int64) * STEP_NS
    borders = [0, *np.cumsum(sizes, dtype=np.int64).tolist()]
    if borders[-1] < len(luma):
        borders.append(len(luma))
    times_ns = [*frame_ns.tolist(), int(frame_ns[-1]) + STEP_NS]
    return [
        Window(
            plan=WindowPlan(
                window_id=f"w{first}",
                span=TimeRange(times_ns[first], times_ns[stop]),
                frame_pts=tuple(frame_ns[first:stop].tolist()),
            ),
            shard_id="s",
            video=of or video(),
            frame_pts=frame_ns[first:stop],
            frame_ns=frame_ns[first:stop],
            luma=luma[first:stop],
            rgb=None,
        )
        for first, stop in pairwise(borders)
    ]


def answers(
    shard: list[Window], *, task: Task = SIGNALS_TASK, config: SignalsEngineConfig | None = None
) -> list[dict]:
    engine = SignalsEngine(config or SignalsEngineConfig(), task)
    return [json.loads(completion.text) for completion in engine.answer(shard)]


def spans(answer: dict, label: str) -> list[tuple[float, float]]:
    return [(e["start"], e["end"]) for e in answer["events"] if e["label"] == label]


def test_motion_begins_with_the_first_frame_it_is_seen_in_and_ends_with_the_first_without() -> None:
    [answer] = answers(windows(as_luma(walk(scene(100), 30, 60))))
    assert spans(answer, "motion") == [(3.0, 6.0)]


def test_nothing_but_noise_is_no_event() -> None:
    for noise in (0.0, 1.0, 4.0):
        for answer in answers(windows(as_luma(scene(200, noise=noise)), 100)):
            assert answer["events"] == []
            assert answer["summary"] == "Nothing happens in 10.0 s."


@pytest.mark.parametrize(("first", "stop"), [(50, 80), (20, 50), (49, 80), (20, 51), (50, 100)])
def test_events_at_a_window_border_are_exact(first: int, stop: int) -> None:
    answer_a, answer_b = answers(windows(as_luma(walk(scene(100), first, stop)), 50))
    found = spans(answer_a, "motion") + [(a + 5, b + 5) for a, b in spans(answer_b, "motion")]
    whole = [(found[0][0], found[-1][1])] if found[0][1] == found[-1][0] else found
    assert whole == [(first / 10, stop / 10)]


def test_an_event_through_three_windows_fills_the_middle_one() -> None:
    first, middle, last = answers(windows(as_luma(walk(scene(150), 30, 120)), 50, 50))
    assert spans(first, "motion") == [(3.0, 5.0)]
    assert spans(middle, "motion") == [(0.0, 5.0)]
    assert spans(last, "motion") == [(0.0, 2.0)]


def test_what_is_going_on_begins_at_the_window_even_if_its_first_frame_comes_later() -> None:
    frame_ns = np.arange(100, dtype=np.int64) * STEP_NS
    a, b = windows(as_luma(walk(scene(100), 30, 70)), 50)
    late = frame_ns[50:] + 40_000_000
    b = Window(
        plan=b.plan, shard_id="s", video=b.video, frame_pts=late, frame_ns=late, luma=b.luma,
        rgb=None,
    )  # fmt: skip
    assert spans(answers([a, b])[1], "motion") == [(0.0, 2.04)]


def test_someone_in_view_from_the_first_frame_is_seen_from_the_window_start() -> None:
    [answer] = answers(windows(as_luma(walk(scene(100), 0, 30))))
    assert spans(answer, "motion") == [(0.0, 3.0)]


def test_motion_up_to_the_last_frame_ends_with_the_window() -> None:
    [answer] = answers(windows(as_luma(walk(scene(100), 60, 100))))
    assert spans(answer, "motion") == [(6.0, 10.0)]


def test_times_keep_microseconds_under_a_variable_frame_rate() -> None:
    steps = np.random.default_rng(3).integers(40_000, 180_000, 120) * 1000 + 333
    frame_ns = np.cumsum(steps).astype(np.int64)
    [window] = windows(as_luma(walk(scene(120), 40, 80)), frame_ns=frame_ns)
    [(start, end)] = spans(answers([window])[0], "motion")
    assert round(start * 1e9) == frame_ns[40] - window.plan.span.start_ns
    assert round(end * 1e9) == frame_ns[80] - window.plan.span.start_ns


def test_someone_who_stops_and_breathes_is_there_until_he_leaves() -> None:
    frames = scene(1000)
    shirt = 15 + 90 * ((DOWN[:30, :12] // 3) % 2)
    for i in range(100, 700):
        left = 20 + min(i - 100, 40) + (i // 7) % 2
        frames[i, 40:70, left : left + 12] = shirt
    found = answers(windows(as_luma(frames), 250, 250, 250))
    at = [(a + 25 * k, b + 25 * k) for k, one in enumerate(found) for a, b in spans(one, "motion")]
    assert at == [(10.0, 25.0), (25.0, 50.0), (50.0, 70.0)]


def test_a_thing_that_stands_still_ends_after_standing_s() -> None:
    frames = walk(scene(600), 100, 130)
    frames[130:, 40:70, 49:61] = 15 + 90 * ((DOWN[:30, :12] // 3) % 2)
    [answer] = answers(windows(as_luma(frames)), config=SignalsEngineConfig(standing_s=10))
    [(start, end)] = spans(answer, "motion")
    assert start == 10.0
    assert 12.5 <= end <= 14.5


def test_a_thing_taken_away_is_no_event_of_its_own() -> None:
    frames = walk(scene(400), 300, 320)
    frames[:310, 20:34, 100:114] = 220
    [answer] = answers(windows(as_luma(frames)))
    [(start, end)] = spans(answer, "motion")
    assert (start, round(end)) == (30.0, 32)


def dimmer(frames: npt.NDArray[np.float64]) -> None:
    frames[60:] *= 0.7


def exposure(frames: npt.NDArray[np.float64]) -> None:
    frames *= 1 + 0.15 * np.sin(np.arange(len(frames)) / 15)[:, None, None]


def flicker(frames: npt.NDArray[np.float64]) -> None:
    frames += np.where(np.arange(len(frames)) % 2, 6, -6)[:, None, None]


@pytest.mark.parametrize("change", [dimmer, exposure, flicker])
def test_light_that_changes_is_no_motion(
    change: Callable[[npt.NDArray[np.float64]], None],
) -> None:
    frames = scene(150)
    change(frames)
    [answer] = answers(windows(as_luma(frames)))
    assert answer["events"] == []


def test_motion_is_seen_while_the_exposure_changes() -> None:
    frames = walk(scene(150), 50, 100)
    exposure(frames)
    [answer] = answers(windows(as_luma(frames)))
    assert spans(answer, "motion") == [(5.0, 10.0)]


def test_a_soft_shadow_is_no_motion() -> None:
    frames = scene(150)
    for i in range(50, 100):
        depth = np.clip((20 - np.hypot(DOWN - 50, ACROSS - 20 - i)) / 8, 0, 1) * 0.35
        frames[i] *= 1 - depth
    [answer] = answers(windows(as_luma(frames)))
    assert answer["events"] == []


def test_a_cut_is_the_first_frame_of_the_new_picture_and_no_motion() -> None:
    frames = scene(100)
    frames[40:] = 255 - scene(60)[:, ::-1, ::-1] * 0.9
    [answer] = answers(windows(as_luma(frames)))
    assert [(e["label"], e["start"], e["end"]) for e in answer["events"]] == [
        ("scene_cut", 4.0, 4.1)
    ]


def test_a_cut_between_two_windows_belongs_to_the_second() -> None:
    frames = scene(100)
    frames[50:] = 255 - scene(50)[:, ::-1, ::-1] * 0.9
    first, second = answers(windows(as_luma(frames), 50))
    assert first["events"] == []
    assert spans(second, "scene_cut") == [(0.0, 0.1)]


def test_black_lasts_while_it_is_black_and_the_scene_is_known_again_after_it() -> None:
    frames = scene(150)
    frames[40:80] = 16
    [answer] = answers(windows(as_luma(frames)))
    assert spans(answer, "black") == [(4.0, 8.0)]
    assert spans(answer, "motion") == []
    black, more = answers(windows(np.zeros((100, HEIGHT, WIDTH), np.uint8), 50))
    assert spans(black, "black") == spans(more, "black") == [(0.0, 5.0)]


def test_a_live_picture_that_stops_is_frozen_from_its_first_repeated_frame() -> None:
    frames = as_luma(scene(400))
    frames[100:350] = frames[99]
    [answer] = answers(windows(frames))
    assert spans(answer, "frozen") == [(10.0, 35.0)]
    frames[:] = frames[0]
    assert answers(windows(frames))[0]["events"] == []


def test_a_frozen_picture_stays_frozen_in_the_next_window() -> None:
    frames = as_luma(scene(600))
    frames[100:550] = frames[99]
    first, second = answers(windows(frames, 400))
    assert spans(first, "frozen") == [(10.0, 40.0)]
    assert spans(second, "frozen") == [(0.0, 15.0)]


def test_a_covered_lens_is_blocked_and_uncovering_it_is_no_cut() -> None:
    frames = scene(150) + 25 * (ACROSS // 8 % 2)
    cover = 60 + 10 * np.sin(ACROSS / 60) + 5 * np.cos(DOWN / 50)
    frames[50:100] = cover + np.random.default_rng(1).normal(0, 1, (50, HEIGHT, WIDTH))
    [answer] = answers(windows(as_luma(frames)))
    assert [(e["label"], e["start"], e["end"]) for e in answer["events"]] == [
        ("blocked", 5.0, 10.0)
    ]


def test_only_labels_of_the_task_are_told() -> None:
    task = Task(name="cuts", labels={"scene_cut": "cut"}, prompt="", summary=False)
    [answer] = answers(windows(as_luma(walk(scene(100), 30, 60))), task=task)
    assert answer == {"events": []}


def test_the_bound_of_a_prompted_task_joins_motion_instead_of_losing_it() -> None:
    frames = scene(300)
    for k in range(6):
        walk(frames, 20 + 45 * k, 30 + 45 * k)
    task = SIGNALS_TASK.model_copy(update={"prompt": "What moves?", "max_events": 2})
    assert len(spans(answers(windows(as_luma(frames)))[0], "motion")) == 6
    found = spans(answers(windows(as_luma(frames)), task=task)[0], "motion")
    assert (len(found), found[0][0], found[-1][1]) == (2, 2.0, 25.5)


@pytest.mark.parametrize(
    ("rotation", "width", "height"), [(0, 640, 360), (90, 360, 640), (180, 640, 360)]
)
def test_boxes_are_in_pixels_of_the_upright_source(rotation: int, width: int, height: int) -> None:
    of = video(width=width, height=height, rotation=rotation)
    [answer] = answers(windows(as_luma(walk(scene(100), 30, 60)), of=of))
    [event] = answer["events"]
    assert len(event["boxes"]) == 3
    for at_s, x0, y0, x1, y1 in event["boxes"]:
        left = (20 + round(at_s * 10) - 30) * 4
        assert abs(x0 - left) <= 16
        assert abs(x1 - left - 48) <= 16
        assert abs(y0 - 160) <= 16
        assert abs(y1 - 280) <= 16
    assert 0 <= event["confidence"] <= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (50, 50), (90, 159)])
def test_any_picture_size_and_a_single_frame_are_answered(size: tuple[int, int]) -> None:
    luma = np.random.default_rng(0).integers(90, 110, (20, *size)).astype(np.uint8)
    answers(windows(luma, 1, 1, 10))


def test_a_shard_may_change_its_picture_size_or_pause() -> None:
    small = windows(np.full((20, 48, 64), 100, np.uint8))[0]
    large = windows(as_luma(scene(50)), frame_ns=np.arange(50) * STEP_NS + 10**12)[0]
    assert [one["events"] for one in answers([small, large])] == [[], []]


def test_a_window_without_frames_is_answered() -> None:
    [full] = windows(as_luma(scene(2)))
    none = np.zeros(0, np.int64)
    empty = Window(
        plan=full.plan, shard_id="s", video=full.video, frame_pts=none, frame_ns=none,
        luma=full.luma[:0], rgb=None,
    )  # fmt: skip
    assert answers([empty, full])[0]["events"] == []


def test_each_window_is_answered_before_the_next_is_asked_for() -> None:
    asked = []

    def stream():
        for window in windows(as_luma(scene(30)), 10, 10):
            asked.append(window.plan.window_id)
            yield window

    completions = SignalsEngine(SignalsEngineConfig(), SIGNALS_TASK).answer(stream())
    assert next(completions).finish_reason == "stop"
    assert asked == ["w0"]


def test_block_sums_agree_with_plain_numpy() -> None:
    luma = pad_to_blocks(np.random.default_rng(0).integers(0, 256, (3, 10, 14)).astype(np.uint8))
    tiles = luma.reshape(3, 3, 4, 4, 4)
    assert np.allclose(block_means(luma), tiles.mean(axis=(2, 4)))
    assert np.array_equal(block_counts(luma > 99), (tiles > 99).sum(axis=(2, 4)))
    mask = np.array([[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]], bool)
    assert sorted(len(rows) for rows, _ in components(mask)) == [2, 2]


def test_the_shipped_configuration_is_valid() -> None:
    config = load_config(Path(__file__).parents[2] / "configs" / "signals.yaml")
    assert config.engine == SignalsEngineConfig()
    assert config.task == SIGNALS_TASK
    assert config.plan.max_window_frames == 1000
