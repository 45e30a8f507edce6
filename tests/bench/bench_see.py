"""CPU time of what a timeline page asks of a large index, and of what it and reports are made of.

    make bench-see                # 20 million events; building them takes ten CPU minutes, 6 GB
    make bench-see ROWS=2000000   # a quick look

CPU time counts all threads, and is the median of repeats; the first view also makes the rollup.
Answers are asked over HTTP, so that their time has the server's and a small client's part as well.
The bytes are those that a browser receives, packed by gzip. Drawing is timed in a real chromium,
which has to be there. ``page_parts`` says what the other figures are.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import httpx

import pipeline.index as pi
from tests.bench.archive import FIRST_DAY, Archive
from tests.bench.bench_index import build
from tests.bench.page_parts import drawing, evidence_picture, hevc_clip, ten_camera_days
from tests.page_server import page_bytes, received_bytes, served

_LANES = [f"cam{i:04}" for i in range(100, 124)]


def cpu_ms(ask: Callable[[], object], rounds: int) -> float:
    """The median CPU time of a question."""
    took = []
    for _ in range(rounds):
        before = time.process_time()
        ask()
        took.append((time.process_time() - before) * 1000)
    return round(statistics.median(took), 1)


def answers(address: str, day: datetime, rounds: int) -> dict[str, dict[str, float]]:
    """CPU time and bytes of what the page asks first: a day's list, and its lanes."""
    span = {"start": day.isoformat(), "end": (day + timedelta(days=1)).isoformat()}
    urls = {
        "day, a list of 60 events": httpx.URL(f"{address}/api/v1/events", params=span),
        "day, 24 lanes with coverage": httpx.URL(
            f"{address}/api/v1/lanes", params=span | {"camera": _LANES, "bins": 400}
        ),
    }
    with httpx.Client(timeout=300) as client:
        return {
            name: {
                "cpu_ms": cpu_ms(lambda url=url: received_bytes(client, url), rounds),
                "bytes": received_bytes(client, url),
            }
            for name, url in urls.items()
        }


def main() -> None:
    """Build what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=20_000_000, help="events")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, default=Path("out/bench"))
    args = parser.parse_args()
    index = pi.open(build(Archive(events=args.rows, days=args.days), args.folder.absolute()))
    start, end = FIRST_DAY, FIRST_DAY + timedelta(days=args.days)
    day = FIRST_DAY + timedelta(days=args.days // 2)
    month, after = day + timedelta(days=30), day + timedelta(days=1)
    size = {"max_bins": 400, "max_labels": 3}

    def lanes(until: object, since: object = day) -> Callable[[], object]:
        return lambda: pi.density(index, since, until, camera=_LANES, **size)

    questions = {
        "first view": (lambda: pi.density(index, start, end, by_camera=False, **size), 1),
        "year, all cameras": (
            lambda: pi.density(index, start, end, by_camera=False, **size),
            args.rounds,
        ),
        "year, 24 lanes": (lanes(end, start), args.rounds),
        "month, 24 lanes": (lanes(month), args.rounds),
        "day, 24 lanes": (lanes(after), args.rounds),
        "day, coverage of 24 lanes": (
            lambda: pi.coverage_lanes(index, day, after, max_bins=400, camera=_LANES),
            args.rounds,
        ),
    }
    figures = {name: cpu_ms(ask, rounds) for name, (ask, rounds) in questions.items()}
    with served(index.store.root) as (address, _):
        found = {"rows": args.rows, "cpu_ms": figures, "page_bytes": page_bytes(address)}
        found["answers"] = answers(address, day, args.rounds)
        found["drawing of a day"] = drawing(address, day)
    with tempfile.TemporaryDirectory() as folder:
        found["ten seconds of 1080p HEVC"] = hevc_clip(Path(folder))
        found["report of ten camera-days"] = ten_camera_days(Path(folder))
    found["picture of evidence"] = evidence_picture()
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
