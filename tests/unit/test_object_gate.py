"""Of windows that move, only those that show a wanted object go to the model."""

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.config import Config, ObjectGateConfig, load_config
from pipeline.engine.detector.object_gate import ObjectGate
from pipeline.errors import EngineStartError
from pipeline.flow.task.stages import Planned, decode_and_gate, probe_and_plan
from pipeline.records import Window, WindowPlan
from pipeline.tables.shared import Provenance
from pipeline.tables.windows import window_results, windows_table
from pipeline.timebase import NS_PER_S, TimeRange
from tests.conftest import LOBBY, ROOT
from tests.detectors import CELL, HEIGHT, PERSON, WIDTH, make_detector
from tests.made import a_video
from tests.videos import source_of

STEP_NS = NS_PER_S // 2
BLOCK = 4
"""Pixels of the side of a block of the gate, in pictures that are not scaled."""
NUM = 8


def a_window(rgb, **video):
    plan = WindowPlan.of("v", "c", TimeRange(0, len(rgb) * STEP_NS), tuple(range(len(rgb))))
    return Window(
        plan=plan,
        shard_id="s",
        video=a_video(width=WIDTH, height=HEIGHT, **video),
        frame_pts=np.arange(len(rgb)),
        frame_ns=np.arange(len(rgb), dtype=np.int64) * STEP_NS,
        luma=rgb.mean(axis=3).astype(np.uint8),
        rgb=rgb,
    )


def pictures(*bright):
    """Grey pictures; cell (row 3, column 5) of those that are named is white."""
    rgb = np.full((NUM, HEIGHT, WIDTH, 3), 40, np.uint8)
    for i in bright:
        rgb[i, 3 * CELL : 4 * CELL, 5 * CELL : 6 * CELL] = 255
    return rgb


