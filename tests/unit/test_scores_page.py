"""``timereel evaluate --html``: one file with plots, in which nothing runs or is markup."""

import json

import pytest

from pipeline.evaluation.matching import TimedEvent
from pipeline.evaluation.scores import Footage, evaluate
from pipeline.report.scores import page_of_scores
from tests.unit.test_report import HOSTILE, SHOWN, Page


def event(label, start_s, end_s, confidence=None):
    return TimedEvent(group="cam", label=label, start_s=start_s, end_s=end_s, confidence=confidence)


TRUTH = [event("car", 0, 10), event("car", 20, 30), event(HOSTILE, 40, 50)]
FOUND = [event("car", 0, 10, 0.9), event("car", 60, 70, 0.9), event(HOSTILE, 40, 50, 0.3)]
FIGURES = evaluate(TRUTH, FOUND, Footage(groups=("cam",), hours=0.5, sample_step_s={"cam": 1.0}))


@pytest.fixture(scope="module")
def page():
    return Page(page_of_scores(FIGURES, truth="truth.json", found=HOSTILE))


def test_the_page_says_the_figures_and_draws_a_bar_for_each_label(page):
    assert "0.6667 event F1" in page.text
    assert "2 false per hour" in page.text
    told = {one.get("aria-label"): one for one in page.named("svg")}
    assert {"car: 0.5", f"{SHOWN}: 1.0"} <= set(told)
    widths = [float(one["width"]) for one in page.named("rect") if one["class"] == "f0"]
    assert sorted(widths) == [80.0, 160.0]


def test_each_bin_of_confidences_is_a_dot_at_its_place(page):
    dots = sorted((round(float(one["cx"])), float(one["cy"])) for one in page.named("circle"))
    # 300 pixels a side, 36 from the left, 12 from above: half of those that said 0.9 are right.
    assert dots == [(36 + 90, 12.0), (36 + 270, 12.0 + 150)]


def test_nothing_runs_and_nothing_of_a_recording_becomes_markup(page):
    names = {name for name, _ in page.elements}
    assert not names & {"script", "img", "iframe", "link", "a", "form", "object"}
    assert not [key for _, attrs in page.elements for key in attrs if key.startswith("on")]
    assert SHOWN in page.text
    policy = page.named("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")


def test_bounds_and_thresholds_have_plots_of_their_own():
    figures = {"event_f1": [0.5, 0.7], "difference": 0.2, "between": [-0.1, 0.4], "num_blocks": 3}
    page = Page(page_of_scores(figures, truth="t", found="f"))
    bars = [one for one in page.named("rect") if one["class"] == "f0"]
    assert [(bars[0]["x"], bars[0]["width"])] == [("45.0%", "25.0%")]
    assert "between -0.1 to 0.4" in page.text
    page = Page(page_of_scores({"map": {"0.5": 0.25, "average": 1.0}}, truth="t", found="f"))
    assert [float(o["width"]) for o in page.named("rect") if o["class"] == "f0"] == [40.0, 160.0]


def test_the_command_writes_the_page_beside_its_json(cli, tmp_path):
    truth, found = tmp_path / "truth.json", tmp_path / "found.json"
    annotations = [{"segment": [0, 10], "label": "run"}]
    truth.write_text(json.dumps({"database": {"v": {"annotations": annotations}}}))
    results = {"v": [{"label": "run", "score": 1, "segment": [0, 10]}]}
    found.write_text(json.dumps({"results": results}))
    out = tmp_path / "scores.html"
    told = cli.json(
        "evaluate", "--truth-format", "activitynet", "--truth", truth, "--found", found,
        "--html", out,
    )  # fmt: skip
    assert told["map"]["average"] == 1.0
    page = Page(out.read_text())
    assert "found: found.json · truth: truth.json" in page.text
    assert str(tmp_path) not in out.read_text()
