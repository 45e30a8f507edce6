"""What the detector engine says of pictures whose truth is exact, and of the weights it ships."""

import json
import sys
from itertools import pairwise

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import load_config
from pipeline.config.task import Task
from pipeline.engine.detector import DETECTOR_TASK, DetectorEngineConfig
from pipeline.engine.detector.engine import DetectorEngine
from pipeline.engine.detector.follow import Followed, Sight
from pipeline.engine.detector.network import open_network
from pipeline.engine.parse import parse_completion
from pipeline.errors import EngineStartError
from pipeline.records import Window, WindowPlan
from pipeline.stitch import events_of_video
from pipeline.testing import check_engine
from pipeline.timebase import NS_PER_S, TimeRange
from tests.conftest import ROOT
from tests.detectors import CELL, HEIGHT, REACH, WIDTH, make_detector
from tests.detectors import PERSON as PERSON_SPEC
from tests.made import a_video

STEP_NS = NS_PER_S // 10
VIDEO = a_video(width=WIDTH, height=HEIGHT)
PERSON = Task(name="t", labels={"person": "somebody"}, prompt="")


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    return make_detector(tmp_path_factory.mktemp("models") / "bright")


def walk(num, first, stop, *, row=3):
    """Grey pictures; a white square goes a cell to the right with every sixth picture."""
    rgb = np.full((num, HEIGHT, WIDTH, 3), 40, np.uint8)
    for i in range(first, stop):
        left = CELL * ((i - first) // 6 % (WIDTH // CELL - 2) + 1)
        rgb[i, row * CELL : (row + 1) * CELL, left : left + CELL] = 255
    return rgb


def windows(rgb, *sizes):
    """The pictures, ten a second, cut into windows of these many; the last takes the rest."""
    frame_ns = np.arange(len(rgb), dtype=np.int64) * STEP_NS
    borders = sorted({0, *np.cumsum(sizes, dtype=int).tolist(), len(rgb)})
    return [
        Window(
            plan=WindowPlan.of(
                "v",
                "c",
                TimeRange(low * STEP_NS, high * STEP_NS),
                tuple(range(low * 100, high * 100, 100)),
            ),
            shard_id="s",
            video=VIDEO,
            frame_pts=np.arange(low, high) * 100,
            frame_ns=frame_ns[low:high],
            luma=rgb[low:high].mean(axis=3).astype(np.uint8),
            rgb=rgb[low:high],
        )
        for low, high in pairwise(borders)
    ]


def events(rgb, *sizes, model, task=PERSON, **config):
    """The stitched events of a shard, as first and last picture (not included), and boxes."""
    cut = windows(rgb, *sizes)
    engine = DetectorEngine(DetectorEngineConfig(model=str(model), **config), task)
    observations = [
        one
        for window, done in zip(cut, engine.answer(cut), strict=True)
        for one in parse_completion(done.text, done.finish_reason, window.plan, task, VIDEO)[0]
    ]
    found = events_of_video(
        VIDEO,
        observations,
        task=task.name,
        identity_fields=(),
        max_gap_ns=2 * NS_PER_S,
        tracked=True,
    )
    return [
        (one.label, one.span.start_ns // STEP_NS, one.span.end_ns // STEP_NS, one.boxes)
        for one in found
    ]


@settings(max_examples=25, deadline=None)
@given(
    first=st.integers(0, 60),
    length=st.integers(7, 50),
    sizes=st.lists(st.integers(5, 40), max_size=4),
    fps=st.sampled_from([2, 3.3, 10]),
)
def test_an_event_begins_and_ends_with_a_picture_however_windows_are_cut(
    bright, first, length, sizes, fps
):
    [(label, start, end, boxes)] = events(
        walk(120, first, first + length), *sizes, model=bright, fps=fps
    )
    # Whoever is seen once only, in the last picture of a window, is believed in the next one.
    is_last = first + 1 in np.cumsum(sizes)
    assert (label, end) == ("person", first + length)
    assert start == first + is_last
    assert [box.at_ns for box in boxes] == sorted({box.at_ns for box in boxes})


def test_a_box_is_where_the_person_is_in_pixels_of_the_source(bright):
    [(*_, boxes)] = events(walk(20, 0, 20), model=bright, fps=10)
    middle_x, middle_y, reach = CELL * 1.5, CELL * 3.5, CELL * REACH
    first = boxes[0]
    assert (first.x0, first.x1) == (middle_x - reach, middle_x + reach)
    assert (first.y0, first.y1) == (middle_y - reach, middle_y + reach)
    assert len(boxes) == 20


def test_two_persons_are_two_events_with_a_box_each(bright):
    rgb = np.maximum(walk(40, 5, 30, row=1), walk(40, 12, 40, row=6))
    found = events(rgb, 10, 10, model=bright)
    assert [(start, end) for _, start, end, _ in found] == [(5, 30), (12, 40)]
    assert {box.y0 for box in found[0][3]} == {0.0}


@pytest.mark.parametrize(("gap", "num_events"), [(15, 1), (16, 2)])
def test_who_is_hidden_for_as_long_as_the_gap_is_the_same(bright, gap, num_events):
    rgb = walk(60, 10, 50)
    rgb[:] = np.maximum(40, rgb * 0)
    for i in [*range(10, 20), *range(19 + gap, 50)]:
        rgb[i, 24:32, 40:48] = 255
    engine = DetectorEngine(DetectorEngineConfig(model=str(bright), fps=10), PERSON)
    [answer] = [json.loads(done.text) for done in engine.answer(windows(rgb))]
    assert len(answer["events"]) == num_events


def test_an_object_that_is_found_too_seldom_or_never_surely_is_not_told(bright):
    once = walk(30, 10, 11)
    assert events(once, model=bright, fps=10) == []
    assert len(events(once, model=bright, fps=10, min_looks=1)) == 1
    weak = np.minimum(walk(30, 5, 25), 100)  # 0.39: enough to go on, not to begin
    assert events(weak, model=bright, fps=10) == []


def test_an_object_may_begin_weak_and_counts_from_there(bright):
    rgb = walk(30, 5, 25)
    rgb[5:10] = np.minimum(rgb[5:10], 100)
    [(_, start, end, _)] = events(rgb, model=bright, fps=10)
    assert (start, end) == (5, 25)


def test_weak_boxes_alone_keep_an_object_for_three_seconds(bright):
    rgb = np.full((80, HEIGHT, WIDTH, 3), 40, np.uint8)
    rgb[:10, 24:32, 40:48] = 255
    rgb[10:, 24:32, 40:48] = 100  # 0.39
    [(_, start, end, _)] = events(rgb, 25, model=bright, fps=10)
    assert (start, end) == (0, 40)  # it was last sure in the picture at 0.9 s


@pytest.mark.parametrize("fps", [1, 2, 5, 10])
def test_how_soon_an_earlier_speed_is_forgotten_does_not_depend_on_the_rate_of_looks(fps):
    def sight(at_ns, x):
        box = np.array([x, 0, x + 10, 20], np.float32)
        return Sight(at_ns=at_ns, box=box, score=0.9, kind="person")

    one = Followed(
        label="person",
        first=sight(0, 0.0),
        last=sight(0, 0.0),
        speed=np.array([30, 0], np.float32),
        num_looks=2,
        was_sure=True,
        sure_ns=0,
        moved=0.0,
        sights=(),
    )
    for number in range(1, fps + 1):
        one = one.seen(sight(number * NS_PER_S // fps, 10.0 * number / fps), is_sure=True)
    assert one.speed == pytest.approx([10 + 20 * np.exp(-2), 0], abs=1e-3)


def test_a_calibrated_confidence_is_the_share_of_such_boxes_that_are_right(tmp_path):
    spec = PERSON_SPEC | {"calibration": {"slope": 2.0, "offset": -1.0}}
    model = str(make_detector(tmp_path / "calibrated", labels={"person": spec}))
    rgb = np.full((20, HEIGHT, WIDTH, 3), 40, np.uint8)
    rgb[:, 24:32, 40:48] = 204  # 0.8: odds of 4 to 1
    engine = DetectorEngine(DetectorEngineConfig(model=model), PERSON)
    [done] = engine.answer(windows(rgb))
    [event] = json.loads(done.text)["events"]
    assert event["confidence"] == pytest.approx(16 / (16 + np.e), abs=0.001)
    assert {box[-1] for box in event["boxes"]} == {0.8}


def test_what_must_move_and_stands_is_not_told(tmp_path):
    labels = {"person": {"classes": ["person"], "moves": 1.0}}
    model = make_detector(tmp_path / "moving", labels=labels)
    still = np.full((30, HEIGHT, WIDTH, 3), 40, np.uint8)
    still[:, 24:32, 40:48] = 255
    assert events(still, model=model) == []
    assert len(events(walk(30, 0, 30), model=model)) == 1


def test_answers_do_not_depend_on_how_many_pictures_a_call_takes(bright):
    rgb = np.maximum(walk(80, 3, 60, row=1), walk(80, 20, 77, row=5))
    assert events(rgb, 33, model=bright, batch_frames=1) == events(rgb, 33, model=bright)


def test_black_pictures_are_told_and_not_looked_at(bright):
    rgb = walk(60, 0, 60)
    rgb[21:45] = 0
    task = Task(name="t", labels={"person": "p", "black": "b"}, prompt="")
    found = events(rgb, 30, model=bright, task=task)
    assert [one[:3] for one in found if one[0] == "black"] == [("black", 21, 45)]
    assert next(one[1:3] for one in found if one[0] == "person") == (0, 21)


def test_the_shipped_weights_give_the_numbers_of_their_original_runtime():
    """Those of TensorFlow.js 4.22.0 for noise: where the greatest is, and its value."""
    import onnxruntime

    path = ROOT / "models" / "nanodet-g" / "nanodet_g.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    noise = np.random.default_rng(0).normal(size=(1, 3, 416, 416)).astype(np.float32)
    greatest = {
        "scores_8": (77251, 0.04680195823311806),
        "scores_16": (11360, 0.025552602484822273),
        "scores_32": (6712, 0.2458026260137558),
        "sides_8": (96074, 4.873893737792969),
        "sides_16": (3623, 2.095062494277954),
        "sides_32": (3657, 4.123162746429443),
    }
    names = [output.name for output in session.get_outputs()]
    for name, values in zip(names, session.run(None, {"image": noise}), strict=True):
        place, value = greatest[name]
        assert int(values.argmax()) == place
        assert float(values.max()) == pytest.approx(value, abs=1e-4)


def test_the_detector_keeps_the_contract():
    settings = ("engine.kind=detector", f"engine.model={ROOT / 'models' / 'nanodet-g'}")
    check_engine(load_config(None, (*settings, "engine.fps=0.5", "sample.fps=4")))


def test_a_run_that_names_only_the_engine_gets_the_gate_and_small_pictures():
    config = load_config(None, ("engine.kind=detector", "sample.fps=5"))
    assert (config.gate.kind, config.sample.fps, config.task) == ("motion", 5, DETECTOR_TASK)
    assert config.tracks_objects
    assert not load_config().tracks_objects


def test_a_label_is_one_of_the_model_or_one_of_its_classes():
    folder = str(ROOT / "models" / "nanodet-g")
    network = open_network(folder, ["vehicle", "dog"], threads=1)
    assert network.labels["vehicle"].classes == ("car", "bus", "truck", "motorcycle")
    assert network.labels["dog"].classes == ("dog",)
    with pytest.raises(EngineStartError, match=r"label ghost: .* knows person, vehicle"):
        open_network(folder, ["ghost"], threads=1)


def test_a_task_of_a_model_with_boxes_is_refused(bright):
    task = Task(name="t", labels={"person": "p"}, boxes=True)
    with pytest.raises(EngineStartError, match=r"task\.boxes: the detector gives boxes by itself"):
        DetectorEngine(DetectorEngineConfig(model=str(bright)), task)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weights": "gone.onnx"}, "there is no such file"),
        ({"weights": "../bright.onnx"}, "weights"),
        ({"labels": {"dog": {"classes": ["dog"]}}}, "none of `classes`"),
        ({"labels": {"person": {"classes": ["person"], "keep": 0.9}}}, "more than threshold"),
        ({"output": "ssd"}, "output"),
    ],
)
def test_a_model_file_that_is_wrong_is_told(tmp_path, changes, told):
    folder = make_detector(tmp_path, **changes)
    with pytest.raises(EngineStartError, match=told):
        open_network(str(folder), ["person"], threads=1)


def test_weights_that_are_no_network_and_a_folder_without_a_model_are_told(tmp_path):
    folder = make_detector(tmp_path / "model")
    (folder / "bright.onnx").write_bytes(b"no network")
    with pytest.raises(EngineStartError, match="onnxruntime cannot load it"):
        open_network(str(folder), ["person"], threads=1)
    with pytest.raises(EngineStartError, match=r"has no model\.yaml; name a folder such as"):
        open_network(str(tmp_path), ["person"], threads=1)


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch):
    folder = make_detector(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineStartError, match=r"pip install 'timereel\[detector\]'"):
        open_network(str(folder), ["person"], threads=1)


def test_the_config_for_cameras_names_labels_of_the_shipped_model():
    config = load_config(ROOT / "configs" / "cameras-cpu.yaml")
    model = yaml.safe_load((ROOT / config.engine.model / "model.yaml").read_text())
    assert set(config.task.labels) - {"black"} == set(model["labels"])
