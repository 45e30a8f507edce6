"""Figures of benchmarks are those that their own scorers publish, to the last digit they print."""

import csv
import json
import random
from pathlib import Path

import motmetrics
import pytest

from pipeline.cli.app import main
from pipeline.evaluation.comparison import compare
from pipeline.evaluation.matching import TimedEvent
from pipeline.evaluation.spotting import Spot, average_map
from tests.clips import index_of, probed
from tests.index_rows import at
from tests.videos import make_video

ACTEV = Path(__file__).parents[1] / "golden" / "actev"


@pytest.fixture
def evaluate(capsys):
    def run(*args, code=0):
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", *map(str, args)])
        out, run.err = capsys.readouterr()
        assert ended.value.code == code, run.err
        return json.loads(out) if code == 0 else None

    return run


@pytest.mark.parametrize(("case", "activities"), [("3", "3"), ("10", "10"), ("11", "9")])
def test_activities_have_the_scores_that_nist_publishes(evaluate, case, activities):
    figures = evaluate(
        "--truth-format", "actev",
        "--truth", ACTEV / f"test_{case}-0.json",
        "--found", ACTEV / f"test_{case}-0_fake-sysout.json",
        "--file-index", ACTEV / f"test_{case}-0_file-index.json",
        "--activity-index", ACTEV / f"test_{activities}-0_activity-index.json",
    )  # fmt: skip
    with (ACTEV / f"test_{case}-0_scores.csv").open() as lines:
        published = list(csv.DictReader(lines, delimiter="|"))
    compared = 0
    for line in published:
        of_activity = figures["by_activity"][line["activity"]]
        if line["metric_name"] in of_activity:
            value = of_activity[line["metric_name"]]
            told = line["metric_value"]
            assert value == (None if told == "None" else pytest.approx(float(told), abs=1e-12))
            compared += 1
    assert compared >= 7


def test_tracks_have_the_scores_that_motmetrics_publishes_for_tud_campus(evaluate):
    folder = Path(motmetrics.__file__).parent / "data" / "TUD-Campus"
    files = ("--truth", folder / "gt.txt", "--found", folder / "test.txt")
    figures = evaluate("--truth-format", "mot", *files)
    assert f"{figures['mota']:.1%} {figures['idf1']:.1%}" == "52.6% 55.8%"
    assert f"{figures['motp']:.3f}" == "0.277"


@pytest.mark.parametrize(
    ("sequence", "published"),
    [("TUD-Campus", "39.140 41.805 36.912"), ("TUD-Stadtmitte", "39.785 39.227 40.884")],
)
def test_tracks_have_the_hota_that_trackeval_gives_them(evaluate, sequence, published):
    folder = Path(motmetrics.__file__).parent / "data" / sequence
    files = ("--truth", folder / "gt.txt", "--found", folder / "test.txt")
    figures = evaluate("--truth-format", "mot", *files)
    told = (figures[name] * 100 for name in ("hota", "det_a", "ass_a"))
    assert " ".join(f"{one:.3f}" for one in told) == published


def test_where_no_track_is_found_shares_of_found_boxes_are_null(evaluate, tmp_path):
    truth = Path(motmetrics.__file__).parent / "data" / "TUD-Campus" / "gt.txt"
    (tmp_path / "none.txt").write_text("")
    files = ("--truth", truth, "--found", tmp_path / "none.txt")
    figures = evaluate("--truth-format", "mot", *files)
    assert (figures["idp"], figures["motp"]) == (None, None)
    assert (figures["idf1"], figures["hota"]) == (0.0, 0.0)


