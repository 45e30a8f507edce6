"""Fits how often boxes of a detector with a score are right, and checks it on held-back pictures.

    python -m tests.bench.calibrate_detector CLIP TRUTH

``TRUTH`` has the boxes of persons in the form of MOTChallenge. Two thirds of the clip give slope
and offset for ``calibration`` in ``model.yaml``; its last third, which was held back, tells what
they are worth. What is measured holds for footage like the clip alone.
"""

import argparse
import json
import sys
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from pipeline.engine.detector.model_file import Calibration
from pipeline.engine.detector.network import open_network
from pipeline.evaluation.calibration import reliability
from tests.bench.bench_eye import ranked, true_boxes
from tests.conftest import ROOT

Rated = list[tuple[float, bool]]


def rated_boxes(model: Path, label: str, clip: Path, truth: Path) -> list[Rated]:
    """By picture, the score of each box and whether it is right."""
    network = open_network(str(model), [label], threads=1)
    known, pictures = true_boxes(truth), []
    with av.open(str(clip)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            picture = frame.to_ndarray(format="rgb24")
            [shown] = network.find([picture], (frame.width, frame.height))
            boxes, scores = shown[label].boxes, shown[label].scores
            found = [(*box, float(score)) for box, score in zip(boxes, scores, strict=True)]
            pictures.append(list(ranked(known.get(number, []), found)))
    return pictures


def fit(rated: Rated) -> Calibration:
    """Platt scaling: the logistic function of the odds under which the truth is likeliest."""
    scores = np.array([score for score, _ in rated]).clip(1e-6, 1 - 1e-6)
    is_right = np.array([right for _, right in rated])
    odds = np.log(scores / (1 - scores))

    def surprise(line: npt.NDArray[np.float64]) -> float:
        away = np.where(is_right, -1, 1) * (line[0] * odds + line[1])
        return float(np.logaddexp(0, away).mean())

    slope, offset = minimize(surprise, np.array([1.0, 0.0])).x
    return Calibration(slope=round(float(slope), 2), offset=round(float(offset), 2))


def main() -> None:
    """Fit, check and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "nanodet-g")
    parser.add_argument("--label", default="person")
    args = parser.parse_args()
    pictures = rated_boxes(args.model, args.label, args.clip, args.truth)
    border = len(pictures) * 2 // 3
    known, held_back = (
        [one for picture in part for one in picture]
        for part in (pictures[:border], pictures[border:])
    )
    found = fit(known)
    figures = {
        "calibration": found.model_dump(),
        "boxes": [len(known), len(held_back)],
        "held back, by score": reliability(held_back),
        "held back, calibrated": reliability(
            [(found.share_right(score), is_right) for score, is_right in held_back]
        ),
    }
    json.dump(figures, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
