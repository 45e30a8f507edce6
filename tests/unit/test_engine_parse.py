"""An answer is taken as it is, or refused with a reason; nothing is repaired."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.config.task import Task
from pipeline.config.task_field import TaskField
from pipeline.engine.parse import MAX_COPIES, MAX_REPEATS, parse_completion
from pipeline.engine.signals import SIGNALS_TASK
from pipeline.errors import WindowError
from pipeline.records import Box, WindowPlan
from pipeline.timebase import NS_PER_S, TimeRange
from tests.made import a_video

VIDEO = a_video()
# Ten seconds from 20 s on, two frames a second: 10 markers, so half a marker step is 0.5 s.
PLAN = WindowPlan(
    window_id="w",
    span=TimeRange(20 * NS_PER_S, 30 * NS_PER_S),
    frame_pts=tuple(range(20_000, 30_000, 500)),
)
TASK = Task(
    name="gate",
    labels={"enter": "comes in", "exit": "goes out"},
    prompt="Report.",
    fields={
        "color": TaskField(values=("red", "blue")),
        "shape": TaskField(values=("car", "box"), required=False),
    },
)
PROSE = Task(name="prose", labels={"enter": ""}, prompt="Report.", fields={"text": TaskField()})


def answer(*events, summary="s", **more) -> str:
    return json.dumps({"events": list(events), "summary": summary, **more})


def event(start=1.0, end=2.0, label="enter", **more):
    return {"color": "red", "shape": "car", "label": label, "start": start, "end": end, **more}


def told(text, start, end):
    return {"text": text, "label": "enter", "start": start, "end": end}


def parse(text, finish_reason="stop", *, plan=PLAN, task=TASK, video=VIDEO):
    return parse_completion(text, finish_reason, plan, task, video)


def seconds(observation):
    span = observation.span
    return span.start_ns / NS_PER_S, span.end_ns / NS_PER_S


def test_times_become_media_time_and_fields_keep_the_tasks_order():
    (one,), caption = parse(answer(event(1.25, 3.5), summary=" A red car enters. "))
    assert seconds(one) == (21.25, 23.5)
    assert one.window_id == "w"
    assert one.label == "enter"
    assert one.text == "red car enter"
    assert one.fields == (("color", "red"), ("shape", "car"))
    assert one.confidence is None
    assert one.boxes == ()
    assert caption == "A red car enters."


def test_an_optional_field_may_be_left_out():
    (one,), _ = parse(answer({"color": "blue", "label": "exit", "start": 0, "end": 1}))
    assert one.text == "blue exit"
    assert one.fields == (("color", "blue"),)


def test_nothing_seen_is_a_valid_answer():
    assert parse(answer(summary="")) == ((), "")


def test_a_task_without_summary_has_no_caption():
    task = TASK.model_copy(update={"summary": False})
    assert parse('{"events": []}', task=task) == ((), "")
    with pytest.raises(WindowError, match="unknown keys"):
        parse(answer(), task=task)


def test_the_text_field_is_the_events_text_and_no_field():
    (one,), _ = parse(answer(told("A man enters.", 0, 1)), task=PROSE)
    assert one.text == "A man enters."
    assert one.fields == ()


def test_any_label_will_do_in_an_open_vocabulary():
    task = Task(name="open", labels={"enter": ""}, vocabulary="open", prompt="Report.")
    (one,), _ = parse(answer({"label": " cat sleeps ", "start": 0, "end": 1}), task=task)
    assert one.label == "cat sleeps"
    assert one.text == "cat sleeps"


def test_what_the_signals_engine_adds_is_taken():
    text = answer(
        {
            "label": "motion",
            "start": 1,
            "end": 2,
            "text": "motion at the left",
            "confidence": 0.75,
            "boxes": [[1.0, 10, 20, 30, 40], [1.5, -5, 0, 700, 360]],
        }
    )
    (one,), _ = parse(text, task=SIGNALS_TASK)
    assert one.text == "motion at the left"
    assert one.confidence == 0.75
    assert one.boxes == (
        Box(at_ns=21 * NS_PER_S, x0=10, y0=20, x1=30, y1=40),
        Box(at_ns=21_500_000_000, x0=0, y0=0, x1=640, y1=360),
    )


def test_boxes_are_kept_to_the_upright_picture():
    from dataclasses import replace

    text = answer({"label": "motion", "start": 1, "end": 2, "boxes": [[1, 0, 0, 999, 999]]})
    (one,), _ = parse(text, task=SIGNALS_TASK, video=replace(VIDEO, rotation=90))
    assert (one.boxes[0].x1, one.boxes[0].y1) == (360, 640)


@pytest.mark.parametrize(
    ("confidence", "reason"), [(1.5, "between 0 and 1"), ("high", "must be a number")]
)
def test_a_confidence_is_a_probability(confidence, reason):
    told = {"label": "motion", "start": 1, "end": 2, "confidence": confidence}
    with pytest.raises(WindowError, match=reason):
        parse(answer(told), task=SIGNALS_TASK)


def test_an_engine_without_a_prompt_may_report_as_much_as_it_sees():
    many = [{"label": "motion", "start": i / 10, "end": (i + 1) / 10} for i in range(90)]
    observations, _ = parse(answer(*many), task=SIGNALS_TASK)
    assert len(observations) == 90


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 10, (20, 30)),
        (-0.5, 10.5, (20, 30)),  # half a marker step outside: a rounded marker
        (3, 3, (23, 23.5)),  # an instant lasts until the next frame
        (3.4, 3.4, (23.4, 23.5)),
        (3.2, 3.2, (23, 23.5)),  # a marker stands for both frames of its patch
        (1.2, 3.2, (21, 23.5)),
        (1.3, 3.3, (21.3, 23.3)),  # between markers: as told
        (9.5, 9.5, (29.5, 30)),  # the last frame lasts until the window ends
        (10, 10, (29.5, 30)),
        (10.4, 10.4, (29.5, 30)),
        (-0.2, -0.1, (20, 20.5)),
    ],
)
def test_times_at_the_borders(start, end, expected):
    (one,), _ = parse(answer(event(start, end)))
    assert seconds(one) == expected


def test_a_window_of_one_frame_can_hold_an_instant():
    plan = WindowPlan(window_id="w", span=TimeRange(0, NS_PER_S), frame_pts=(0,))
    for at in (0, 0.5, 1):
        (one,), _ = parse(answer(event(at, at)), plan=plan)
        assert one.span.end_ns == NS_PER_S


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("Sorry, I cannot.", "not JSON"),
        ('{"events": [], "summary": ""', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"events": [], "summary": ""} and more', "not JSON"),
        ('{"events": [], "summary": "", "events": []}', "the key 'events' occurs twice"),
        (answer(event()).replace('"start"', '"\\u0073tart": 0, "start"'), "'start' occurs twice"),
        ('{"events": [], "summary": ""' + ', "x": 1' * 99_999 + "}", "'x' occurs twice"),
        ("[]", "must be an object"),
        ('{"summary": ""}', "lacks events"),
        ('{"events": []}', "lacks summary"),
        ('{"events": {}, "summary": ""}', "must be a list"),
        (answer(thoughts="hm"), "unknown keys"),
        (answer("red car"), "must be an object"),
        (answer(summary=None), "summary must be text"),
        (answer(summary="x" * 1201), "more than 1200"),
        (answer(summary="\ud800"), "not Unicode"),
        (answer({"label": "enter", "start": 0, "end": 1}), "lacks color"),
        (answer({"color": "red", "start": 0, "end": 1}), "lacks label"),
        (answer(event(size="big")), "unknown keys"),
        (answer(event(label="fly")), "none of enter, exit"),
        (answer(event(label=None)), "must be text"),
        (answer(event(color="green")), "none of red, blue"),
        (answer(event(color=1)), "must be text"),
        (answer(event(start="1")), "must be a number"),
        (answer(event(start=True)), "must be a number"),
        (answer(event()).replace("1.0", "NaN"), "no number"),
        (answer(event()).replace("1.0", "1e999"), "not finite"),
        (answer(event()).replace("1.0", "9" * 400), "not finite"),
        (answer(event()).replace("1.0", "9" * 5000), "not JSON"),
        (answer(event(3, 2)), "before it starts"),
        (answer(event(-0.51, 2)), "outside the window"),
        (answer(event(1, 10.51)), "outside the window"),
        (answer(event(45, 45)), "outside the window of 10.0 s"),
        (answer(event(boxes={})), "must be a list"),
        (answer(event(boxes=[[1, 2, 3, 4]])), "must be \\[seconds"),
        (answer(event(boxes=[[1, 9, 0, 5, 5]])), "x0 <= x1"),
        (answer(event(boxes=[[99, 0, 0, 5, 5]])), "outside the window"),
        (answer(*[event()] * 17), "at most 16"),
    ],
)
def test_an_answer_that_breaks_a_rule_is_refused_with_the_reason(text, reason):
    with pytest.raises(WindowError, match=reason):
        parse(text)


def test_a_text_longer_than_the_task_allows_is_refused():
    with pytest.raises(WindowError, match="401 characters, more than 400"):
        parse(answer(told("x" * 401, 0, 1)), task=PROSE)


def test_an_empty_label_is_refused():
    task = Task(name="open", labels={"enter": ""}, vocabulary="open", prompt="Report.")
    with pytest.raises(WindowError, match="is empty"):
        parse(answer({"label": "  ", "start": 0, "end": 1}), task=task)


def test_a_cut_off_answer_is_refused_even_if_it_reads_well():
    with pytest.raises(WindowError, match="cut off"):
        parse(answer(), finish_reason="length")
    with pytest.raises(WindowError, match="gave up"):
        parse(answer(), finish_reason="abort")


def test_the_same_sentence_over_and_over_is_a_loop():
    loop = [told("A man stands at the door.", i, i + 1) for i in range(MAX_REPEATS + 1)]
    with pytest.raises(WindowError, match=r"tells .* 9 times"):
        parse(answer(*loop), task=PROSE)
    observations, _ = parse(answer(*loop[:-1]), task=PROSE)
    assert len(observations) == MAX_REPEATS


def test_a_busy_door_is_no_loop():
    busy = [event(i / 2, i / 2 + 0.4 + 0.3 * (i % 3)) for i in range(16)]
    observations, _ = parse(answer(*busy))
    assert len(observations) == 16


def test_one_event_that_comes_again_and_again_by_the_clock_is_a_loop():
    loop = [event(i / 2, i / 2 + 0.5) for i in range(MAX_REPEATS + 1)]
    with pytest.raises(WindowError, match=r"every 0.5 s, 9 times"):
        parse(answer(*loop))
    observations, _ = parse(answer(*loop[:-1]))
    assert len(observations) == MAX_REPEATS
    both = [one for i in range(8) for one in (event(i, i + 1), event(i, i + 1, color="blue"))]
    observations, _ = parse(answer(*both))
    assert len(observations) == 16


def test_the_same_event_at_the_same_time_may_be_two_but_not_any_number():
    observations, _ = parse(answer(*[event(1, 2)] * MAX_COPIES))
    assert len(observations) == MAX_COPIES
    with pytest.raises(WindowError, match=r"at 1 5 times"):
        parse(answer(*[event(1, 2)] * (MAX_COPIES + 1)))


def test_a_caption_that_goes_round_in_circles_is_refused():
    with pytest.raises(WindowError, match="the summary tells 'a man walks' 5 times"):
        parse(answer(summary="A man walks. " * (MAX_COPIES + 1)))
    _, caption = parse(answer(summary="A man walks. " * MAX_COPIES))
    assert caption.startswith("A man walks.")


def test_the_probability_of_the_label_is_the_events_confidence_whatever_the_model_says():
    both = answer(event(1, 2, confidence=0.99), event(3, 4))
    observations, _ = parse_completion(both, "stop", PLAN, TASK, VIDEO, confidences=(0.5, 0.25))
    assert [one.confidence for one in observations] == [0.5, 0.25]
    (one, _), _ = parse(both)
    assert one.confidence is None


def test_reasons_are_short_and_printable():
    with pytest.raises(WindowError) as caught:
        parse("\x00\ud83d\ude00\n" * 10_000)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["enter", "red", "car"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["events", "summary", "label", "start", "end", "color", "text", "boxes", "x"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)
EVENT = st.fixed_dictionaries(
    {"label": st.just("enter") | JSON, "start": st.floats(-1, 11) | JSON, "end": JSON},
    optional={"color": st.just("red") | JSON, "boxes": JSON, "confidence": JSON, "text": JSON},
)
ANSWERS = (
    st.text()
    | JSON.map(json.dumps)
    | st.builds(answer, EVENT, EVENT, summary=st.text(max_size=8))
    | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))
)


@given(text=ANSWERS, task=st.sampled_from([TASK, PROSE, SIGNALS_TASK]))
@example(text='{"events": [' + "[" * 900 + "]" * 900 + '], "summary": ""}', task=TASK)
def test_whatever_the_text_it_is_parsed_or_refused(text, task):
    try:
        observations, caption = parse(text, task=task)
    except WindowError:
        return
    for one in observations:
        assert PLAN.span.start_ns <= one.span.start_ns < one.span.end_ns <= PLAN.span.end_ns
        one.text.encode()
    caption.encode()


@given(
    times=st.lists(st.floats(0, 10), min_size=2, max_size=2).map(sorted),
    label=st.sampled_from(["enter", "exit"]),
)
def test_every_valid_answer_is_taken(times, label):
    (one,), _ = parse(answer(event(*times, label=label)))
    assert abs(one.span.start_ns - (20 + times[0]) * NS_PER_S) <= 0.5 * NS_PER_S
    assert one.label == label
