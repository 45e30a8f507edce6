"""Sixteen drivers on one index, and what a year of them leaves: ``make bench-scale``.

``python -m tests.bench.many_writers`` prints a line for each figure, and last one JSON object:

* paced: each driver finishes a batch of videos of its own cameras, all of one date, every
  ``--period`` seconds, as drivers with ``commit.seconds`` do. Told is how many of the batches that
  were due were committed, beside one driver alone, how long one took, and its attempts.
* day: what a batch of one driver costs when so many are in its date, which nobody compacts while it
  is written to.
* year: files and log entries of an index that ``--hours`` hourly runs of one driver have written,
  with maintenance once a day. What a year leaves is arithmetic.
* status: ``timereel status`` of an index of ``--videos`` videos.

Seconds of paced drivers are wall time, whatever else the machine does; all others are of CPU.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from deltalake.exceptions import CommitFailedError

import pipeline.index as pi
from pipeline.index import replace
from pipeline.index.maintain import compact, vacuum
from tests.bench.archive import Recordings, write
from tests.bench.log_growth import commit

DRIVERS = 16
HOURS_OF_A_DAY, NEIGHBOURS = 24, 8
FIRST_OF_DRIVER = 1_000_000
"""Numbers the batches of a driver, so that no two have the same."""


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser()
    options.add_argument("--batches", type=int, default=5, help="of each driver")
    options.add_argument("--period", type=float, default=60, help="seconds from batch to batch")
    options.add_argument("--day", type=int, default=256, help="batches in one date")
    options.add_argument("--hours", type=int, default=72, help="multiple of 24")
    options.add_argument("--videos", type=int, default=1_000_000)
    options.add_argument("--drive", nargs=4, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.drive:
        folder, number, batches, period_s = asked.drive
        print(json.dumps(drive(folder, int(number), int(batches), float(period_s))))  # noqa: T201
        return
    found = {}
    for name, measure in (
        ("one_driver", lambda folder: paced(folder, 1, asked.batches, asked.period)),
        ("drivers", lambda folder: paced(folder, DRIVERS, asked.batches, asked.period)),
        (
            "compacted",
            lambda folder: paced(folder, DRIVERS, asked.batches, asked.period, compacts=True),
        ),
        ("day", lambda folder: day(folder, asked.day)),
        ("year", lambda folder: year(folder, asked.hours)),
        ("status", lambda folder: status(folder, asked.videos)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            found[name] = measure(folder)
        print(name, found[name], flush=True)  # noqa: T201
    print(json.dumps(found))  # noqa: T201


def paced(
    folder: str, drivers: int, batches: int, period_s: float, *, compacts: bool = False
) -> dict[str, float]:
    """What ``drivers`` processes commit together when each has a batch every ``period_s``."""
    store, compactions = pi.Writer(folder).store, 0
    command = [sys.executable, "-m", "tests.bench.many_writers", "--drive", folder]
    running = [
        subprocess.Popen([*command, str(n), str(batches), str(period_s)], stdout=subprocess.PIPE)
        for n in range(drivers)
    ]
    while compacts and any(one.poll() is None for one in running):
        compactions += sum(compact(store, min_age=timedelta(0)).values())
        time.sleep(period_s / 4)
    told = [json.loads(one.communicate()[0]) for one in running]
    took = [second for one in told for second in one["took_s"]]
    return {
        "drivers": drivers,
        "batches_per_minute": round(sum(60 * batches / one["wall_s"] for one in told), 2),
        "due_per_minute": round(60 * drivers / period_s, 2),
        "seconds_median": round(statistics.median(took), 2),
        "seconds_worst": round(max(took), 2),
        "cpu_s_per_batch": round(sum(one["cpu_s"] for one in told) / drivers / batches, 3),
        "commits": sum(one["commits"] for one in told),
        "attempts": sum(one["attempts"] for one in told),
        "compactions": compactions,
        "ended_by_a_conflict": sum(one["is_ended"] for one in told),
    }


def drive(folder: str, number: int, batches: int, period_s: float) -> dict[str, object]:
    """Commit a batch every ``period_s``, at a phase of this driver's own."""
    counts = counted_attempts()
    writer, took_s, is_ended = pi.Writer(folder), [], False
    time.sleep(period_s * number / DRIVERS)
    began, cpu = time.monotonic(), time.process_time()
    for batch in range(batches):
        time.sleep(max(0.0, began + batch * period_s - time.monotonic()))
        at = time.monotonic()
        try:
            commit(writer, number * FIRST_OF_DRIVER + batch, 0)
        except CommitFailedError:
            is_ended = True
        took_s.append(time.monotonic() - at)
    cpu = time.process_time() - cpu
    time.sleep(max(0.0, began + batches * period_s - time.monotonic()))
    wall_s = time.monotonic() - began
    return {"took_s": took_s, "wall_s": wall_s, "cpu_s": cpu, "is_ended": is_ended, **counts}


