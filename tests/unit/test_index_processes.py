"""Several processes on one index: killed at any moment, or all at once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, deque

import pytest

import pipeline.index as pi
from tests.index_rows import at, event, rows, segment, video, window

# A writer of videos `first`..`last`: windows in two commits each, then the answers. It prints what
# is acknowledged.
_WORK = """
import sys
import pipeline.index as pi
from tests.unit.test_index_processes import job_tables
sys.stdin.readline()
writer = pi.Writer(sys.argv[1])
print("ready", flush=True)
for n in range(int(sys.argv[2]), int(sys.argv[3])):
    windows, finish = job_tables(n)
    for part in windows:
        writer.write_windows(part)
    writer.finish_videos(*finish)
    print(n, flush=True)
"""


def job_tables(n):
    """Windows (two shards) and answers of one video of 100 s over midnight."""
    name = f"v{n}"
    start = 16 * 3600.0 - 50
    mine = {"video_id": name, "camera": f"cam{n % 3}"}
    windows = [
        rows(
            "windows",
            *(
                window(f"{name}-{s}", i, start + 50 * s + i, start + 50 * s + i + 1, **mine)
                for i in range(50)
            ),
        )
        for s in range(2)
    ]
    finish = (
        rows("videos", video(name, start, start + 100, camera=mine["camera"])),
        rows(
            "events",
            *(event(f"{name}-{i}", at(start + i), at(start + i + 3), **mine) for i in range(97)),
        ),
        rows("segments", segment(name, **mine)),
    )
    return windows, finish


def _work(folder, first, last):
    return subprocess.Popen(
        [sys.executable, "-c", _WORK, folder, str(first), str(last)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def _assert_whole(folder, names):
    """Each video has each of its rows exactly once."""
    index = pi.open(folder)
    per_video = {"windows": 100, "events": 97, "segments": 1, "videos": 1}
    for table, count in per_video.items():
        found = index.rows(table)
        assert Counter(found["video_id"].to_pylist()) == dict.fromkeys(names, count), table
    assert len(set(index.events()["event_id"].to_pylist())) == 97 * len(names)


def test_killed_writers_lose_double_and_halve_nothing(tmp_path):
    chance = random.Random(5)
    folder = str(tmp_path)
    waiting = deque()
    for first in range(15):
        while len(waiting) < min(3, 15 - first):  # Python starts while others are at work
            waiting.append(_work(folder, first + len(waiting), 15))
        process = waiting.popleft()
        _go(process)
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 0.4))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    for process in waiting:
        process.kill()
        process.communicate()
    done = _work(folder, 0, 15)
    assert done.communicate("go\n", timeout=120)[0].split() == ["ready", *map(str, range(15))]
    assert done.returncode == 0
    _assert_whole(folder, [f"v{n}" for n in range(15)])


@pytest.mark.parametrize("ranges", [((0, 6), (6, 12)), ((0, 6), (0, 6))])
def test_two_writers_at_once(tmp_path, ranges):
    """Different videos, on the same dates; and the very same videos."""
    jobs = [_work(str(tmp_path), *some) for some in ranges]
    for job in jobs:
        _go(job)
    for job, (first, last) in zip(jobs, ranges, strict=True):
        assert job.communicate(timeout=120)[0].split() == ["ready", *map(str, range(first, last))]
    _assert_whole(tmp_path, sorted({f"v{n}" for some in ranges for n in range(*some)}))


# One rewrites a shard again and again, one compacts and vacuums, until their input ends.
_REWRITE = """
import sys, threading
from datetime import timedelta
import pipeline.index as pi
from pipeline.index import maintain
from tests.unit.test_index_processes import generation
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
writer = pi.Writer(sys.argv[1])
print("ready", flush=True)
number = 0
while not ended.is_set():
    number += 1
    if sys.argv[2] == "write":
        writer.write_windows(generation(number))
    else:
        maintain.compact(writer.store, min_age=timedelta(0))
        maintain.vacuum(writer.store)
print(number)
"""


def generation(number):
    return rows("windows", *(window("a", i, i, i + 1, markers=[str(number)]) for i in range(50)))


def test_a_reader_sees_one_whole_generation_while_others_write_compact_and_vacuum(tmp_path):
    pi.Writer(tmp_path).write_windows(generation(0))
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", _REWRITE, str(tmp_path), what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for what in ("write", "maintain", "maintain")
    ]
    for job in jobs:
        assert job.stdout.readline() == "ready\n"
    kept, seen = pi.open(tmp_path), []
    while len(set(seen)) < 8:
        for index in (kept, pi.open(tmp_path)):
            found = index.windows(columns=["markers"])
            assert found.num_rows == 50
            (marker,) = {m for row in found["markers"].to_pylist() for m in row}
            seen.append(int(marker))
    rounds = [int(job.communicate(timeout=120)[0]) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0]
    assert seen == sorted(seen)
    assert kept.windows(limit=1)["markers"].to_pylist() == [[str(rounds[0])]]
