"""Moments found for a text: recall of the first, mean overlap, and average precision by query.

Figures are those of the scorers of QVHighlights and Charades-STA, in percent, two decimals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.evaluation.average_precision import THRESHOLDS, Moment, average_precisions, overlaps

RECALL_THRESHOLDS = (0.3, *THRESHOLDS)
_MAX_FOUND = 10
_LENGTHS_S = {"short": (0, 10), "middle": (10, 30), "long": (30, 150)}
_FULL = "full"

Window = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked of one video: the true windows, and those found, with scores, best first."""

    name: str
    truth: tuple[Window, ...]
    found: tuple[tuple[float, float, float], ...]


def retrieval(queries: Sequence[Query]) -> dict[str, Any]:
    """All figures by length of the true windows, and of all of them: ``full``."""
    scores = {_FULL: _figures(queries)}
    for name, (least_s, most_s) in _LENGTHS_S.items():
        of_length = []
        for query in queries:
            kept = tuple(one for one in query.truth if least_s < one[1] - one[0] <= most_s)
            if kept:
                of_length.append(replace(query, truth=kept))
        scores[name] = _figures(of_length)
    return scores


def _figures(queries: Sequence[Query]) -> dict[str, Any]:
    if not queries:
        return {"num_queries": 0}
    best = np.array([_best_overlap(query) for query in queries])
    precisions = np.array([_precisions(query) for query in queries]).mean(axis=0)
    by_threshold = dict(zip(map(str, THRESHOLDS), map(_percent, precisions), strict=True))
    return {
        "num_queries": len(queries),
        "map": {**by_threshold, "average": _percent(precisions.mean())},
        "recall_at_1": {
            str(least): _percent((best >= least).mean()) for least in RECALL_THRESHOLDS
        },
        "mean_iou": _percent(best.mean()),
    }


def _best_overlap(query: Query) -> float:
    """The overlap of the first found window with the true one that is most like it."""
    if not query.found or not query.truth:
        return 0.0
    start_s, end_s, _ = query.found[0]
    return float(overlaps((start_s, end_s), np.array(query.truth, dtype=np.float64)).max())


def _precisions(query: Query) -> Sequence[float]:
    truth = [Moment(group=0, start_s=start_s, end_s=end_s) for start_s, end_s in query.truth]
    found = [
        Moment(group=0, start_s=start_s, end_s=end_s, score=score)
        for start_s, end_s, score in query.found[:_MAX_FOUND]
    ]
    return average_precisions(truth, found).tolist()  # type: ignore[no-any-return]


def _percent(share: float) -> float:
    return float(f"{100 * share:.2f}")


def queries_of_rows(
    truth: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> list[Query]:
    """Queries from rows as QVHighlights has them; without ``qid`` a query is video and text."""
    by_name = {_name(row): row["pred_relevant_windows"] for row in found}
    return [
        Query(
            name=_name(row),
            truth=tuple((one[0], one[1]) for one in row["relevant_windows"]),
            found=tuple((one[0], one[1], one[2]) for one in by_name.get(_name(row), [])),
        )
        for row in truth
    ]


def _name(row: Mapping[str, Any]) -> str:
    return str(row["qid"]) if "qid" in row else f"{row['vid']}\n{row['query']}"
