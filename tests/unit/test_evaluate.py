"""The scores, on cases small enough to be counted by hand; borders get a value on them."""

import json
from dataclasses import replace

import pytest

from pipeline.errors import ConfigError
from pipeline.evaluation.matching import TimedEvent, side_by_side, tiou
from pipeline.evaluation.scores import NOTHING, Footage, evaluate, f1
from pipeline.evaluation.truth import read_found, read_truth
from pipeline.index import Writer
from tests import index_rows
from tests.index_rows import at


def event(label="loiter", start_s=0.0, end_s=10.0, *, group="a", **fields):
    return TimedEvent(
        group=group,
        label=label,
        fields=tuple(sorted(fields.items())),
        start_s=start_s,
        end_s=end_s,
    )


def scores(truth, found, *, groups=("a",), hours=1.0, step_s=1.0):
    footage = Footage(groups=groups, hours=hours, sample_step_s=dict.fromkeys(groups, step_s))
    return evaluate(truth, found, footage)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 10), (0, 10), 1.0),
        ((0, 10), (0, 5), 0.5),
        ((0, 10), (10, 20), 0.0),
        ((0, 10), (30, 40), 0.0),
        ((4, 4), (4, 4), 1.0),
        ((4, 4), (5, 5), 0.0),
        ((4, 4), (3, 5), 0.0),
    ],
)
def test_tiou(first, second, expected):
    one, other = (event(start_s=start, end_s=end) for start, end in (first, second))
    assert tiou(one, other) == tiou(other, one) == expected


def test_all_right_is_one_and_nothing_of_nothing_is_one_too():
    truth = [event(), event("pass_left", 3, 9, color="red")]
    result = scores(truth, truth)
    for name in ("event_f1", "event_f1_with_fields", "event_f1_within_a_step", "label_f1"):
        assert result[name] == 1.0
    assert result["start_error_s"] == result["end_error_s"] == 0.0
    assert scores([], [])["event_f1"] == 1.0
    assert f1(0, 0, 3) == 0.0


def test_an_overlap_of_exactly_half_counts_and_less_does_not():
    truth = [event(start_s=0, end_s=10)]
    assert scores(truth, [event(start_s=0, end_s=5)])["event_f1"] == 1.0
    assert scores(truth, [event(start_s=0, end_s=4.999)])["event_f1"] == 0.0


def test_one_sample_off_at_both_ends_is_within_a_step_and_more_is_not():
    truth = [event(start_s=10, end_s=12)]
    for found, expected in (
        (event(start_s=11, end_s=13), 1.0),
        (event(start_s=9, end_s=13), 1.0),
        (event(start_s=11.01, end_s=13), 0.0),
        (event(start_s=10, end_s=13.01), 0.0),
    ):
        assert scores(truth, [found])["event_f1_within_a_step"] == expected


def test_a_step_of_decimal_times_is_a_step():
    # 0.3 - 0.1 is more than 0.2 in floating point.
    truth, found = [event(start_s=0.1, end_s=1.0)], [event(start_s=0.3, end_s=1.0)]
    assert scores(truth, found, step_s=0.2)["event_f1_within_a_step"] == 1.0


def test_each_event_is_used_once_and_the_better_overlap_wins():
    truth = [event(start_s=0, end_s=10)]
    found = [event(start_s=1, end_s=11), event(start_s=0, end_s=10)]
    result = scores(truth, found)
    assert (result["event_precision"], result["event_recall"]) == (0.5, 1.0)
    assert result["start_error_s"] == 0.0
    assert result["false_events_per_hour"] == 1.0


def test_groups_do_not_mix():
    result = scores([event(group="a")], [event(group="b")], groups=("a", "b"))
    assert result["event_f1"] == result["label_f1"] == 0.0
    assert result["empty_groups"] == {"num": 1, "num_without_events": 0}


def test_label_f1_ignores_times_and_fields_do_not_matter_but_where_asked():
    truth = [event("pass_left", 0, 10, color="red")]
    found = [event("pass_left", 50, 60, color="blue")]
    assert scores(truth, found)["label_f1"] == 1.0
    assert scores(truth, found)["event_f1"] == 0.0
    at_its_time = [event("pass_left", 0, 10, color="blue")]
    assert scores(truth, at_its_time)["event_f1"] == 1.0
    assert scores(truth, at_its_time)["event_f1_with_fields"] == 0.0


