"""``python -m tests.bench.log_growth``: what one more commit costs, the more there have been.

One process commits small batches of videos, a new UTC date every 50 commits, and prints CPU
seconds per 50 finished batches and the size of the logs. Then two processes at once commit
different videos of the same dates; printed is how often one had to try again.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pipeline.index as pi
from pipeline.index import replace
from pipeline.records import make_id
from tests.index_rows import DAY, at, event, rows, segment, video, window

PER_DATE = 50
VIDEOS = 4


def main() -> None:
    """Measure, and print tables; the last line is JSON."""
    options = argparse.ArgumentParser()
    options.add_argument("--batches", type=int, default=500)
    options.add_argument("--pair", type=int, default=40, help="batches of each of two processes")
    options.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.work:
        folder, first, last = asked.work[0], *map(int, asked.work[1:])
        print(json.dumps(work(folder, first, last)))  # noqa: T201
        return
    with tempfile.TemporaryDirectory() as folder:
        cost = grow(folder, asked.batches)
    with tempfile.TemporaryDirectory() as folder:
        pair = side_by_side(folder, asked.pair)
    print(json.dumps({"cpu_s_per_batch": cost, "two_writers": pair}))  # noqa: T201


def grow(folder: str, batches: int) -> list[dict[str, float]]:
    """CPU seconds of a batch (four commits), by how many went before."""
    writer, found = pi.Writer(folder), []
    for first in range(0, batches, PER_DATE):
        taken = []
        for number in range(first, first + PER_DATE):
            began = time.process_time()
            commit(writer, number, number // PER_DATE)
            taken.append(time.process_time() - began)
        logs = list(Path(folder).glob("*/_delta_log/*"))
        row = {
            "batches": first + PER_DATE,
            "cpu_ms": round(1000 * statistics.median(taken), 1),
            "log_mb": round(sum(path.stat().st_size for path in logs) / 1e6, 2),
            "log_files": len(logs),
        }
        print(row, flush=True)  # noqa: T201
        found.append(row)
    return found


def side_by_side(folder: str, batches: int) -> dict[str, int]:
    """Two processes, different videos, the same dates."""
    pi.Writer(folder)
    spans = ((0, batches), (batches, 2 * batches))
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.log_growth", "--work", folder, *map(str, span)],
            stdout=subprocess.PIPE,
            env=os.environ,
        )
        for span in spans
    ]
    told = [json.loads(worker.communicate()[0]) for worker in workers]
    index = pi.open(folder)
    assert index.videos().num_rows == 2 * batches * VIDEOS
    assert index.windows().num_rows == 2 * batches * VIDEOS
    return {name: sum(row[name] for row in told) for name in told[0]}


def work(folder: str, first: int, last: int) -> dict[str, int]:
    """Commit; how many commits there were, and how many attempts they took."""
    attempts = commits = 0
    handle, one = pi.Writer(folder).store.__class__.handle, replace.replace

    def counted(*args: object) -> object:
        nonlocal attempts
        attempts += 1
        return handle(*args)

    def counting(store: object, *args: object) -> None:
        nonlocal commits
        commits += 1
        store_type = type(store)
        store_type.handle = counted
        try:
            one(store, *args)
        finally:
            store_type.handle = handle

    pi.commit.replace = counting
    writer = pi.Writer(folder)
    for number in range(first, last):
        commit(writer, number, 0)
    return {"commits": commits, "attempts": attempts}


def commit(writer: pi.Writer, number: int, day: int) -> None:
    """One batch: windows, events, segments, videos."""
    names = [make_id(number, i) for i in range(VIDEOS)]
    start = day * DAY
    writer.write_windows(
        rows(
            "windows",
            *(window(make_id(n, "s"), 0, start, start + 60, video_id=n, camera=n[:3])
              for n in names),
        )
    )  # fmt: skip
    writer.finish_videos(
        rows("videos", *(video(n, start, start + 60, camera=n[:3]) for n in names)),
        rows(
            "events",
            *(event(n, at(start), at(start + 5), video_id=n, camera=n[:3]) for n in names),
        ),
        rows(
            "segments",
            *(segment(n, start=at(start), end=at(start + 60), video_id=n, camera=n[:3])
              for n in names),
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
