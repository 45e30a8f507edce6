"""The signals engine and the gate on real footage whose truth was found by eye."""

import json
import os
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import VideoReformatter

from pipeline.config import GateConfig
from pipeline.engine.signals import SIGNALS_TASK, SignalsEngineConfig
from pipeline.engine.signals.engine import SignalsEngine
from pipeline.gate import MotionGate
from pipeline.records import Window, WindowPlan
from pipeline.timebase import TimeRange
from tests.unit.test_engine_signals import video

ROOT = Path(__file__).parents[2]
FOOTAGE = ROOT / os.environ.get("TIMEREEL_FOOTAGE", "../shared/footage")
ONE_BY_ONE = "real/sv_one_by_one_person.mp4"
STITCH_GAP_S = 2.0

pytestmark = pytest.mark.skipif(
    not (FOOTAGE / "manifest.json").is_file(), reason="the shared footage is not here"
)

Span = tuple[float, float]


@cache
def decode(
    name: str, fps: float = 10.0, max_s: float = 1e9
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Small grey pictures and their media times."""
    luma, times_ns, scale, last = [], [], VideoReformatter(), -1
    with av.open(str(FOOTAGE / name), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        origin = stream.start_time or 0
        for frame in container.decode(stream):
            at_ns = int((frame.pts - origin) * stream.time_base * 10**9)
            if at_ns > max_s * 1e9:
                break
            if (slot := int(at_ns * fps / 1e9 + 1e-6)) == last:
                continue
            last = slot
            height = round(frame.height * 160 / frame.width / 2) * 2
            small = scale.reformat(
                frame, width=160, height=height, format="gray", interpolation="AREA"
            )
            luma.append(small.to_ndarray().copy())
            times_ns.append(at_ns)
    return np.stack(luma), np.array(times_ns, np.int64)


def look(
    luma: npt.NDArray[np.uint8], times_ns: npt.NDArray[np.int64], max_frames: int = 1000
) -> dict[str, list[Span]]:
    """Stitched spans per label over windows of at most ``max_frames``."""
    step_ns = int(np.median(np.diff(times_ns)))
    borders = [*range(0, len(luma), max_frames), len(luma)]
    border_ns = np.append(times_ns, times_ns[-1] + step_ns)
    windows = [
        Window(
            plan=WindowPlan(
                window_id=f"w{a}",
                span=TimeRange(int(border_ns[a]), int(border_ns[b])),
                frame_pts=tuple(times_ns[a:b].tolist()),
            ),
            shard_id="s",
            video=video(),
            frame_pts=times_ns[a:b],
            frame_ns=times_ns[a:b],
            luma=luma[a:b],
            rgb=None,
        )
        for a, b in pairwise(borders)
    ]
    found: dict[str, list[Span]] = {label: [] for label in SIGNALS_TASK.labels}
    engine = SignalsEngine(SignalsEngineConfig(), SIGNALS_TASK)
    for window, completion in zip(windows, engine.answer(windows), strict=True):
        offset = window.plan.span.start_ns / 1e9
        for event in json.loads(completion.text)["events"]:
            start, end = event["start"] + offset, event["end"] + offset
            known = found[event["label"]]
            if known and start - known[-1][1] <= STITCH_GAP_S and event["label"] != "scene_cut":
                known[-1] = (known[-1][0], max(end, known[-1][1]))
            else:
                known.append((start, end))
    return found


def truth(name: str) -> list[Span]:
    manifest = json.loads((FOOTAGE / "manifest.json").read_text(encoding="utf-8"))
    return [(e["start"], e["end"]) for e in manifest["files"][name]["ground_truth"]["events"]]


def assert_close(found: list[Span], expected: list[Span], tolerance_s: float) -> None:
    assert len(found) == len(expected), found
    assert np.abs(np.array(found) - np.array(expected)).max() <= tolerance_s, found


@pytest.mark.parametrize("max_frames", [100, 300, 1000, 1394])
def test_the_six_visits_are_found_within_half_a_second(max_frames: int) -> None:
    found = look(*decode(ONE_BY_ONE), max_frames)
    assert_close(found.pop("motion"), truth(ONE_BY_ONE), 0.5)
    assert not any(found.values())


@pytest.mark.parametrize("begin_s", [8, 25, 60, 100])
def test_a_shard_that_begins_during_a_visit_sees_it(begin_s: int) -> None:
    luma, times_ns = decode(ONE_BY_ONE)
    found = look(luma[begin_s * 10 :], times_ns[begin_s * 10 :])["motion"]
    expected = [(max(a, begin_s), b) for a, b in truth(ONE_BY_ONE) if b > begin_s]
    assert_close(found, expected, 0.5)


def test_at_half_the_rate_the_same_six_visits_are_found() -> None:
    luma, times_ns = decode(ONE_BY_ONE)
    assert_close(look(luma[::2], times_ns[::2])["motion"], truth(ONE_BY_ONE), 1.0)


def test_the_same_visits_are_found_in_two_files_of_another_encoding() -> None:
    found = []
    for name, offset_s in (("143000", 0), ("143100", 60)):
        path = f"archive/cam02/cam02_20260314T{name}+0530.mp4"
        found += [(a + offset_s, b + offset_s) for a, b in look(*decode(path))["motion"]]
    joined = [found.pop(0)]
    for span in found:
        if span[0] - joined[-1][1] <= STITCH_GAP_S:
            joined[-1] = (joined[-1][0], span[1])
        else:
            joined.append(span)
    assert_close(joined, truth(ONE_BY_ONE), 0.5)


def test_hands_at_the_table_are_found() -> None:
    name = "real/sv_bottle_table.mp4"
    found = look(*decode(name))["motion"]
    for start, end in truth(name):
        assert any(a - 1 <= start and end <= b + 1 for a, b in found), (start, found)
    still = sum(b - a for a, b in found)
    assert still < 25
    assert found[0][0] > 5


def test_a_busy_path_moves_all_the_time() -> None:
    [(start, end)] = look(*decode("real/sv_vtest_0_29s.avi"))["motion"]
    assert start < 0.5
    assert end > 28.5


def test_cuts_and_fades_are_told_apart() -> None:
    found = look(*decode("real/shots_testvideo.mp4"))
    assert [round(a, 1) for a, _ in found["scene_cut"]] == [1.0, 6.0]
    assert_close(found["black"], [(0, 1.0), (6.0, 7.2), (11.9, 13.3), (22.9, 24.0)], 0.3)
    assert found["blocked"] == found["frozen"] == []


def test_joined_clips_are_cut_where_they_were_joined() -> None:
    cuts = [a for a, _ in look(*decode("long/long_mixed_a.mp4"))["scene_cut"]]
    for border_s in (79.6, 258.8, 288.6, 312.6, 352.6, 380.6, 410.6, 490.2):
        assert min(abs(cut - border_s) for cut in cuts) <= 0.5
    assert len(cuts) <= 12


def test_black_is_one_event_and_a_still_picture_is_none() -> None:
    found = look(*decode("real/odd_long_black_362s_1080p.mp4", 1.0, 40), 15)
    assert [label for label, spans in found.items() if spans] == ["black"]
    assert len(found["black"]) == 1
    assert not any(look(*decode("hard/static_5h.mp4", 5.0, 200)).values())


@pytest.mark.parametrize("fps", [1, 2])
@pytest.mark.parametrize("window_s", [2, 4, 8, 16])
def test_no_window_of_a_visit_is_quiet(fps: int, window_s: int) -> None:
    luma, times_ns = decode(ONE_BY_ONE)
    luma, times_ns = luma[:: 10 // fps], times_ns[:: 10 // fps]
    gate = MotionGate(GateConfig(kind="motion"))
    num = fps * window_s
    for first in range(0, len(luma), num):
        start_s = times_ns[first] / 1e9
        if gate.is_quiet(luma[first : first + num], times_ns[first : first + num]):
            assert not any(a < start_s + window_s and start_s < b for a, b in truth(ONE_BY_ONE)), (
                start_s
            )


def test_a_still_picture_is_quiet_from_its_first_window_on() -> None:
    luma, times_ns = decode("hard/static_5h.mp4", 5.0, 200)
    gate = MotionGate(GateConfig(kind="motion"))
    for first in range(0, len(luma), 80):
        assert gate.is_quiet(luma[first : first + 80 : 5], times_ns[first : first + 80 : 5])
