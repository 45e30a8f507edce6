"""What objects do in zones: exact to the frame, however the footage is cut."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.config import Config, ZoneConfig
from pipeline.records import Box, Observation
from pipeline.stitch import events_of_video, join_files, zone_events
from pipeline.timebase import NS_PER_S, TimeRange
from tests.made import a_video

STEP_NS = NS_PER_S // 10
WIDTH, HEIGHT = 640, 480
SQUARE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))


def boxes(feet, first=0):
    """One box a tenth of a second, 40 x 60 pixels, standing at these shares of the picture."""
    return tuple(
        Box(
            at_ns=number * STEP_NS, x0=x * WIDTH - 20, x1=x * WIDTH + 20,
            y0=y * HEIGHT - 60, y1=y * HEIGHT,
        )
        for number, (x, y) in enumerate(feet, start=first)
    )  # fmt: skip


def video_of(name, first, stop):
    span = TimeRange(first * STEP_NS, stop * STEP_NS)
    return a_video(
        video_id=name, content_id=name, uri=f"{name}.mp4", width=WIDTH, height=HEIGHT,
        start_ns=0, footage=(span,),
    )  # fmt: skip


def walked(feet, cuts=(), files=(), label="person"):
    """The stored events of one walk, cut into windows and files before these frames."""
    borders = sorted({0, *cuts, *files, len(feet)})
    file_borders = sorted({0, *files, len(feet)})
    found = []
    for start, stop in pairwise(file_borders):
        observations = [
            Observation(
                window_id=f"w{low}",
                span=TimeRange(low * STEP_NS, high * STEP_NS),
                label=label, text=label, confidence=0.5, boxes=boxes(feet[low:high], low),
            )
            for low, high in pairwise(borders)
            if start <= low < stop
        ]  # fmt: skip
        found += events_of_video(
            video_of(f"v{start}", start, stop), observations, task="t", identity_fields=(),
            max_gap_ns=NS_PER_S, tracked=True,
        )  # fmt: skip
    return join_files(found, identity_fields=(), max_gap_ns=NS_PER_S, tracked=True)


def told(events, **zone):
    """Rule, first frame and the frame after the last of everything that a zone tells."""
    zone = ZoneConfig(**{"polygon": SQUARE} | zone if "line" not in zone else zone)
    return [
        (event.label, event.span.start_ns / STEP_NS, event.span.end_ns / STEP_NS)
        for event in zone_events(events, {"yard": zone})
    ]


ALL = ("in_zone", "enters", "leaves")
# Steps of 1/32 of the width: frame 7 stands exactly on the left border, frame 23 on the right one.
ACROSS = [((n + 1) / 32, 0.5) for n in range(30)]


def test_an_object_enters_with_the_first_frame_inside_and_leaves_with_the_first_outside():
    assert told(walked(ACROSS), rules=ALL) == [
        ("enters", 7, 8), ("in_zone", 7, 24), ("leaves", 24, 25)
    ]  # fmt: skip


def test_the_middle_of_the_lower_edge_is_where_an_object_is():
    above = [(0.5, 0.7499), (0.5, 0.75), (0.5, 0.7501)]
    assert told(walked(above), rules=("in_zone",)) == [("in_zone", 0, 2)]


def test_who_is_first_seen_inside_does_not_enter_and_who_is_last_seen_inside_does_not_leave():
    assert told(walked([(0.5, 0.5)] * 4), rules=ALL) == [("in_zone", 0, 4)]


@pytest.mark.parametrize(("seconds", "found"), [(1.7, 1), (1.701, 0)])
def test_who_stays_for_exactly_the_time_loiters(seconds, found):
    events = told(walked(ACROSS), loiters_s=seconds)
    assert events == [("loiters", 7, 24)] * found


@settings(max_examples=40)
@given(
    cuts=st.sets(st.integers(1, 29), max_size=5),
    files=st.sets(st.integers(1, 29), max_size=3),
)
def test_cuts_into_windows_and_files_change_nothing(cuts, files):
    whole, cut = walked(ACROSS), walked(ACROSS, cuts, files)
    assert told(cut, rules=ALL, loiters_s=1) == told(whole, rules=ALL, loiters_s=1)
    line = ((0.5, 0), (0.5, 1))
    assert told(cut, line=line) == told(whole, line=line)
    # Each piece tells of its own file alone.
    for event in zone_events(cut, {"yard": ZoneConfig(polygon=SQUARE, rules=ALL)}):
        assert event.span.start_ns == event.parts[0].span.start_ns
        assert event.span.end_ns == event.parts[-1].span.end_ns
        for part in event.parts:
            assert part.media == part.span  # these clocks begin at zero


@settings(max_examples=40)
@given(
    feet=st.lists(
        st.tuples(st.sampled_from([0.4, 0.5, 0.6]), st.sampled_from([0.2, 0.5, 0.8])),
        min_size=2, max_size=12,
    )
)  # fmt: skip
def test_crossings_of_a_line_alternate_between_its_sides(feet):
    found = zone_events(walked(feet), {"door": ZoneConfig(line=((0.5, 0), (0.5, 1)))})
    sides = [dict(event.fields)["direction"] for event in found]
    assert all(one != other for one, other in pairwise(sides))
    was_right, is_right = feet[0][0] < 0.5, feet[-1][0] < 0.5  # as one looks down the picture
    assert len(sides) % 2 == (was_right != is_right)


@pytest.mark.parametrize(
    ("line", "feet", "sides"),
    [
        # Down the picture: its left side is the right of the picture.
        (((0.5, 0), (0.5, 1)), [(0.4, 0.5), (0.6, 0.5)], ["left"]),
        (((0.5, 1), (0.5, 0)), [(0.4, 0.5), (0.6, 0.5)], ["right"]),
        # A point on the line is left of it.
        (((0.5, 0), (0.5, 1)), [(0.4, 0.5), (0.5, 0.5), (0.4, 0.5)], ["left", "right"]),
        (((0.5, 0), (0.5, 1)), [(0.6, 0.5), (0.5, 0.5), (0.6, 0.5)], []),
        # Past its end.
        (((0.5, 0), (0.5, 0.4)), [(0.4, 0.5), (0.6, 0.5)], []),
        # Through a corner of it: once.
        (((0.5, 0), (0.5, 0.5), (0.6, 1)), [(0.4, 0.5), (0.6, 0.5)], ["left"]),
        (((0.5, 0), (0.5, 1)), [(0.5, 0.2), (0.5, 0.8)], []),
    ],
)
def test_a_line_is_crossed_towards_a_side(line, feet, sides):
    found = zone_events(walked(feet), {"door": ZoneConfig(line=line)})
    assert [dict(event.fields)["direction"] for event in found] == sides


def test_so_many_objects_count_from_the_moment_the_last_of_them_comes():
    here = [(0.5, 0.5)] * 20
    early = walked(here)
    # Another one from frame 7 to 24 by files of its own, as its event began in another window.
    late = walked(ACROSS, files=(10,))
    assert told(early + late, min_count=2) == [("count", 7, 20)]
    assert told(early + late, min_count=3) == []
    [both] = zone_events(early + late, {"yard": ZoneConfig(polygon=SQUARE, min_count=2)})
    assert (both.of_event_id, both.text) == (None, "at least 2 objects in yard")


def test_labels_and_cameras_choose_what_a_zone_tells():
    assert told(walked(ACROSS), rules=ALL, labels=("vehicle",)) == []
    zones = {
        "yard": {"camera": "gate*", "polygon": SQUARE, "rules": ["enters"]},
        "door": {"camera": "gate[1]", "line": SQUARE[:2]},
    }
    config = Config(zones=zones)
    assert set(config.zones_of("gate1")) == {"yard", "door"}
    assert set(config.knowing({"gate1", "gate[1]"}).zones_of("gate1")) == {"yard"}
    assert config.zones_id("yard1") == ""
    assert config.zones_id("gate2") == Config(zones={"yard": zones["yard"]}).zones_id("gate3")
    assert config.zones_id("gate2") != Config(zones={"lawn": zones["yard"]}).zones_id("gate2")


def test_an_object_without_boxes_or_in_a_picture_of_unknown_size_is_nowhere():
    from dataclasses import replace

    [event] = walked(ACROSS)
    assert told([replace(event, boxes=(), joined=())], rules=ALL) == []
    assert told([replace(event, picture_width=None)], rules=ALL) == []


@pytest.mark.parametrize(
    ("zone", "reason"),
    [
        ({"rules": ["enters"]}, "either a polygon or a line"),
        ({"polygon": SQUARE, "line": SQUARE, "rules": ["enters"]}, "either a polygon or a line"),
        ({"polygon": SQUARE}, "needs rules"),
        ({"polygon": SQUARE[:2], "rules": ["enters"]}, "three different corners"),
        ({"line": SQUARE[:1]}, "two or more points"),
        ({"line": SQUARE, "rules": ["enters"]}, "crosses alone"),
        ({"polygon": [(0, 0), (1.1, 0), (1, 1)], "rules": ["enters"]}, "less than or equal to 1"),
        ({"polygon": SQUARE, "rules": ["crosses"]}, "'in_zone', 'enters' or 'leaves'"),
    ],
)
def test_a_zone_that_cannot_be_says_why(zone, reason):
    with pytest.raises(ValidationError, match=reason):
        ZoneConfig(**zone)


def test_no_zone_is_called_as_a_query_calls_what_is_in_none():
    with pytest.raises(ValidationError, match="another name"):
        Config(zones={"none": {"line": SQUARE}})
