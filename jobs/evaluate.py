"""Score events against truth, as JSON on standard output.

An index: `python -m jobs.evaluate --truth truth.json --index DIR`, with `--table` to read it.
Two files: `python -m jobs.evaluate --truth truth.json --found events.json`.
The demo model on generated clips: `python -m jobs.evaluate --demo --seed 5 --clips 300`.
"""

import argparse
import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from jobs.training.exam import Exam, sit, suite
from jobs.training.serve import CHECKPOINT, ENGINES
from pipeline.evaluation.events import (
    Footage,
    TimedEvent,
    evaluate,
    events_from_json,
    side_by_side,
    utc_seconds,
)
from pipeline.index import open_index

_SECONDS_PER_HOUR = 3600


def main(argv: list[str] | None = None) -> int:
    """Print the scores; exit code 0 whatever they are."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if arguments.demo:
        _write(_demo(arguments), arguments)
        return 0
    truth, found, footage = _files(arguments)
    scores = evaluate(truth, found, footage)
    if arguments.table:
        _print_table(side_by_side(truth, found), scores)
    _write(scores, arguments)
    return 0


def _write(scores: dict[str, Any], arguments: argparse.Namespace) -> None:
    text = json.dumps(scores, indent=1) + "\n"
    if arguments.out:
        arguments.out.write_text(text)
    if not arguments.table:
        sys.stdout.write(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="also write the scores here")
    files = parser.add_argument_group("files")
    files.add_argument("--truth", type=Path, help="JSON with events and files (coverage)")
    files.add_argument("--found", type=Path, help="JSON with events")
    files.add_argument("--index", help="folder or URL of an index, instead of --found")
    files.add_argument("--table", action="store_true", help="truth and found side by side")
    files.add_argument("--sample-step-s", type=float, default=1.0, help="time between frames")
    demo = parser.add_argument_group("demo")
    demo.add_argument("--demo", action="store_true", help="ask the demo model about new clips")
    demo.add_argument("--seed", type=int, default=0)
    demo.add_argument("--clips", type=int, default=100)
    demo.add_argument("--engine", choices=sorted(ENGINES), default="vllm")
    demo.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    demo.add_argument("--min-frames", type=int, default=8)
    demo.add_argument("--max-frames", type=int, default=32)
    demo.add_argument("--height", type=int, default=96, help="pixels, a multiple of 32")
    demo.add_argument("--width", type=int, default=160, help="pixels, a multiple of 32")
    demo.add_argument("--wording", choices=("default", "listed", "unseen"), default="default")
    demo.add_argument("--empty", action="store_true", help="clips in which nothing happens")
    demo.add_argument("--suite", action="store_true", help="all exams of the model card")
    return parser


def _demo(arguments: argparse.Namespace) -> dict[str, Any]:
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


def _events_of(index_uri: str) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "fields": dict(row["fields"]),
            "start": row["start"].isoformat(),
            "end": row["end"].isoformat(),
        }
        for row in open_index(index_uri).events().to_pylist()
    ]


def _files(
    arguments: argparse.Namespace,
) -> tuple[list[TimedEvent], list[TimedEvent], Footage]:
    if not (arguments.truth and (arguments.found or arguments.index)):
        raise SystemExit("give --truth with --index or --found, or --demo")
    truth = json.loads(arguments.truth.read_text())
    found = (
        _events_of(arguments.index)
        if arguments.index
        else json.loads(arguments.found.read_text())["events"]
    )
    covered_s = sum(
        utc_seconds(file["end"]) - utc_seconds(file["start"]) for file in truth["files"]
    )
    cameras = tuple(sorted({file["camera"] for file in truth["files"]}))
    footage = Footage(
        groups=cameras,
        hours=covered_s / _SECONDS_PER_HOUR,
        sample_step_s=dict.fromkeys(cameras, arguments.sample_step_s),
    )
    return events_from_json(truth["events"]), events_from_json(found), footage


def _print_table(
    pairs: list[tuple[TimedEvent | None, TimedEvent | None]], scores: dict[str, Any]
) -> None:
    table = Table("camera", "event", "from", "to", "found", box=SIMPLE)
    for truth, found in pairs:
        event = truth or found
        if event is None:
            raise AssertionError("a pair has at least one side")
        off = "missed" if found is None else "invented"
        if truth and found:
            off = f"{found.start_s - truth.start_s:+.1f} {found.end_s - truth.end_s:+.1f} s"
        what = " ".join([*(value for _, value in event.fields), event.label])
        table.add_row(event.group, what, _clock(event.start_s), _clock(event.end_s), off)
    console = Console()
    console.print(table)
    console.print(
        "from, to: the truth's (of an invented event its own); found: how far off it begins and "
        f"ends.\n{scores['num_truth']} true events, {scores['num_found']} found: "
        f"event F1 {scores['event_f1']:.2f} (label right, overlap at least half), "
        f"recall {scores['event_recall']:.2f}, "
        f"mean start error {scores['identified_start_error_s'] or 0:.1f} s",
        highlight=False,
    )


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S.%f")[:-5]


if __name__ == "__main__":
    sys.exit(main())
