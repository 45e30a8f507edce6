"""How far the confidences of found events are what they say."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pipeline.evaluation.matching import TimedEvent

NUM_BINS: Final = 10


def calibration(found: Sequence[TimedEvent], right: Iterable[TimedEvent]) -> dict[str, Any] | None:
    """``reliability`` of the events that have a confidence; None if none has one."""
    left = Counter(right)
    rated: list[tuple[float, bool]] = []
    for event in found:
        is_right = left[event] > 0
        left[event] -= is_right
        if event.confidence is not None:
            rated.append((event.confidence, is_right))
    return reliability(rated) if rated else None


def reliability(rated: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """How far confidences are what they say: of what is rated 0.8, 80 % should be right.

    ``ece`` is the expected calibration error (Naeini et al. 2015): the mean distance of confidence
    and precision over ten equal bins, by what is in them; ``brier`` the mean squared distance of
    confidence and being right.
    """
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for confidence, is_right in rated:
        bins[min(int(confidence * NUM_BINS), NUM_BINS - 1)].append((confidence, is_right))
    rows = [
        {
            "from": index / NUM_BINS,
            "num": len(rated_in_bin),
            "mean_confidence": round(sum(c for c, _ in rated_in_bin) / len(rated_in_bin), 4),
            "precision": round(
                sum(is_right for _, is_right in rated_in_bin) / len(rated_in_bin), 4
            ),
        }
        for index, rated_in_bin in sorted(bins.items())
    ]
    off = sum(row["num"] * abs(row["mean_confidence"] - row["precision"]) for row in rows)
    return {
        "num": len(rated),
        "ece": round(off / len(rated), 4),
        "brier": round(sum((c - is_right) ** 2 for c, is_right in rated) / len(rated), 4),
        "bins": rows,
    }
