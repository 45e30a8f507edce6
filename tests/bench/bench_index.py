"""How fast the index answers, how far that is from the limit, and what commits cost.

    make bench-index                # 20 million events; building them takes ten CPU minutes, 6 GB
    make bench-index ROWS=2000000   # a quick look

Figures of a row are taken in turns, over the same files. ``limit`` is DuckDB over the exact list
of these sorted files, known beforehand: what the index takes longer is its own cost. CPU time
counts all threads; unlike wall time it says something on a machine that others use too.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

import pipeline.index as pi
from pipeline.index import maintain
from pipeline.index.store import Store
from pipeline.records import make_id
from pipeline.tables.schema import TABLES
from tests.bench import commits, readers
from tests.bench.archive import FIRST_DAY, Archive, write
from tests.bench.readers import Question, Reader

_HOUR = timedelta(hours=1)
# From the issue that set them: at most so many times the limit.
_TARGETS = {
    "camera_10min": 1.5,
    "camera_1day": 1.5,
    "all_cameras_1h": 1.2,
    "label_1week": 1.1,
    "histogram_1week": 1.1,
}
# Open, then the file list of one question: all that is read of the log.
_FIRST_OPEN = """
import sys, time
import pipeline.index as pi
before = time.process_time()
pi.open(sys.argv[1]).files("events", sys.argv[2], sys.argv[3])
print((time.process_time() - before) * 1000)
"""


def questions(days: int) -> Iterator[Question]:
    """Each of the five at three places of the year and hours of the day, one near midnight."""
    for share, hour, camera in ((0.2, 14, "cam0057"), (0.5, 2, "cam0157"), (0.8, 23, "cam0257")):
        day = FIRST_DAY + timedelta(days=int(days * share))
        at, week = day + timedelta(hours=hour, minutes=7), day + timedelta(days=7)
        yield Question(name="camera_10min", start=at, end=at + _HOUR / 6, camera=camera)
        yield Question(name="camera_1day", start=at, end=at + 24 * _HOUR, camera=camera)
        yield Question(name="all_cameras_1h", start=at, end=at + _HOUR)
        yield Question(name="label_1week", start=day, end=week, label="fall")
        yield Question(name="histogram_1week", start=day, end=week, per_hour=True)


def build(archive: Archive, folder: Path) -> Path:
    """The index of the archive, compacted, and made once per size and schema."""
    schema = make_id(*TABLES.values())[:8]
    done = folder / f"events-{archive.events}-{archive.days}-{schema}"
    if done.exists():
        return done
    half = done.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    store = Store.at(half)
    store.create()
    began = time.process_time()
    for day, tables in enumerate(archive.commits(), start=1):
        for name, rows in tables.items():
            write(store, name, rows)
        if day % 20 == 0:
            _say(f"{day} of {archive.days} days, {time.process_time() - began:.0f} CPU s")
    rewritten = sum(maintain.compact(store, min_age=timedelta(0)).values())
    _say(f"{rewritten} dates compacted, {time.process_time() - began:.0f} CPU s")
    return half.rename(done)


def link_current(index: pi.Index, folder: Path) -> Path:
    """A plain folder of the current files, that any reader can take whole: hard links."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in map(Path, index.files("events")):
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        os.link(path, folder / path.parent.name / path.name)
    return folder


def measure(
    asked: list[Question], by_name: dict[str, Reader], rounds: int
) -> dict[str, dict[str, tuple[float, float]]]:
    """Median (CPU, wall) milliseconds by question and reader, in turns, after one warm-up.

    What a user would not choose is slow: all but the index and the limit are asked three times.
    """
    taken = defaultdict(lambda: defaultdict(list))
    for i in range(rounds + 1):
        for question in asked:
            answers = {}
            for name, ask in by_name.items():
                if i > 3 and name not in ("index", "limit"):
                    continue
                cpu, wall = time.process_time(), time.perf_counter()
                answers[name] = ask(question)
                cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
                if i:
                    taken[question.name][name].append((cpu * 1000, wall * 1000))
            if len({str(answer) for answer in answers.values()}) > 1:
                raise AssertionError(f"answers differ for {question}: {answers}")
    return {
        question: {
            name: tuple(map(statistics.median, zip(*times, strict=True)))
            for name, times in by_reader.items()
        }
        for question, by_reader in taken.items()
    }