def counted_attempts() -> dict[str, int]:
    """Counts, from now on, the commits of this process and the attempts that they take."""
    counts = {"commits": 0, "attempts": 0}
    retries = replace.conflict_retries

    def counting() -> object:
        counts["commits"] += 1
        for attempt in retries():
            counts["attempts"] += 1
            yield attempt

    for module in (replace, pi.commit):
        module.conflict_retries = counting
    return counts


def day(folder: str, batches: int) -> dict[str, float]:
    """CPU seconds of a batch by how many are in its date before it: median of eight.

    The last one is that after the date was compacted.
    """
    writer, taken = pi.Writer(folder), []
    for number in range(batches + 2 * NEIGHBOURS):
        if number == batches + NEIGHBOURS:
            compact(writer.store, min_age=timedelta(0))
        cpu = time.process_time()
        commit(writer, number, 0)
        taken.append(time.process_time() - cpu)
    at = {str(before): before for before in (0, *(batches // share for share in (8, 4, 2, 1)))}
    at["compacted"] = batches + NEIGHBOURS
    return {
        name: round(statistics.median(taken[first : first + NEIGHBOURS]), 3)
        for name, first in at.items()
    }


def year(folder: str, hours: int) -> dict[str, float]:
    """Files after hourly runs that one driver did with a night's maintenance, and of a year.

    Maintenance keeps a week by default. Here it keeps nothing, and the week is added.
    """
    writer, before = pi.Writer(folder), []
    for hour in range(hours):
        commit(writer, hour, hour // HOURS_OF_A_DAY)
        if hour % HOURS_OF_A_DAY == HOURS_OF_A_DAY - 1:
            before.append(size(folder))
            compact(writer.store, min_age=timedelta(0))
            vacuum(writer.store, retention=timedelta(0))
    after, days = size(folder), hours / HOURS_OF_A_DAY
    began = time.process_time()
    pi.open(folder).videos()
    return {
        "hours": hours,
        "files_of_the_last_day": before[-1]["files"],
        "opening_cpu_ms": round(1000 * (time.process_time() - began), 1),
        **after,
        "files_after_a_year": round(365 * after["files"] / days),
        "log_files_after_a_year": after["log_files"] + 7 * (before[-1]["log_files"]),
    }


def size(folder: str) -> dict[str, float]:
    """Data files, and files and megabytes of the logs."""
    logs = list(Path(folder).glob("*/_delta_log/*"))
    return {
        "files": sum(1 for _ in Path(folder).glob("*/*/*.parquet")),
        "log_files": len(logs),
        "log_mb": round(sum(path.stat().st_size for path in logs) / 1e6, 2),
    }


def status(folder: str, videos: int) -> dict[str, float]:
    """``timereel status`` in a process of its own, and how much of that is the start of Python."""
    writer = pi.Writer(folder)
    for first in range(0, videos, Recordings.PER_DAY):
        for name, rows in Recordings(first=first, last=first + Recordings.PER_DAY).tables().items():
            write(writer.store, name, rows)
    return {
        "videos": videos,
        "cpu_s_of_a_start": cpu_of(["--help"]),
        "cpu_s": cpu_of(["status", "--index", folder, "--json"]),
    }


def cpu_of(words: list[str]) -> float:
    """CPU seconds of one ``timereel`` command; in wall time it is less, as DuckDB has threads."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "timereel", *words]
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)


if __name__ == "__main__":
    main()
