"""What real commits cost while the table grows: batches of finished videos through ``Writer``."""

import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import pipeline.index as pi
from tests.bench.archive import Recordings, write

_BATCH, _SHARDS = 256, 256
_BATCHES = 5


def measure(folder: Path, sizes: Sequence[int]) -> list[dict[str, float]]:
    """Cost of a batch of videos on a new day, at each number of videos that are there already.

    The past is appended day by day, with one window, event and segment for each video. A batch is
    what a job commits by default: of each video 12 windows, by 256 shards, and then 3 events and a
    segment. The last row is taken on a day of whose 20,000 videos nearly all are there, in files
    of 1000 that nobody has compacted.
    """
    shutil.rmtree(folder, ignore_errors=True)
    writer = pi.Writer(folder)
    found, next_day = [], 0
    for size in sizes:
        for first in range(next_day, size, Recordings.PER_DAY):
            _append(writer, first, min(first + Recordings.PER_DAY, size))
        found.append({"videos": size, "of_the_day": 0, **_batches(writer, size)})
        next_day = size + Recordings.PER_DAY
    for first in range(next_day, next_day + 18_000, 1000):
        _append(writer, first, first + 1000)
    last = {"videos": next_day + 18_000, "of_the_day": 18_000}
    return [*found, last | _batches(writer, next_day + 18_000)]


def _append(writer: pi.Writer, first: int, last: int) -> None:
    for name, rows in Recordings(first=first, last=last).tables().items():
        write(writer.store, name, rows)


def _batches(writer: pi.Writer, first: int) -> dict[str, float]:
    taken = []
    for i in range(_BATCHES):
        begin = first + i * _BATCH
        rows = Recordings(first=begin, last=begin + _BATCH).tables(windows=12, events=3)
        cpu, wall = time.process_time(), time.perf_counter()
        for shard in range(0, rows["windows"].num_rows, _SHARDS):
            writer.write_windows(rows["windows"].slice(shard, _SHARDS))
        writer.finish_videos(rows["videos"], rows["events"], rows["segments"])
        taken.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu_s, wall_s = map(statistics.median, zip(*taken, strict=True))
    return {"cpu_s": cpu_s, "wall_s": wall_s, "videos_per_cpu_s": _BATCH / cpu_s}


def show(console: Console, found: list[dict[str, float]]) -> None:
    """The table for people."""
    table = Table(
        "videos in the index", "of that day", f"CPU s per {_BATCH}", "wall s", "videos per CPU s"
    )
    for row in found:
        table.add_row(
            f"{row['videos']:,}",
            f"{row['of_the_day']:,}",
            f"{row['cpu_s']:.2f}",
            f"{row['wall_s']:.2f}",
            f"{row['videos_per_cpu_s']:.0f}",
        )
    console.print(table)
