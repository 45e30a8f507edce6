"""Boxes: from a model's thousandths to pixels of the source, and from windows to tracks.

The source's pixels are those of real videos, rotated ones and such with oblong pixels too: a mark
at a known place is found again at the place that its thousandths name.
"""

import json
from dataclasses import replace
from fractions import Fraction

import av
import jsonschema
import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.config import FrameConfig
from pipeline.config.task import Task
from pipeline.engine.parse import parse_completion
from pipeline.engine.signals import SIGNALS_TASK
from pipeline.errors import WindowError
from pipeline.media.pixels import Converter
from pipeline.records import Box, Observation, WindowPlan
from pipeline.stitch import events_of_video, join_files
from pipeline.timebase import NS_PER_S, NS_PER_US, TimeRange
from tests.made import a_video

TASK = Task(name="t", labels={"car": "a car"}, prompt="Report.", boxes=True, max_boxes=4)
# Ten seconds from 20 s on, two frames a second: 10 markers, so half a marker step is 0.5 s.
PLAN = WindowPlan(
    window_id="w",
    span=TimeRange(20 * NS_PER_S, 30 * NS_PER_S),
    frame_pts=tuple(range(20_000, 30_000, 500)),
)
VIDEO = a_video(width=640, height=360)


def answer(*boxes, start=1.2, end=8.2):
    event = {"label": "car", "start": start, "end": end, "boxes": list(boxes)}
    return json.dumps({"events": [event], "summary": ""})


def at(time, *sides):
    return {"time": time, "bbox_2d": list(sides)}


def parse(text, *, video=VIDEO, task=TASK):
    (one,), _ = parse_completion(text, "stop", PLAN, task, video)
    return one.boxes


def test_thousandths_become_pixels_of_the_source_to_a_tenth():
    [box] = parse(answer(at(3.25, 0, 1, 333, 1000)))
    # 333 * 640 / 1000 = 213.12; 1 * 360 / 1000 = 0.36
    assert (box.x0, box.y0, box.x1, box.y1) == (0.0, 0.4, 213.1, 360.0)
    assert box.at_ns == 23_250_000_000


def test_a_rotated_source_is_measured_upright():
    [box] = parse(answer(at(3.25, 0, 0, 500, 1000)), video=replace(VIDEO, rotation=90))
    assert (box.x1, box.y1) == (180.0, 640.0)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("sar", [Fraction(1), Fraction(16, 11), Fraction(1, 2)])
