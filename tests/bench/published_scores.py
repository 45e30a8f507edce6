"""How many figures of published scorers are equal: what tests/golden may not hold or is too large.

    python -m tests.bench.published_scores MOMENT_DETR ACTEV

MOMENT_DETR is a checkout of github.com/jayleicn/moment_detr, whose sample predictions have their
scores beside them. ACTEV is the folder ``test`` of github.com/usnistgov/ActEV_Scorer.
"""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.evaluation.benchmarks import score_files

ACTEV = {"test_2_0": "VIRAT_S_000001", "test_3_0": "test_3-0", "test_10_0": "test_10-0"}


def qvhighlights(checkout: Path) -> Iterator[tuple[float, float]]:
    """Each published figure, and ours."""
    samples = checkout / "standalone_eval"
    truth = checkout / "data" / "highlight_val_release.jsonl"
    ours = score_files("qvhighlights", truth, samples / "sample_val_preds.jsonl")
    published = json.loads((samples / "sample_val_preds_metrics_raw.json").read_text())
    for length in ("short", "middle", "long", "full"):
        for theirs, name in (("MR-mAP", "map"), ("MR-R1", "recall_at_1")):
            for threshold, value in published[length][theirs].items():
                yield value, ours[length][name][threshold]


def actev(folder: Path) -> Iterator[tuple[float | None, float | None]]:
    """Each published figure of these cases that is scored here, and ours."""
    data = folder / "data"
    for case, name in ACTEV.items():
        ours = score_files(
            "actev",
            data / f"{name}.json",
            data / f"{name}_fake-sysout.json",
            file_index=data / f"{name}_file-index.json",
            activity_index=data / f"{name}_activity-index.json",
        )["by_activity"]
        with (data / "checkfiles" / case / "scores_by_activity.csv").open() as lines:
            for line in csv.DictReader(lines, delimiter="|"):
                told, scores = line["metric_value"], ours[line["activity"]]
                if line["metric_name"] in scores:
                    yield None if told == "None" else float(told), scores[line["metric_name"]]


def main() -> None:
    for name, pairs in (
        ("QVHighlights", list(qvhighlights(Path(sys.argv[1])))),
        ("ActEV", list(actev(Path(sys.argv[2])))),
    ):
        equal = sum(
            a == b or (a is not None and b is not None and abs(a - b) < 1e-9) for a, b in pairs
        )
        sys.stdout.write(f"{name}: {equal} of {len(pairs)} figures equal\n")


if __name__ == "__main__":
    main()
