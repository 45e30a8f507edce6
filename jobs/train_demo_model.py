"""Train the demo model from nothing: `python -m jobs.train_demo_model --out DIR`.

Stopped at any moment, the same command goes on from the last saved state.
"""

import argparse
import logging
import sys
from pathlib import Path

from pipeline.demo.export import export
from pipeline.demo.train import Trainer, TrainSettings


def main(argv: list[str] | None = None) -> int:
    """Train for the given time, then write the checkpoint as vLLM and transformers load it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory of the run")
    parser.add_argument(
        "--minutes", type=float, default=70.0, help="training time, all runs together"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    settings = TrainSettings(
        minutes=arguments.minutes, seed=arguments.seed, num_threads=arguments.threads
    )
    trainer = Trainer(arguments.out, settings)
    trainer.run()
    export(trainer.demo, arguments.out / "checkpoint")
    return 0


if __name__ == "__main__":
    sys.exit(main())