def test_where_the_model_sees_a_mark_is_where_the_source_has_it(rotation, sar):
    """The model's picture is the whole source picture, whatever its rotation and pixel shape."""
    video = replace(VIDEO, width=704, height=576, rotation=rotation)
    upright = (704, 576) if rotation % 180 == 0 else (576, 704)
    x0, y0, x1, y1 = 0.25, 0.5, 0.375, 0.625  # as shares of the upright picture
    picture = np.zeros((upright[1], upright[0], 3), np.uint8)
    picture[
        round(y0 * upright[1]) : round(y1 * upright[1]),
        round(x0 * upright[0]) : round(x1 * upright[0]),
    ] = 255
    lying = np.ascontiguousarray(np.rot90(picture, -(rotation // 90)))
    frame = av.VideoFrame.from_ndarray(lying, format="rgb24")
    size = FrameConfig(rgb_max_pixels=448 * 448)
    seen = Converter(video, sar=sar, frame=size, rgb=True).colour(frame).rgb()
    rows, columns = np.nonzero(seen[:, :, 0] > 127)
    height, width = seen.shape[:2]
    thousandths = [
        round(1000 * columns.min() / width), round(1000 * rows.min() / height),
        round(1000 * (columns.max() + 1) / width), round(1000 * (rows.max() + 1) / height),
    ]  # fmt: skip
    [box] = parse(answer(at(3.25, *thousandths)), video=video)
    wanted = (x0 * upright[0], y0 * upright[1], x1 * upright[0], y1 * upright[1])
    # A pixel of the small picture.
    near = max(upright[0] / width, upright[1] / height) + 1
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx(wanted, abs=near)


def test_boxes_come_by_time_and_within_their_event():
    boxes = parse(answer(at(8.6, 0, 0, 9, 9), at(0.8, 0, 0, 9, 9), at(5.25, 0, 0, 9, 9)))
    times = [box.at_ns for box in boxes]
    # From the first frame of the first patch to just before the last frame of the last.
    assert times == [21 * NS_PER_S, 25_250_000_000, 28_500_000_000 - NS_PER_US]


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        ([at(3, 0, 0, 1001, 9)], "1000 must hold"),
        ([at(3, -1, 0, 9, 9)], "1000 must hold"),
        ([at(3, 9, 0, 8, 9)], "min <= max"),
        ([at(3, 0, 9, 9, 8)], "min <= max"),
        ([at(3, 0, 0, 9)], "x_min"),
        ([at(3, 0, 0, 9, "9")], "number"),
        ([[3, 0, 0, 9, 9]], "object"),
        ([{"time": 3}], "lacks bbox_2d"),
        ([at(9.5, 0, 0, 9, 9)], "outside its event"),
        ([at(3, 0, 0, 9, 9), at(3, 5, 5, 9, 9)], "two boxes at one time"),
        ([at(n, 0, 0, 9, 9) for n in range(2, 7)], "at most 4"),
    ],
)
def test_a_box_that_cannot_be_is_refused(boxes, reason):
    with pytest.raises(WindowError, match=reason):
        parse(answer(*boxes))


def test_an_answer_without_boxes_is_refused_and_the_empty_list_is_none():
    text = json.dumps({"events": [{"label": "car", "start": 1, "end": 2}], "summary": ""})
    with pytest.raises(WindowError, match="lacks boxes"):
        parse(text)
    assert parse(answer()) == ()


def test_the_schema_and_the_question_ask_for_boxes_only_where_the_task_does():
    schema = TASK.json_schema()
    jsonschema.validate(json.loads(answer(at(3.25, 0, 0, 1000, 1000))), schema)
    for wrong in (at(3, 0, 0, 1001, 9), at(3, 0, 0, 9), {"time": 3}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(json.loads(answer(wrong)), schema)
    assert "bbox_2d" in TASK.question
    assert "at most 4" in TASK.question
    sanitized = TASK.model_copy(update={"boxes": False})
    assert "boxes" not in json.dumps(sanitized.json_schema()) + sanitized.question


def test_boxes_need_somebody_to_ask():
    with pytest.raises(ValidationError, match="need a prompt"):
        Task.model_validate(SIGNALS_TASK.model_dump() | {"boxes": True})


# Tracks


def seen(window, start, end, *boxes):
    """Boxes are (second, left edge): 100 pixels wide and high."""
    return Observation(
        window_id=window,
        span=TimeRange(start * NS_PER_S, end * NS_PER_S),
        label="car",
        text="a car",
        confidence=None,
        boxes=tuple(
            Box(at_ns=round(s * NS_PER_S), x0=x, y0=0, x1=x + 100, y1=100) for s, x in boxes
        ),
    )


def tracks(*observations, tracked=True):
    events = events_of_video(
        VIDEO, observations, task="t", identity_fields=(), max_gap_ns=2 * NS_PER_S, tracked=tracked
    )
    return [[box.x0 for box in event.boxes] for event in events]


def test_an_object_goes_on_where_it_was_last_seen():
    assert tracks(seen("w1", 0, 10, (9, 50)), seen("w2", 10, 20, (10, 60))) == [[50, 60]]


def test_an_object_that_moves_goes_on_where_its_speed_takes_it():
    # 120 pixels a second: its boxes do not even touch, yet it is one car.
    first = seen("w1", 0, 10, (8, 0), (9, 120))
    assert tracks(first, seen("w2", 10, 20, (10, 240))) == [[0, 120, 240]]
    assert tracks(first, seen("w2", 10, 20, (10, 400))) == [[0, 120], [400]]


@pytest.mark.parametrize(("x", "joined"), [(53, True), (54, False)])
def test_the_least_overlap_is_that_of_sort(x, joined):
    # 47 of 100 pixels in common: 47 / 153 = 0.307; 46 / 154 = 0.299.
    assert len(tracks(seen("w1", 0, 10, (9, 0)), seen("w2", 10, 20, (10, x)))) == 2 - joined


def test_of_two_objects_each_goes_on_as_itself():
    first = [seen("w1", 0, 10, (9, 0)), seen("w1", 0, 10, (9, 40))]
    then = [seen("w2", 10, 20, (10, 45)), seen("w2", 10, 20, (10, 5))]
    assert sorted(tracks(*first, *then)) == [[0, 5], [40, 45]]


def test_where_a_side_has_no_box_label_and_time_decide_alone():
    assert tracks(seen("w1", 0, 10), seen("w2", 10, 20, (10, 400))) == [[400]]
    far = (seen("w1", 0, 10, (9, 0)), seen("w2", 10, 20, (10, 400)))
    assert tracks(*far, tracked=False) == [[0, 400]]


def test_a_track_goes_on_over_the_border_of_two_files():
    early = events_of_video(
        VIDEO, [seen("w1", 50, 60, (59, 0))], task="t", identity_fields=(), max_gap_ns=0
    )
    later = replace(VIDEO, video_id="next", start_ns=60 * NS_PER_S)
    for x, parts in ((10, [2]), (500, [1, 1])):
        then = events_of_video(
            later, [seen("w2", 0, 9, (0, x))], task="t", identity_fields=(), max_gap_ns=0
        )
        joined = join_files([*early, *then], identity_fields=(), max_gap_ns=NS_PER_S, tracked=True)
        assert [len(event.parts) for event in joined] == parts
