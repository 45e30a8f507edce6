"""Train the demo model from scratch: `python -m jobs.train_demo_model --out DIR`.

After a stop the same command continues from the last saved state. At the end the model takes its
exams in vLLM. The model and its card are then in `DIR/checkpoint`, the scores in `DIR/scores.json`.
"""

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from jobs.training.card import card
from jobs.training.exam import sit, suite
from jobs.training.export import describe, export
from jobs.training.serve import open_vllm
from jobs.training.train import Trainer, TrainSettings

EXAM_SEED = 101
EXAM_CLIPS = 300


def main(
    out: Annotated[Path, typer.Option(help="Directory of the run.")],
    minutes: Annotated[float, typer.Option(help="Training time, all runs together.")] = 90.0,
    seed: int = 0,
    threads: Annotated[int, typer.Option(help="CPU threads of torch; rendering has its own.")] = 1,
) -> None:
    """Train for the given time, then write the checkpoint, its scores and its card."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    trainer = Trainer(out, TrainSettings(minutes=minutes, seed=seed, num_threads=threads))
    trainer.run()
    checkpoint = out / "checkpoint"
    export(trainer.demo, checkpoint)
    scores = sit(suite(EXAM_SEED, num_clips=EXAM_CLIPS), open_vllm(checkpoint))
    (out / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")
    described = card(scores, trainer.summary(), seed=EXAM_SEED, num_clips=EXAM_CLIPS)
    describe(checkpoint, described)


if __name__ == "__main__":
    typer.run(main)
