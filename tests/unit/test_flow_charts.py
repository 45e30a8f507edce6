"""Flow charts of boards: what the task accepts is read, and draw.io gets boxes and arrows."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.index as pi
from pipeline.config.read import load_task
from pipeline.export.flow_chart import FlowChart
from pipeline.index import open_index
from pipeline.report.content import read_report
from pipeline.report.render import render
from tests.conftest import ROOT
from tests.index_rows import at, event, rows, video

PATTERN = load_task(ROOT / "configs/tasks/whiteboard.yaml").fields["mermaid"].pattern
CHART = "flowchart LR; A[Order] --> B[<img src=x onerror=alert(1)>]; B -->|no| A; C[付款]"


@given(text=st.from_regex(PATTERN, fullmatch=True))
@settings(max_examples=60, deadline=None)
def test_whatever_the_task_accepts_is_a_chart_whose_arrows_lead_from_box_to_box(text):
    chart = FlowChart.parse(text)
    assert {name for arrow in chart.arrows for name in arrow[:2]} <= set(chart.boxes)
    assert "; ".join(chart.lines).replace(" ", "") == text.replace(" ", "")
    places = [(step, place) for _, step, place in chart.places()]
    assert len(set(places)) == len(chart.boxes)


@pytest.mark.parametrize(
    "text", ["", "flowchart LR", "flowchart UP; A --> B", "flowchart LR; A --> ", "graph; A --> B"]
)
def test_other_texts_are_none(text):
    assert FlowChart.parse(text) is None


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("board") / "index"
    fields = [("words", "Order"), ("mermaid", CHART)]
    board = event("e1", at(60), at(90), camera="board & co", fields=fields)
    writer = pi.Writer(folder)
    writer.finish_videos(
        rows("videos", video("v1", 0, 600, camera="board & co")),
        rows("events", board, event("e2", at(100), at(110), camera="board & co")),
    )
    return folder


def test_draw_io_gets_a_page_with_the_boxes_and_arrows_of_each_chart(cli, root, tmp_path):
    out = tmp_path / "charts.drawio"
    cli.run("export", out, "--index", root, "--format", "drawio")
    [page] = ET.fromstring(out.read_text(encoding="utf-8"))  # noqa: S314 - our own
    assert page.get("name") == "board & co 2026-03-01 08:01:00 UTC"
    cells = {one.get("id"): one for one in page.iter("mxCell")}
    assert len(cells) == len(list(page.iter("mxCell")))
    boxes = {one.get("id"): one.get("value") for one in cells.values() if one.get("vertex")}
    assert boxes == {"A": "Order", "B": "<img src=x onerror=alert(1)>", "C": "付款"}
    arrows = [one for one in cells.values() if one.get("edge")]
    assert [(one.get("source"), one.get("target"), one.get("value")) for one in arrows] == [
        ("A", "B", ""),
        ("B", "A", "no"),
    ]
    assert all(one.get("parent") in cells for name, one in cells.items() if name != "0")
    assert not any("html=1" in one.get("style", "") for one in cells.values())


def test_without_a_chart_the_command_says_which_task_reads_them(cli, root, tmp_path):
    out = tmp_path / "none.drawio"
    cli.run(
        "export", out, "--index", root, "--format", "drawio", "--from", at(95).isoformat(), code=5
    )
    assert "the task whiteboard reads them" in cli.err
    assert not out.exists()


def test_the_report_shows_a_chart_line_by_line(root):
    page = render(read_report(open_index(root), None, None, None), {}, "board", "en")
    shown = page.partition("<pre>")[2].partition("</pre>")[0].strip().splitlines()
    assert shown == [
        "flowchart LR",
        "A[Order] --&gt; B[&lt;img src=x onerror=alert(1)&gt;]",
        "B --&gt;|no| A",
        "C[付款]",
    ]
