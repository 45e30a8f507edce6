"""Examine the demo model on generated clips that it was not taught; scores as JSON on stdout.

`python -m jobs.evaluate --demo --seed 5 --clips 300`. An index is scored by `timereel evaluate`.
"""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

from jobs.training.exam import Exam, sit, suite
from jobs.training.serve import CHECKPOINT, ENGINES


def main(argv: list[str] | None = None) -> int:
    """Print the scores; exit code 0 whatever they are."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    text = json.dumps(_scores(arguments), indent=1) + "\n"
    if arguments.out:
        arguments.out.write_text(text)
    sys.stdout.write(text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="also write the scores here")
    # The shipped model card, whose text counts in fingerprints, writes the command with this.
    parser.add_argument("--demo", action="store_true", help="may be left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--engine", choices=sorted(ENGINES), default="vllm")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--min-frames", type=int, default=8)
    parser.add_argument("--max-frames", type=int, default=32)
    parser.add_argument("--height", type=int, default=96, help="pixels, a multiple of 32")
    parser.add_argument("--width", type=int, default=160, help="pixels, a multiple of 32")
    parser.add_argument("--wording", choices=("default", "listed", "unseen"), default="default")
    parser.add_argument("--empty", action="store_true", help="clips in which nothing happens")
    parser.add_argument("--suite", action="store_true", help="all exams of the model card")
    return parser


def _scores(arguments: argparse.Namespace) -> dict[str, Any]:
    exams = (
        suite(arguments.seed, num_clips=arguments.clips)
        if arguments.suite
        else {"exam": _exam(arguments)}
    )
    return sit(exams, ENGINES[arguments.engine](arguments.checkpoint))


def _exam(arguments: argparse.Namespace) -> Exam:
    return Exam(
        num_clips=arguments.clips,
        seed=arguments.seed,
        min_frames=arguments.min_frames,
        max_frames=arguments.max_frames,
        height_px=arguments.height,
        width_px=arguments.width,
        wording=arguments.wording,
        empty=arguments.empty,
    )


if __name__ == "__main__":
    sys.exit(main())
