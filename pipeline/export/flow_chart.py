"""Flow charts that a model read from a board: Mermaid on one line, as the task whiteboard wants it.

FlowChart  boxes and arrows, out of the text of a field
charts_of  those of an event
drawio     a file of draw.io (diagrams.net): a page for each chart, its boxes in columns or rows
"""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pipeline.records.sanitize import xml_text

_TEXT = r'[^\[\]|;"]{1,80}'
_BOX = rf"([A-Z][A-Za-z0-9]{{0,7}})(?:\[({_TEXT})\])?"
_STATEMENT = re.compile(rf" ?{_BOX}(?: ?-->(?:\|({_TEXT})\|)? ?{_BOX})?")
_RUNS: Mapping[str, Literal["LR", "TD"]] = {"flowchart LR": "LR", "flowchart TD": "TD"}
_WIDTH, _HEIGHT = 140, 50
_STEP_X, _STEP_Y = 220, 110


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowChart:
    """Boxes, and the arrows between them."""

    runs: Literal["LR", "TD"]
    """To the right, or down."""
    boxes: Mapping[str, str]
    """Name -> what stands in it."""
    arrows: tuple[tuple[str, str, str], ...]
    """From, to, and what stands beside it."""
    lines: tuple[str, ...]
    """The same as Mermaid, a statement a line."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The chart that a text is; None if it is none."""
        head, *statements = text.split(";")
        direction = _RUNS.get(head)
        matches = [match for one in statements if (match := _STATEMENT.fullmatch(one))]
        if direction is None or not matches or len(matches) < len(statements):
            return None
        boxes: dict[str, str] = {}
        arrows = []
        for match in matches:
            source, text_of_source, beside, target, text_of_target = match.groups()
            for name, shown in ((source, text_of_source), (target, text_of_target)):
                if name and (shown or name not in boxes):
                    boxes[name] = shown or name
            if target:
                arrows.append((source, target, beside or ""))
        lines = (head, *(one.strip() for one in statements))
        return cls(runs=direction, boxes=boxes, arrows=tuple(arrows), lines=lines)

    def places(self) -> Iterator[tuple[str, int, int]]:
        """Each box with its step along the chart, and its place among those of that step."""
        steps: dict[str, int] = {}
        for source, target, _ in self.arrows:
            steps.setdefault(source, 0)
            steps.setdefault(target, steps[source] + 1)
        taken: Counter[int] = Counter()
        for name in self.boxes:
            step = steps.get(name, 0)
            yield name, step, taken[step]
            taken[step] += 1


def charts_of(event: Mapping[str, Any]) -> list[FlowChart]:
    """The flow charts in the fields of an event."""
    charts = (FlowChart.parse(text) for _, text in dict(event["fields"]).items())
    return [chart for chart in charts if chart]


def drawio(events: Iterable[Mapping[str, Any]]) -> str:
    """A page for each chart, named by camera and time; empty if there is none."""
    file = ET.Element("mxfile", host="timereel")
    for event in events:
        name = xml_text(f"{event['camera']} {event['start']:%Y-%m-%d %H:%M:%S} UTC")
        for number, chart in enumerate(charts_of(event)):
            page_id = f"{event['event_id']}-{number}"
            file.append(_page(chart, page_id, name))
    return ET.tostring(file, encoding="unicode") + "\n" if len(file) else ""


def _page(chart: FlowChart, page_id: str, name: str) -> ET.Element:
    page = ET.Element("diagram", id=xml_text(page_id), name=name)
    root = ET.SubElement(ET.SubElement(page, "mxGraphModel"), "root")
    ET.SubElement(root, "mxCell", id="0")
    ET.SubElement(root, "mxCell", {"id": "1", "parent": "0"})
    for box, step, place in chart.places():
        across, down = (step, place) if chart.runs == "LR" else (place, step)
        # Without ``html=1`` draw.io shows a value as text, whatever it holds.
        cell = {"style": "whiteSpace=wrap;", "vertex": "1"}
        size = {"width": f"{_WIDTH}", "height": f"{_HEIGHT}"}
        place_of = {"x": f"{across * _STEP_X}", "y": f"{down * _STEP_Y}"}
        _add(root, box, chart.boxes[box], cell, size | place_of)
    for number, (source, target, beside) in enumerate(chart.arrows):
        cell = {"style": "edgeStyle=orthogonalEdgeStyle;", "edge": "1"}
        ends = {"source": source, "target": target}
        _add(root, f"arrow-{number}", beside, cell | ends, {"relative": "1"})
    return page


def _add(
    root: ET.Element, cell_id: str, value: str, cell: dict[str, str], geometry: dict[str, str]
) -> None:
    known = {"id": cell_id, "value": xml_text(value), "parent": "1"}
    added = ET.SubElement(root, "mxCell", known | cell)
    ET.SubElement(added, "mxGeometry", geometry | {"as": "geometry"})