def first_open_ms(root: str, repeats: int = 5) -> float:
    """CPU of opening the index in a fresh process and listing the files of an hour; median."""
    begin = FIRST_DAY + timedelta(days=3, hours=14)
    command = [sys.executable, "-c", _FIRST_OPEN, root, *map(str, (begin, begin + _HOUR))]
    return statistics.median(
        float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        for _ in range(repeats)
    )


def query_process(root: str, repeats: int = 5) -> dict[str, float]:
    """``timereel query`` as a process, Python's start included; median seconds."""
    begin = FIRST_DAY + timedelta(days=3, hours=14)
    command = [
        sys.executable,
        "-m",
        "timereel",
        "query",
        "--index",
        root,
        "--camera",
        "cam0057",
    ]
    command += ["--from", begin.isoformat(), "--to", (begin + _HOUR).isoformat()]
    cpu_s, wall_s = [], []
    for _ in range(repeats):
        before, began = os.times(), time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        wall_s.append(time.perf_counter() - began)
        after = os.times()
        cpu_s.append(sum(after[2:4]) - sum(before[2:4]))
    return {"cpu_s": statistics.median(cpu_s), "wall_s": statistics.median(wall_s)}


def sizes(root: str, index: pi.Index) -> dict[str, float]:
    """Megabytes of current data files and of the logs, and how many commits those hold."""
    logs = [path for path in Path(root).glob("*/_delta_log/*") if path.is_file()]
    files = [path for name in TABLES for path in index.files(name)]
    return {
        "data_mb": sum(os.path.getsize(path) for path in files) / 1e6,
        "data_files": len(files),
        "metadata_mb": sum(path.stat().st_size for path in logs) / 1e6,
        "commits_to_events": index.store.handle("events").version() + 1,
    }


def show(console: Console, took: dict[str, dict[str, tuple[float, float]]]) -> None:
    """The table for people."""
    names = list(next(iter(took.values())))
    table = Table(
        "query", *(f"{name} CPU ms" for name in names), "index wall ms", "CPU / limit", "target"
    )
    for question, times in took.items():
        ratio = times["index"][0] / times["limit"][0]
        table.add_row(
            question,
            *(f"{times[name][0]:.1f}" for name in names),
            f"{times['index'][1]:.1f}",
            f"{ratio:.2f}",
            f"<= {_TARGETS[question]}",
        )
    console.print(table)


def main() -> None:
    """Build what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=20_000_000, help="events")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rounds", type=int, default=15, help="repeats of each question")
    parser.add_argument("--videos", type=int, nargs="*", default=[0, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, default=Path("out/bench"))
    args = parser.parse_args()
    console = Console(width=160)

    root = str(build(Archive(events=args.rows, days=args.days), args.folder.absolute()))
    index = pi.open(root)
    sanitized = link_current(index, args.folder.absolute() / "plain")
    made = {
        "limit": readers.limit(sanitized),
        "index": readers.through_index(index),
        "pandas": readers.pandas(sanitized),
        "pyarrow": readers.pyarrow(sanitized),
        "pyiceberg": readers.pyiceberg(sanitized, args.folder.absolute() / "iceberg"),
    }
    present = {name: reader for name, reader in made.items() if reader}
    took = measure(list(questions(args.days)), present, args.rounds)
    show(console, took)

    def slower(name: str) -> float | None:
        """How many times our CPU the other takes, where it comes closest."""
        if made[name] is None:
            return None
        return round(min(times[name][0] / times["index"][0] for times in took.values()), 2)

    result = {
        "rows": args.rows,
        "ratio_to_limit": {q: round(t["index"][0] / t["limit"][0], 2) for q, t in took.items()},
        "wall_ratio_to_limit": {
            q: round(t["index"][1] / t["limit"][1], 2) for q, t in took.items()
        },
        "vs_pandas": slower("pandas"),
        "vs_pyarrow": slower("pyarrow"),
        "vs_pyiceberg": slower("pyiceberg"),
        "cpu_ms": {q: {n: round(ms[0], 1) for n, ms in t.items()} for q, t in took.items()},
        "first_open_ms": round(first_open_ms(root), 1),
        "query_process": query_process(root),
        "sizes": sizes(root, index),
    }
    console.print_json(json.dumps(result))
    result["commits"] = commits.measure(args.folder.absolute() / "commits", args.videos)
    commits.show(console, result["commits"])
    sys.stdout.write(json.dumps(result) + "\n")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
