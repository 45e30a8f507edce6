"""How many tokens the gates save, and how many events they keep; no model is asked.

    python -m tests.bench.bench_cascade FOLDER --truth tests/bench/cascade_truth.json

The truth names recordings in the folder, and the seconds of each at which somebody is there or a
vehicle moves, by eye. An event is kept if a window that overlaps it is sent. Tokens are counted as
the pictures that are sent: all of a video cost the same.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.config import Config, load_config
from pipeline.flow.task.stages import Planned, decode_and_gate, probe_and_plan
from pipeline.records import Window
from pipeline.sources import list_sources
from pipeline.timebase import NS_PER_S, TimeRange

TRUTH = Path(__file__).with_name("cascade_truth.json")
GATES: dict[str, tuple[str, ...]] = {
    "none": ("gate.kind=none",),
    "motion": ("gate.kind=motion",),
    "objects": ("gate.kind=motion", "gate.objects={}"),
}


def sent(path: Path, config: Config) -> tuple[list[TimeRange], int]:
    """The ranges of a file that the gate sends to the model, and their pictures."""
    spans: list[TimeRange] = []
    num_frames = 0
    for source in list_sources([str(path)], config.sources.naming([str(path)])):
        planned = probe_and_plan(source, config)
        if not isinstance(planned, Planned):
            sys.exit(f"{path}: {planned.error}")
        for shard in planned.shards:
            for window in decode_and_gate(shard, config):
                if isinstance(window, Window):
                    spans.append(window.plan.span)
                    num_frames += len(window.frame_pts)
    return spans, num_frames


def figures(truth: dict[str, list[list[float]]], folder: Path, config: Config) -> dict[str, Any]:
    """Pictures and events that one gate sends, over all files, and for each."""
    before = time.process_time()
    by_file = {}
    for name, events in truth.items():
        spans, num_frames = sent(folder / name, config)
        times = [TimeRange(round(a * NS_PER_S), round(b * NS_PER_S)) for a, b in events]
        kept = sum(any(span.overlaps(event) for span in spans) for event in times)
        shown_ns = sum(_shared_ns(event, spans) for event in times)
        by_file[name] = {
            "frames": num_frames,
            "kept": kept,
            "events": len(times),
            "event_s": round(sum(event.duration_ns for event in times) / NS_PER_S, 1),
            "shown_s": round(shown_ns / NS_PER_S, 1),
        }
    total = {key: round(sum(one[key] for one in by_file.values()), 1) for key in _KEYS}
    return {**total, "cpu_s": round(time.process_time() - before, 1), "files": by_file}


_KEYS = ("frames", "kept", "events", "event_s", "shown_s")


def _shared_ns(event: TimeRange, spans: Iterable[TimeRange]) -> int:
    shared = (min(event.end_ns, span.end_ns) - max(event.start_ns, span.start_ns) for span in spans)
    return sum(max(0, ns) for ns in shared)


def main() -> None:
    """Measure each gate and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--truth", type=Path, default=TRUTH)
    parser.add_argument("--config", type=Path, default=Path("configs/surveillance.yaml"))
    parser.add_argument("--set", action="append", default=[], help="a setting, for all gates")
    args = parser.parse_args()
    truth = json.loads(args.truth.read_text(encoding="utf-8"))
    for name, overrides in GATES.items():
        config = load_config(args.config, (*args.set, *overrides))
        json.dump({name: figures(truth, args.folder, config)}, sys.stdout, indent=1)
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