def games(seed):
    """Two games with moments of three labels, found at random times and surely or not."""
    chance = random.Random(seed)
    truth, found = [], []
    for game in ("g0", "g1"):
        true, other = [], []
        for _ in range(40):
            label, half = "abc"[chance.randrange(3)], chance.randrange(1, 3)
            position = chance.randrange(0, 45 * 60 * 1000)
            clock = f"{half} - {position // 60000:02}:{position // 1000 % 60:02}"
            true.append({"gameTime": clock, "label": label, "position": str(position)})
            places = [
                (max(0, position + round(chance.gauss(0, 6000))), round(chance.random(), 3))
                for _ in range(chance.randrange(0, 3))
            ]
            if chance.random() < 0.4:
                places.append((chance.randrange(0, 45 * 60 * 1000), round(chance.random(), 3)))
            other += [
                {"half": str(half), "label": label, "position": str(at_ms), "confidence": str(sure)}
                for at_ms, sure in places
            ]
        truth.append({"UrlLocal": game, "annotations": true})
        found.append({"UrlLocal": game, "predictions": other})
    return truth, found


@pytest.mark.parametrize(
    ("seed", "tight", "loose"),
    [
        # What SoccerNet 0.2.0 computes itself for these games (ActionSpotting.average_mAP).
        (0, 0.0793847331695787, 0.3888489729154866),
        (1, 0.06539946967580731, 0.47271373134695466),
        (2, 0.06437466956305547, 0.41428207885474644),
    ],
)
def test_spotting_has_the_average_map_of_soccernet(evaluate, tmp_path, seed, tight, loose):
    for name, told in zip(("truth", "found"), games(seed), strict=True):
        (tmp_path / name).write_text(json.dumps(told))
    figures = evaluate(
        "--truth-format", "soccernet",
        "--truth", tmp_path / "truth",
        "--found", tmp_path / "found",
    )  # fmt: skip
    assert (figures["tight"], figures["loose"]) == pytest.approx((tight, loose), abs=1e-12)


@pytest.mark.parametrize(("off_s", "is_right"), [(0.5, True), (-0.5, True), (1.0, False)])
def test_a_moment_is_right_up_to_half_the_tolerance(off_s, is_right):
    truth = [Spot(group="g", label="a", at_s=60)]
    figures = average_map(truth, [Spot(group="g", label="a", at_s=60 + off_s)])
    # The tolerances are 1 to 5 s; by trapezoids the first counts half.
    assert figures["tight"] == pytest.approx(1.0 if is_right else 0.875)
    assert figures["loose"] == pytest.approx(1.0)
    assert average_map(truth, []) == average_map(truth, [Spot(group="g", label="b", at_s=60)])