def test_identified_events_have_their_errors_even_without_overlap():
    truth = [event("pass_left", 0, 10, color="red"), event("loiter", 0, 5)]
    found = [event("pass_left", 20, 40, color="red")]
    result = scores(truth, found, step_s=2.0)
    assert result["identity_recall"] == 0.5
    assert result["identified_start_error_s"] == 20.0
    assert result["identified_end_error_s"] == 30.0
    assert result["identified_start_error_steps"] == 10.0


def test_confusion_pairs_the_right_label_first_and_names_the_missed_and_the_invented():
    truth = [event("pass_left", 0, 10), event("loiter", 0, 10), event("door_open", 50, 60)]
    found = [event("loiter", 0, 10), event("pass_right", 0, 9), event("light_off", 80, 90)]
    assert scores(truth, found)["confusion"] == {
        NOTHING: {"light_off": 1},
        "door_open": {NOTHING: 1},
        "loiter": {"loiter": 1},
        "pass_left": {"pass_right": 1},
    }


def test_per_label_counts():
    truth = [event("loiter", 0, 10), event("loiter", 20, 30), event("door_open", 0, 10)]
    found = [event("loiter", 0, 10), event("light_off", 0, 10)]
    assert scores(truth, found)["per_label"] == {
        "door_open": {"num_truth": 1, "num_found": 0, "num_matches": 0, "event_f1": 0.0},
        "light_off": {"num_truth": 0, "num_found": 1, "num_matches": 0, "event_f1": 0.0},
        "loiter": {"num_truth": 2, "num_found": 1, "num_matches": 1, "event_f1": 0.6667},
    }


def sure(start_s, confidence, label="loiter"):
    return replace(event(label, start_s, start_s + 10), confidence=confidence)


def test_confidences_are_held_against_what_was_right():
    truth = [event(start_s=at, end_s=at + 10) for at in (0, 100, 200)]
    found = [sure(0, 0.95), sure(100, 0.95), sure(200, 0.75), sure(300, 0.75), sure(400, 0.05)]
    told = scores(truth, found)["calibration"]
    assert told["num"] == 5
    assert [(row["from"], row["num"], row["precision"]) for row in told["bins"]] == [
        (0.0, 1, 0.0),
        (0.7, 2, 0.5),
        (0.9, 2, 1.0),
    ]
    assert told["ece"] == pytest.approx((0.05 + 2 * 0.25 + 2 * 0.05) / 5)
    errors = (0.05**2, 0.05**2, 0.25**2, 0.75**2, 0.05**2)
    assert told["brier"] == pytest.approx(sum(errors) / 5, abs=1e-4)


def test_of_two_alike_only_one_is_right_and_without_confidences_nothing_is_said():
    doubled = scores([event()], [sure(0, 1.0), sure(0, 1.0)])["calibration"]
    assert doubled["bins"][0]["precision"] == 0.5
    assert scores([event()], [event()])["calibration"] is None


def test_side_by_side_shows_every_event_once_matched_missed_or_invented():
    truth = [event("loiter", 0, 10), event("door_open", 20, 30), event("loiter", 50, 60)]
    found = [event("loiter", 1, 10), event("door_open", 40, 45)]
    assert side_by_side(truth, found) == [
        (truth[0], found[0]),
        (truth[1], None),
        (None, found[1]),
        (truth[2], None),
    ]


def as_json(camera="cam01", label="loiter", start="1970-01-01T00:00:01.500Z", **more):
    return {
        "camera": camera,
        "label": label,
        "start": start,
        "end": "1970-01-01T01:00:02+01:00",
        **more,
    }


def written(folder, events, files=()):
    path = folder / "truth.json"
    path.write_text(json.dumps({"events": events, "files": list(files)}))
    return path


def test_events_come_from_json_with_their_zone(tmp_path):
    fields = {"shape": "person", "color": "red", "number": 3}
    path = written(tmp_path, [as_json(fields=fields)])
    wanted = event("loiter", 1.5, 2.0, group="cam01", color="red", shape="person", number="3")
    assert read_found(path) == [wanted]


