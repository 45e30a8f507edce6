"""``make kill-test``: the driver is killed at random points, then the same command goes on.

    python -m tests.hard.kill_driver --kills 200 --seed 1

One Ray head stays up; each driver is a process of its own (forked from one that has imported
everything, so that a round takes seconds). With ``--without-ray`` it decodes itself as well: many
more kills in the same time, at every point of what is committed and in which order.

Half of the kills come at any moment of a run, half shortly after a write to the index. A run that
survives its moment has finished the archive: all tables must then equal those of a run that nobody
disturbed, and the next archive begins. The last line is one JSON object; the exit code is 0 if
nothing was lost, doubled or left in part.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pipeline.index
from pipeline import cli

# Here, before any fork: what a driver needs to import.
from tests.flow.ray_head import ray_head
from tests.hard.without_ray import leave_out_ray
from tests.videos import make_video

TABLES = ("videos", "windows", "events", "segments")
EAGER = ("--set", "plan.shard_cost_s=0.002", "--set", "commit.shards=1")
# Two runs that did the same differ in these.
MEASURED = frozenset({"indexed_at", "decode_cpu_s", "engine_s"})
# A driver that takes longer than this hangs.
LONGEST_S = 900.0


def main() -> int:
    """Kill until it was done ``--kills`` times."""
    options = argparse.ArgumentParser()
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--minutes", type=float, default=600.0, help="stop after these")
    options.add_argument("--without-ray", action="store_true", help="decode in the driver itself")
    options.add_argument("--address", help="of a running Ray; without it: one of its own")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill") as name:
        folder = Path(name)
        if asked.without_ray:
            leave_out_ray()
        elif not asked.address:
            with ray_head(folder, takes_jobs=False) as head:
                env = {key: value for key, value in head.items() if key != "RAY_ADDRESS"}
                # Anew, as Ray reads its token when it is imported.
                again = [sys.executable, "-m", "tests.hard.kill_driver", *sys.argv[1:]]
                again += ["--address", head["GCS"]]
                return subprocess.run(again, check=False, env=env).returncode
        until_s = time.monotonic() + asked.minutes * 60
        killer = Killer(folder, asked.address, random.Random(asked.seed))
        report = killer.run(asked.kills, until_s=until_s)
    print(json.dumps(report))  # noqa: T201
    return 1 if report["lost"] or report["doubled"] or report["partial"] else 0


class Killer:
    """Runs, kills and compares."""

    def __init__(self, folder: Path, address: str | None, chance: random.Random) -> None:
        self.folder, self.address, self.chance = folder, address, chance
        self.archive = folder / "archive"
        make_archive(self.archive)

    def run(self, kills: int, *, until_s: float) -> dict[str, float]:
        """Counts of what was seen."""
        started_s = time.monotonic()
        whole = self.folder / "whole"
        self.finish(whole)
        longest_s = time.monotonic() - started_s
        expected = in_child(lambda: rows_of(whole))
        joined = sum(len(json.loads(row)["parts"]) > 1 for row in expected["events"])
        assert joined, "no event runs over a file border: this archive would prove little"
        counts = Counter(kills=0, archives=0, lost=0, doubled=0, partial=0)
        while counts["kills"] < kills and time.monotonic() < until_s:
            index = self.folder / f"torn{counts['archives']}"
            torn = 0
            while (code := self.finished(self.start(index), self.moment(index, longest_s))) != 0:
                assert code == -signal.SIGKILL, self.told()
                counts["kills"] += 1
                torn += 1
                if counts["kills"] >= kills:
                    self.finish(index)
                    break
            found = in_child(lambda index=index: rows_of(index))
            differ = differences(expected, found)
            counts.update(differ)
            counts["archives"] += 1
            print(f"killed {torn} times: {dict(counts)}", flush=True)  # noqa: T201
            if any(differ.values()):
                self.show(index, expected, found)
            shutil.rmtree(index)
        return {**counts, "wall_s": round(time.monotonic() - started_s, 1)}

    def finish(self, index: Path) -> None:
        """Index the archive, undisturbed."""
        assert self.finished(self.start(index), None) == 0, self.told()

    def show(
        self, index: Path, expected: dict[str, list[str]], found: dict[str, list[str]]
    ) -> None:
        """Say which rows differ, and keep the index to look at."""
        for table in TABLES:
            for sign, rows in (
                ("lost", Counter(expected[table]) - Counter(found[table])),
                ("more", Counter(found[table]) - Counter(expected[table])),
            ):
                for row in rows:
                    print(f"{sign} in {table}: {row[:600]}", flush=True)  # noqa: T201
        kept = Path(tempfile.mkdtemp(prefix="torn"))
        shutil.copytree(index, kept, dirs_exist_ok=True)
        shutil.copy(self.folder / "driver.log", kept)
        print(f"kept as {kept}", flush=True)  # noqa: T201

    def told(self) -> str:
        """The last that drivers have said."""
        return (self.folder / "driver.log").read_text()[-5000:]

    def start(self, index: Path) -> int:
        """A driver at work; its process id."""
        if pid := os.fork():
            return pid
        os.setsid()
        log = os.open(self.folder / "driver.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        command = ["index", self.archive, "--index", index, *EAGER]
        command += ["--address", self.address] if self.address else []
        try:
            cli.main([str(word) for word in command])
        except SystemExit as exc:
            os._exit(int(exc.code or 0))
        except BaseException:  # noqa: BLE001 - nothing may pass a fork
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def moment(self, index: Path, longest_s: float) -> Callable[[], bool]:
        """Whether it is time to kill: at any moment, or shortly after a write."""
        started_s = time.monotonic()
        if self.chance.random() < 0.5:
            after_s = self.chance.uniform(0, longest_s)
            return lambda: time.monotonic() - started_s > after_s
        before, writes = num_files(index), self.chance.randint(1, 20)
        return lambda: num_files(index) >= before + writes

    def finished(self, pid: int, is_time: Callable[[], bool] | None) -> int:
        """Exit code of the driver, which is killed when it is time; -9 if it was."""
        deadline_s = time.monotonic() + LONGEST_S
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline_s, self.told()
            if is_time and is_time():
                time.sleep(self.chance.uniform(0, 0.05))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                is_time = None
            time.sleep(0.002)


def make_archive(folder: Path) -> None:
    """Short clips of two cameras, of several shards each; three follow each other without a pause.

    At 30 frames a second hardly a border is a whole microsecond.
    """
    folder.mkdir()
    for name in (
        "gate_20260314T090000Z",
        "gate_20260314T090003Z",
        "gate_20260314T090006Z",
        "yard_20260314T090000Z",
    ):
        make_video(folder / f"{name}.mp4", num_frames=90, rate=30, gop=30, bframes=0)


def num_files(index: Path) -> int:
    """Files under a folder; whatever vanishes meanwhile does not count."""
    return sum(len(names) for _, _, names in os.walk(index))


def rows_of(index: Path) -> dict[str, list[str]]:
    """All rows, without what differs between any two runs."""
    held = pipeline.index.open(index)
    return {
        table: [
            json.dumps({k: v for k, v in row.items() if k not in MEASURED}, default=str)
            for row in held.rows(table).to_pylist()
        ]
        for table in TABLES
    }


def differences(expected: dict[str, list[str]], found: dict[str, list[str]]) -> Counter[str]:
    """How many rows are missing, there twice, or of a video that is not as it should be."""
    counts: Counter[str] = Counter()
    for table in TABLES:
        should, are = Counter(expected[table]), Counter(found[table])
        counts["lost"] += sum((should - are).values())
        counts["doubled"] += sum(n - 1 for n in are.values() if n > 1)
        counts["partial"] += sum((are - should).values())
    return counts


def in_child(work: Callable[[], dict[str, list[str]]]) -> dict[str, list[str]]:
    """What ``work`` gives, done by a child: threads that it starts must not meet a fork."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read()
        os.waitpid(pid, 0)
        return json.loads(told)
    os.close(reading)
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(work()).encode())
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(0)  # whatever happens, the child does not go on with what its parent is at


if __name__ == "__main__":
    sys.exit(main())