def lines(path, *rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_moments_of_qvhighlights_count_as_its_scorer_counts_them(evaluate, tmp_path):
    truth = lines(
        tmp_path / "truth.jsonl",
        {"qid": 1, "vid": "a", "query": "x", "relevant_windows": [[0, 10], [20, 40]]},
        {"qid": 2, "vid": "b", "query": "y", "relevant_windows": [[0, 100]]},
    )
    found = lines(
        tmp_path / "found.jsonl",
        # The first window is right at each threshold; the second up to 0.75; the third is wrong.
        {"qid": 1, "pred_relevant_windows": [[0, 10, 0.9], [20, 35, 0.8], [50, 60, 0.1]]},
        # Half of the truth, exactly on the border of 0.5.
        {"qid": 2, "pred_relevant_windows": [[0, 50, 0.9]]},
    )
    full = evaluate("--truth-format", "qvhighlights", "--truth", truth, "--found", found)["full"]
    assert full["map"]["0.5"] == 100.0
    assert full["map"]["0.55"] == 50.0
    assert full["map"]["0.75"] == 50.0
    assert full["map"]["0.8"] == 25.0
    assert full["map"]["average"] == round((100 + 5 * 50 + 4 * 25) / 10, 2)
    assert full["recall_at_1"]["0.5"] == 100.0
    assert full["recall_at_1"]["0.55"] == 50.0
    assert full["mean_iou"] == 75.0


def test_sentences_of_charades_have_one_true_moment_each(evaluate, tmp_path):
    truth = tmp_path / "charades.txt"
    truth.write_text("V1 0.0 10.0##a person opens a door.\nV1 5.0 15.0##a person sits down.\n")
    found = lines(
        tmp_path / "found.jsonl",
        {
            "vid": "V1",
            "query": "a person opens a door.",
            "pred_relevant_windows": [[0, 7, 1.0]],
        },
    )
    full = evaluate("--truth-format", "charades", "--truth", truth, "--found", found)["full"]
    assert full["num_queries"] == 2
    assert full["recall_at_1"]["0.7"] == 50.0
    assert full["recall_at_1"]["0.75"] == 0.0
    assert full["mean_iou"] == 35.0


def test_activitynet_is_the_mean_over_the_true_labels(evaluate, tmp_path):
    truth, found = tmp_path / "truth.json", tmp_path / "found.json"
    spans = {"jump": [[0, 10], [20, 30]], "run": [[0, 10]]}
    told = [{"segment": one, "label": label} for label, ones in spans.items() for one in ones]
    truth.write_text(json.dumps({"database": {"v": {"annotations": told}}}))
    results = [
        {"label": "jump", "score": 0.9, "segment": [40, 50]},  # wrong, and surer than the right one
        {"label": "jump", "score": 0.8, "segment": [0, 10]},
        {"label": "swim", "score": 0.9, "segment": [0, 10]},
    ]
    found.write_text(json.dumps({"results": {"v": results}}))
    figures = evaluate("--truth-format", "activitynet", "--truth", truth, "--found", found)
    # Of jump, one of two is found, at a precision of one half; of run, nothing.
    assert figures["map"]["0.5"] == figures["map"]["average"] == (0.5 * 0.5 + 0) / 2


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        ("activitynet", "{}", "does not have the form of activitynet"),
        ("qvhighlights", "not json", "does not have the form of qvhighlights"),
        ("charades", "V1 0.0##x", "does not have the form of charades"),
        ("actev", "{}", "needs --file-index"),
    ],
)
def test_a_file_of_another_form_is_one_line(evaluate, tmp_path, form, text, message):
    file = tmp_path / "file"
    file.write_text(text)
    evaluate("--truth-format", form, "--truth", file, "--found", file, code=2)
    assert message in evaluate.err
    assert evaluate.err.count("\n") == 1


def hours(camera, number, *, shift_s=0.0):
    """An event in each of the first hours of a camera."""
    return [
        TimedEvent(
            group=camera, label="x", start_s=3600.0 * i + shift_s, end_s=3600.0 * i + 10 + shift_s
        )
        for i in range(number)
    ]


def test_equal_answers_do_not_differ_and_a_better_one_does_beyond_chance():
    truth = hours("a", 30)
    same = compare(truth, truth, truth)
    assert (same["difference"], same["between"]) == (0.0, [0.0, 0.0])
    better = compare(truth, truth[:10], truth[:25])
    assert better["event_f1"] == [0.5, 0.9091]
    assert 0 < better["between"][0] < better["difference"] < better["between"][1]


def test_a_small_difference_may_be_chance():
    truth = hours("a", 30)
    figures = compare(truth, truth[:20], [*truth[1:20], truth[20], truth[21]])
    assert figures["between"][0] < 0 < figures["between"][1]


def test_invented_events_count_in_their_own_hour():
    truth = hours("a", 2)
    figures = compare(truth, truth, truth + hours("b", 2))
    assert figures["num_blocks"] == 4
    assert figures["event_f1"] == [1.0, round(2 * 2 / 6, 4)]


def test_two_fingerprints_of_an_index_are_compared(evaluate, tmp_path):
    video = probed(make_video(tmp_path / "a.mp4", num_frames=100), camera="gate")
    index_of(tmp_path / "index", [video], [("e", video, 1.0, 2.0, "person")])
    truth = {
        "events": [
            {"camera": "gate", "label": "person", "start": at(1).isoformat(),
             "end": at(2).isoformat()}
        ],
        "files": [{"camera": "gate", "start": at(0).isoformat(), "end": at(4).isoformat()}],
    }  # fmt: skip
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    of_index = ("--index", tmp_path / "index", "--truth", tmp_path / "truth.json", "--compare")
    figures = evaluate(*of_index, "f1", "f1")
    assert figures["event_f1"] == [1.0, 1.0]
    evaluate(*of_index, "f1", "f2", code=2)
    assert "no answers of the fingerprint f2" in evaluate.err
