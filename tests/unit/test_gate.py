"""Which windows the gate finds quiet, and which it must not."""

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.config import GateConfig
from pipeline.gate import MotionGate

HEIGHT, WIDTH = 90, 160
DOWN, ACROSS = np.mgrid[0:HEIGHT, 0:WIDTH]
ROOM = 110 + 40 * np.sin(ACROSS / 13) + 30 * np.cos(DOWN / 9)
WINDOW = 16


def scene(num: int, *, noise: float = 1.0, seed: int = 0) -> npt.NDArray[np.float64]:
    return ROOM + np.random.default_rng(seed).normal(0, noise, (num, HEIGHT, WIDTH))


def verdicts(
    frames: npt.NDArray[np.float64], *, kind: str = "motion", window: int = WINDOW
) -> list[bool]:
    """Quiet or not, for consecutive windows at one frame a second."""
    gate = MotionGate(GateConfig.model_validate({"kind": kind}))
    luma = np.asarray(frames.clip(0, 255).round(), np.uint8)
    frame_ns = np.arange(len(luma), dtype=np.int64) * 10**9
    return [
        gate.is_quiet(luma[i : i + window], frame_ns[i : i + window])
        for i in range(0, len(luma), window)
    ]


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0, 2.0])
def test_an_empty_room_is_quiet_whatever_the_sensor_noise(noise: float) -> None:
    assert sum(verdicts(scene(160, noise=noise))) >= 9


def test_without_a_gate_no_window_is_quiet() -> None:
    assert verdicts(scene(32, noise=0.0), kind="none") == [False, False]


@pytest.mark.parametrize("window", [0, 1, 2, 4])
@pytest.mark.parametrize("first", [0, 7, 15])
def test_a_thing_of_two_percent_of_the_height_is_not_quiet(window: int, first: int) -> None:
    frames = scene(96)
    at = window * WINDOW + first
    frames[at, 40:42, 70:72] += 40
    assert not verdicts(frames)[window]


def test_a_thing_that_comes_and_stands_still_is_not_quiet_for_a_minute() -> None:
    frames = scene(256)
    frames[40:, 40:60, 70:80] -= 30
    quiet = verdicts(frames)
    assert quiet[:2] == [True, True]
    assert not any(quiet[2:7])
    assert all(quiet[11:])


def test_switching_off_the_light_is_not_quiet() -> None:
    frames = scene(160)
    frames[40:] *= 0.6
    quiet = verdicts(frames)
    assert quiet[:2] == [True, True]
    assert not any(quiet[2:6])


def test_a_fade_that_is_too_slow_to_see_between_two_frames_is_not_quiet() -> None:
    frames = scene(160)
    frames -= np.linspace(0, 20, 160)[:, None, None]
    assert not any(verdicts(frames)[3:])


def test_someone_who_moves_on_the_spot_for_minutes_is_never_treated_as_noise() -> None:
    frames = scene(320)
    for i in range(20, 320):
        frames[i, 40:60, 70 + i % 3 : 80 + i % 3] = 40
    assert not any(verdicts(frames)[2:])


def test_a_clock_in_the_picture_is_ignored_after_some_windows() -> None:
    frames = scene(640)
    glyphs = np.random.default_rng(5).integers(0, 2, (10, 4, 3)) * 180 + 30
    for i, frame in enumerate(frames):
        for k, digit in enumerate(f"{i // 60 % 10}{i % 60 // 10}{i % 10}"):
            frame[2:6, 100 + 6 * k : 103 + 6 * k] = glyphs[int(digit)]
    frames[560, 40:44, 30:34] += 40
    quiet = verdicts(frames)
    assert not any(quiet[:16])
    assert sum(quiet[17:]) >= 18
    assert not quiet[35]


def test_state_is_forgotten_after_a_pause_and_with_another_picture_size() -> None:
    gate = MotionGate(GateConfig(kind="motion"))
    frame_ns = np.arange(16, dtype=np.int64) * 10**9
    assert gate.is_quiet(np.full((16, 90, 160), 100, np.uint8), frame_ns)
    assert gate.is_quiet(np.full((16, 90, 160), 180, np.uint8), frame_ns + 10**12)
    assert gate.is_quiet(np.full((16, 48, 64), 20, np.uint8), frame_ns + 10**12 + 16 * 10**9)


def test_a_single_first_frame_and_no_frame_are_never_quiet() -> None:
    gate = MotionGate(GateConfig(kind="motion"))
    still = np.full((1, 50, 33), 100, np.uint8)
    assert not gate.is_quiet(still[:0], np.zeros(0, np.int64))
    assert not gate.is_quiet(still, np.array([0], np.int64))
    assert gate.is_quiet(still, np.array([10**9], np.int64))