def test_the_truth_says_what_was_recorded_also_where_nothing_happens(tmp_path):
    files = [
        {"camera": camera, "start": "2026-03-14T09:00:00Z", "end": f"2026-03-14T{end}Z"}
        for camera, end in (("cam02", "09:30:00"), ("cam01", "10:00:00"), ("cam01", "09:30:00"))
    ]
    true, footage = read_truth(written(tmp_path, [as_json()], files), sample_step_s=0.5)
    assert true == [event("loiter", 1.5, 2.0, group="cam01")]
    assert footage == Footage(
        groups=("cam01", "cam02"), hours=2.0, sample_step_s={"cam01": 0.5, "cam02": 0.5}
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"events": [], "files": 3}', r"truth.json is not valid:\n  files: .*array"),
        ('{"events": []}', "files: Field required"),
        ("events", "is not valid"),
        (json.dumps({"events": [as_json(start="2026-03-14T09:00:00")], "files": []}), "timezone"),
        (json.dumps({"events": [as_json()], "files": []}), "events of cam01 but no files"),
    ],
)
def test_a_truth_that_cannot_be_used_is_refused_with_its_name_and_the_place(tmp_path, text, said):
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_truth(path, sample_step_s=1.0)


def test_a_truth_that_is_not_there_is_refused_with_its_name(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.json: cannot be read: No such file"):
        read_truth(tmp_path / "gone.json", sample_step_s=1.0)


@pytest.fixture
def world(tmp_path):
    """An index of three events, and the truth, of which it missed one and invented one."""
    writer = Writer(tmp_path / "index")
    found = [
        index_rows.event("near", at(1), at(10), label="loiter", fields=[("color", "red")]),
        index_rows.event("invented", at(100), at(110), label="loiter", camera="[red]"),
    ]
    writer.finish_videos(
        index_rows.rows("videos", index_rows.video()), index_rows.rows("events", *found)
    )
    times = {name: at(seconds).isoformat() for name, seconds in (("a", 0), ("b", 10), ("c", 600))}
    near = {"camera": "cam1", "label": "loiter", "start": times["a"], "end": times["b"]}
    truth = written(
        tmp_path,
        [{**near, "fields": {"color": "red"}}, {**near, "label": "door_open"}],
        [
            {"camera": camera, "start": times["a"], "end": times["c"]}
            for camera in ("cam1", "[red]")
        ],
    )
    return tmp_path / "index", truth


def test_the_command_scores_an_index(cli, world):
    index, truth = world
    told = cli.json("evaluate", "--truth", truth, "--index", index)
    assert (told["num_truth"], told["num_found"], told["event_f1"]) == (2, 2, 0.5)
    assert told["event_f1_with_fields"] == 0.5
    assert told["start_error_s"] == 1.0


def test_an_index_and_a_file_of_its_events_have_the_same_scores(cli, world, tmp_path):
    index, truth = world
    events = cli.rows("query", "--index", index)
    (tmp_path / "found.json").write_text(json.dumps({"events": events}))
    assert cli.json("evaluate", "--truth", truth, "--found", tmp_path / "found.json") == cli.json(
        "evaluate", "--truth", truth, "--index", index
    )


def test_the_table_shows_truth_and_found_side_by_side(cli, world):
    index, truth = world
    lines = cli.run("evaluate", "--truth", truth, "--index", index, "--table").splitlines()
    cells = [line.split() for line in lines]
    assert ["cam1", "red", "loiter", "08:00:00.0", "08:00:10.0", "+1.0", "+0.0", "s"] in cells
    assert ["cam1", "door_open", "08:00:00.0", "08:00:10.0", "missed"] in cells
    assert ["[red]", "loiter", "08:01:40.0", "08:01:50.0", "invented"] in cells
    assert "2 true events, 2 found: event F1 0.50" in " ".join(lines)


def test_found_events_come_from_one_place(cli, world):
    index, truth = world
    cli.run("evaluate", "--truth", truth, code=2)
    assert "either --index or --found" in cli.err
    cli.run("evaluate", "--truth", truth, "--index", index, "--found", truth, code=2)
    assert "either --index or --found" in cli.err
