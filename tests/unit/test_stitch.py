from pipeline.records import Box, Observation
from pipeline.records.pieces import without_pieces
from pipeline.stitch import events_of_video, join_files
from pipeline.timebase import NS_PER_S, TimeRange
from tests.made import a_video


def without_videos(event, video_ids):
    return without_pieces(event, lambda piece: piece.parts[0].video_id in video_ids)


def seconds(start, end):
    return TimeRange(round(start * NS_PER_S), round(end * NS_PER_S))


def make_video(name="v", *, start_s=0, camera="cam"):
    return a_video(
        video_id=name,
        content_id=name,
        uri=f"{name}.mp4",
        camera=camera,
        start_ns=start_s * NS_PER_S,
        footage=(seconds(0, 60),),
    )


def observation(window, start, end, label="motion", **more):
    return Observation(
        window_id=window, span=seconds(start, end), label=label, text=f"{label} in {window}",
        confidence=more.pop("confidence", None), **more,
    )  # fmt: skip


def stitched(*observations, gap_s=2.0, identity=(), video=None):
    events = events_of_video(
        video or make_video(),
        observations,
        task="t",
        identity_fields=identity,
        max_gap_ns=round(gap_s * NS_PER_S),
    )
    return [(e.span.start_ns / NS_PER_S, e.span.end_ns / NS_PER_S, e.label) for e in events]


def test_an_event_that_continues_across_a_window_border_is_one_event():
    assert stitched(observation("w1", 5, 16), observation("w2", 16, 20)) == [(5, 20, "motion")]


def test_a_pause_of_exactly_the_gap_is_joined_and_a_nanosecond_more_is_not():
    assert len(stitched(observation("w1", 0, 10), observation("w2", 12, 20), gap_s=2.0)) == 1
    assert len(stitched(observation("w1", 0, 10), observation("w2", 12 + 1e-9, 20), gap_s=2.0)) == 2


def test_two_observations_in_one_window_stay_two_events():
    assert len(stitched(observation("w1", 0, 5), observation("w1", 5, 9))) == 2
    assert len(stitched(observation("w1", 0, 5), observation("w1", 3, 9))) == 2


def test_equal_observations_of_a_window_are_two_events_with_different_reproducible_ids():
    # Two people may enter together; a window that is answered again gives the same ids.
    twice = [
        observation("w1", 0, 5),
        observation("w1", 0, 5),
        observation("w1", 0, 5, label="black"),
    ]
    first, again = (
        events_of_video(make_video(), twice, task="t", identity_fields=(), max_gap_ns=0)
        for _ in range(2)
    )
    assert len({event.event_id for event in first}) == 3
    assert [event.event_id for event in first] == [event.event_id for event in again]


def test_each_event_has_at_most_one_successor():
    events = stitched(
        observation("w1", 0, 10),
        observation("w1", 4, 10),
        observation("w2", 10, 20),
        observation("w2", 11, 14),
        gap_s=2.0,
    )
    assert events == [(0, 20, "motion"), (4, 14, "motion")]


def test_observations_with_different_labels_or_identity_fields_are_never_joined():
    assert len(stitched(observation("w1", 0, 10, "enter"), observation("w2", 10, 12, "exit"))) == 2
    red, blue = (("color", "red"),), (("color", "blue"),)
    pair = (observation("w1", 0, 10, fields=red), observation("w2", 10, 12, fields=blue))
    assert len(stitched(*pair, identity={"color"})) == 2
    assert len(stitched(*pair, identity=())) == 1


def test_an_event_runs_through_as_many_windows_as_it_takes():
    windows = [observation(f"w{n}", 10 * n, 10 * n + 10) for n in range(5)]
    assert stitched(*reversed(windows)) == [(0, 50, "motion")]


def test_confidence_is_weighted_by_duration_and_boxes_are_in_utc():
    box = Box(at_ns=3 * NS_PER_S, x0=0, y0=0, x1=1, y1=1)
    [event] = events_of_video(
        make_video(start_s=100),
        [
            observation("w1", 0, 30, confidence=1.0, boxes=(box,)),
            observation("w2", 30, 40, confidence=0.2),
        ],
        task="t",
        identity_fields=(),
        max_gap_ns=0,
    )
    assert abs(event.confidence - 0.8) < 1e-7  # a table stores 32 bits
    assert event.boxes[0].at_ns == 103 * NS_PER_S
    assert event.window_ids == ("w1", "w2")


def two_files():
    first = events_of_video(
        make_video("a", start_s=0),
        [observation("w1", 50, 60)],
        task="t",
        identity_fields=(),
        max_gap_ns=0,
    )
    second = events_of_video(
        make_video("b", start_s=60),
        [observation("w2", 0, 9)],
        task="t",
        identity_fields=(),
        max_gap_ns=0,
    )
    return first, second


def test_an_event_over_a_file_border_is_one_event_with_a_part_per_file():
    first, second = two_files()
    [event] = join_files([*second, *first], identity_fields=(), max_gap_ns=0)
    assert event.span == seconds(50, 69)
    assert [(part.video_id, part.media) for part in event.parts] == [
        ("a", seconds(50, 60)),
        ("b", seconds(0, 9)),
    ]
    assert event.event_id == first[0].event_id


def test_joining_joined_events_again_changes_nothing():
    first, second = two_files()
    joined = join_files([*first, *second], identity_fields=(), max_gap_ns=0)
    assert join_files(joined, identity_fields=(), max_gap_ns=0) == joined


def test_two_events_of_one_file_are_not_joined_by_the_file_border_rule():
    first, _ = two_files()
    again = events_of_video(
        make_video("a"), [observation("w3", 60, 61)], task="t", identity_fields=(), max_gap_ns=0
    )
    assert len(join_files([*first, *again], identity_fields=(), max_gap_ns=NS_PER_S)) == 2


def test_an_event_without_the_pieces_of_one_file_is_the_event_of_the_other_file():
    first, second = two_files()
    [event] = join_files([*first, *second], identity_fields=(), max_gap_ns=0)
    assert without_videos(event, {"a", "b"}) == []
    assert without_videos(event, {"c"}) == [event]
    assert without_videos(event, {"a"}) == second
    assert without_videos(event, {"b"}) == first


def test_an_event_without_a_file_in_its_middle_is_two_events():
    names = ("a", "b", "c")
    files = [
        events_of_video(
            make_video(name, start_s=60 * number), [observation("w", 0, 60)],
            task="t", identity_fields=(), max_gap_ns=0,
        )
        for number, name in enumerate(names)
    ]  # fmt: skip
    [event] = join_files(
        [piece for events in files for piece in events], identity_fields=(), max_gap_ns=0
    )
    assert [e.parts[0].video_id for e in without_videos(event, {"b"})] == ["a", "c"]
    assert [e.span for e in without_videos(event, {"b"})] == [seconds(0, 60), seconds(120, 180)]


def slides(first, second):
    events = events_of_video(
        make_video(),
        [observation("w1", 0, 10, fields=first), observation("w2", 10, 20, fields=second)],
        task="t",
        identity_fields=(),
        max_gap_ns=0,
        matching_fields=("title",),
    )
    return len(events)


def test_different_words_make_the_next_slide_another_event():
    budget = (("title", "Budget 2026: costs"),)
    assert slides(budget, (("title", "budget 2026 costs, page 1"),)) == 1
    assert slides(budget, (("title", "Budget 2027 plan"),)) == 2
    assert slides(budget, (("title", "The team"),)) == 2
    assert slides((("title", "预算表格"),), (("title", "预算表"),)) == 1
    assert slides(budget, ()) == slides(budget, (("other", "x"),)) == 1