def moved(*blocks):
    mask = np.zeros((HEIGHT // BLOCK, WIDTH // BLOCK), np.bool_)
    for row, column in blocks:
        mask[row, column] = True
    return mask


def gate(folder, **config):
    return ObjectGate(ObjectGateConfig(model=str(folder), labels=("person",), **config))


@pytest.mark.parametrize("shown", [0, 3, NUM - 1])
def test_one_picture_with_an_object_is_enough(tmp_path, shown):
    person = gate(make_detector(tmp_path / "m"))
    assert person.wanted(a_window(pictures(shown)), moved())
    assert not person.wanted(a_window(pictures()), moved())


def test_an_object_that_is_not_believed_is_not_enough(tmp_path):
    # All pixels have 40 of 255 levels; a cell is an object from the threshold on.
    level = float(np.float32(40) / np.float32(255))
    for threshold, is_sent in ((level - 1e-4, True), (level + 1e-4, False)):
        label = PERSON | {"threshold": threshold, "keep": 0.1}
        model = make_detector(tmp_path / str(threshold), labels={"person": label})
        assert bool(gate(model).wanted(a_window(pictures()), moved())) is is_sent


@pytest.mark.parametrize("tell", [False, True])
def test_what_the_model_is_told_takes_every_look_else_the_first_object_ends_the_search(
    tmp_path, tell
):
    seen = gate(make_detector(tmp_path / "m"), tell=tell).wanted(a_window(pictures(1, 6)), moved())
    # The box reaches 1.5 cells from the middle of its cell, see below.
    box = (32.0, 16.0, 56.0, 40.0)
    assert [(one.at_ns, one.label, one.box) for one in seen] == [
        (at * STEP_NS, "person", box) for at in ((1, 6) if tell else (1,))
    ]


def test_as_many_pictures_are_looked_at_as_the_config_says(tmp_path):
    slow = gate(make_detector(tmp_path / "m"), fps=0.5)
    assert slow.wanted(a_window(pictures(4)), moved())  # the first look after two seconds
    assert not slow.wanted(a_window(pictures(2)), moved())


# The box reaches 1.5 cells from the middle of the cell at row 3, column 5: pixels 32 to 56 across
# and 16 to 40 down, which are the blocks 8 to 13 and 4 to 9.
@pytest.mark.parametrize(
    ("blocks", "is_sent"),
    [
        ((), False),
        (((4, 8),), True),
        (((9, 13),), True),
        (((3, 8), (4, 7), (10, 13), (9, 14)), False),
    ],
)
def test_what_must_move_to_be_an_event_has_to_be_where_something_changed(tmp_path, blocks, is_sent):
    model = make_detector(tmp_path / "m", labels={"person": PERSON | {"moves": 0.3}})
    window = a_window(pictures(*range(NUM)))
    assert bool(gate(model).wanted(window, moved(*blocks))) is is_sent


def test_quiet_windows_say_why_and_all_windows_tile_the_video():
    # The lobby is empty until 6.1 s; a woman is there until 20.0, a man from 22.8 to 45.1.
    model = f"gate.objects.model={ROOT / 'models' / 'nanodet-g'}"
    settings = (
        *("engine={kind: openai, model: m, base_url: 'http://nowhere/v1'}", model),
        *("sample.fps=2", "plan.max_window_frames=4", "gate.kind=motion", "task.labels={a: b}"),
    )
    config = load_config(None, settings)
    planned = probe_and_plan(source_of(LOBBY), config)
    assert isinstance(planned, Planned)
    shard = planned.shards[0]
    results, sent, upto_ns = [], [], shard.span.start_ns
    for item in decode_and_gate(shard, config):
        span = item.plan.span if isinstance(item, Window) else item.span
        assert span.start_ns == upto_ns
        upto_ns = span.end_ns
        (sent if isinstance(item, Window) else results).append(item)
        if upto_ns > 50 * NS_PER_S:
            break
    sent_s = [window.plan.span.start_ns // NS_PER_S for window in sent]
    assert {8, 16, 24, 32, 40} <= {*sent_s}
    assert {one.quiet_reason for one in results} == {"nothing changes", "no person, vehicle"}
    assert all(one.status == "quiet" for one in results)
    provenance = Provenance(task="t", model="m", prompt_id="p", fingerprint="f", config="")
    table = windows_table([(planned.video, one) for one in results], provenance)
    assert [one.quiet_reason for one in window_results(table)] == [
        one.quiet_reason for one in results
    ]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"gate": {"kind": "none", "objects": {}}}, "set kind: motion"),
        ({"gate": {"kind": "motion", "objects": {}}}, "signals does not"),
        ({"gate": {"kind": "motion", "objects": {"labels": []}}}, "at least 1"),
        (
            {
                "engine": {"kind": "detector"},
                "gate": {"kind": "motion", "objects": {"tell": True}},
            },
            "detector is no model that can be told",
        ),
    ],
)
def test_a_gate_that_cannot_look_is_refused(settings, says):
    with pytest.raises(ValidationError, match=says):
        Config.model_validate(settings)


def test_an_unknown_label_or_model_is_named(tmp_path):
    model = make_detector(tmp_path / "m")
    with pytest.raises(EngineStartError, match=r"label cat: the detector bright knows person"):
        ObjectGate(ObjectGateConfig(model=str(model), labels=("cat",)))
    with pytest.raises(EngineStartError, match=r"has no model\.yaml"):
        gate(tmp_path)


def test_the_gate_decides_answers_but_its_threads_do_not():
    engine = "engine={kind: openai, model: m, base_url: 'http://h/v1'}"

    def fingerprint(*settings):
        return load_config(
            None, (engine, "task.labels={a: b}", "gate.kind=motion", *settings)
        ).fingerprint

    plain, gated = fingerprint(), fingerprint("gate.objects={}")
    assert plain != gated
    assert fingerprint("gate.objects.threads=2") == gated
    assert fingerprint("gate.objects.fps=1") != gated
    assert fingerprint("gate.objects={tell: false}") == gated
    assert fingerprint("gate.objects={tell: true}") != gated
    assert fingerprint("gate.objects=null") == plain
