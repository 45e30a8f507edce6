"""Scores of an evaluation as one HTML file: figures, plots as inline SVG, and all numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeline.report.render import environment, page_style

Figures: TypeAlias = Mapping[str, Any]

_SIDE = 300
_MARGIN = 36
_LEAST_DOT, _MOST_DOT = 3.0, 12.0
_SHOWN_APART = frozenset({"per_label", "confusion", "bins"})
_FIRST = (
    ("event_f1", "event F1"),
    ("event_precision", "precision"),
    ("event_recall", "recall"),
    ("start_error_s", "start off by s"),
    ("end_error_s", "end off by s"),
    ("false_events_per_hour", "false per hour"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A bin of confidences in the plot of calibration, in pixels of the plot."""

    x: float
    y: float
    radius: float
    told: str


def page_of_scores(figures: Figures, *, truth: str, found: str) -> str:
    """The page; nothing in it becomes markup but what is ours."""
    return (
        environment()
        .get_template("scores.html.jinja")
        .render(
            **page_style(),
            truth=truth,
            found=found,
            facts=[(name, _shown(figures.get(key))) for key, name in _FIRST if key in figures],
            per_label=figures.get("per_label") or {},
            curve=_curve(figures.get("map")),
            dots=_dots(figures.get("calibration")),
            side=_SIDE,
            margin=_MARGIN,
            between=_between(figures),
            confusion=_table(figures.get("confusion") or {}),
            numbers=[(name, _shown(value)) for name, value in _flat(figures)],
        )
    )


def _curve(means: Figures | None) -> list[tuple[str, float]]:
    """The mean precision at each threshold of overlap."""
    return [(name, float(value)) for name, value in (means or {}).items()]


def _dots(calibration: Figures | None) -> list[Dot]:
    rows = (calibration or {}).get("bins") or []
    most = max((row["num"] for row in rows), default=1)
    return [
        Dot(
            x=_MARGIN + row["mean_confidence"] * _SIDE,
            y=_MARGIN / 3 + (1 - row["precision"]) * _SIDE,
            radius=_LEAST_DOT + (_MOST_DOT - _LEAST_DOT) * (row["num"] / most) ** 0.5,
            told=f"{row['num']} events said {row['mean_confidence']:.2f},"
            f" {row['precision']:.2f} of them are right",
        )
        for row in rows
    ]


def _between(figures: Figures) -> dict[str, float] | None:
    """The difference of two answers and its bounds: percent of a scale from -1 to 1."""
    if not figures.get("between"):
        return None
    low, high = figures["between"]
    return {
        "low": 50 * (1 + low),
        "width": 50 * (high - low),
        "at": 50 * (1 + figures["difference"]),
    }


def _table(confusion: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    names = sorted({name for row in confusion.values() for name in row})
    return {
        "names": names,
        "rows": [
            (label, [(row.get(name, 0), name == label) for name in names])
            for label, row in confusion.items()
        ],
    }


def _flat(value: Figures, name: str = "") -> Iterator[tuple[str, object]]:
    for key, one in value.items():
        if key in _SHOWN_APART:
            continue
        if isinstance(one, Mapping):
            yield from _flat(one, f"{name}{key}.")
        elif isinstance(one, Sequence) and not isinstance(one, str):
            yield f"{name}{key}", " to ".join(map(_shown, one))
        else:
            yield f"{name}{key}", one


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
