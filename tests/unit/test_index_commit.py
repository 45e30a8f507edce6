"""What stands in the index after commits: once, twice, torn, at the same time."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

import pipeline.index as pi
from pipeline.index import commit, maintain
from tests.unit.test_index_query import video
from tests.unit.test_index_rows import US, at, event, rows

DAY = 86_400.0


def window(shard, number, start, end, **given):
    return {
        "window_id": f"{shard}-{number}",
        "shard_id": shard,
        "video_id": "v1",
        "status": "analysed",
        "start": at(start),
        "end": at(end),
        **given,
    }


def segment(segment_id, **given):
    return {"segment_id": segment_id, "video_id": "v1", "start": at(0), "end": at(600), **given}


def ids(table, column):
    return sorted(table[column].to_pylist())


@pytest.fixture
def writer(tmp_path):
    return pi.Writer(tmp_path)


def test_a_shard_written_twice_is_there_once_and_other_shards_stay(writer):
    first = rows("windows", window("a", 0, 0, 10), window("a", 1, 10, 20), window("b", 0, 20, 30))
    writer.write_windows(first)
    writer.write_windows(first)
    assert ids(writer.index.windows(), "window_id") == ["a-0", "a-1", "b-0"]
    writer.write_windows(rows("windows", window("a", 9, 0, 20)))
    assert ids(writer.index.windows(), "window_id") == ["a-9", "b-0"]
    assert writer.committed_shards(["v1"], "t", "f1") == {"a", "b"}
    assert writer.committed_shards(["v1"], "t", "f2") == set()
    assert writer.committed_shards(["v2"], "t", "f1") == set()


def test_windows_of_one_shard_may_lie_on_two_dates(writer):
    border = 16 * 3600.0
    shard = rows("windows", window("a", 0, border - 9, border), window("a", 1, border, border + 9))
    writer.write_windows(shard)
    writer.write_windows(shard)
    found = writer.windows_of(["v1"], "t", "f1")
    assert found["window_id"].to_pylist() == ["a-0", "a-1"]
    assert len(set(found["date"].to_pylist())) == 2


def test_more_ids_than_one_predicate_names(writer, monkeypatch):
    monkeypatch.setattr(commit, "_IDS_PER_COMMIT", 2)
    table = rows("windows", *(window(f"s{i}", j, i, i + 1) for i in range(5) for j in range(2)))
    writer.write_windows(table)
    writer.write_windows(table)
    assert writer.index.windows().num_rows == 10
    videos = rows("videos", *(video(f"v{i}") for i in range(5)))
    writer.finish_videos(videos, rows("events", event("e", at(1), at(2), video_id="v4")))
    assert writer.index.videos().num_rows == 5
    assert ids(writer.index.events(), "event_id") == ["e"]


def test_new_answers_replace_all_old_ones_of_the_same_task(writer):
    writer.write_windows(rows("windows", window("a", 0, 0, 600)))
    writer.finish_videos(
        rows("videos", video()),
        rows("events", event("old1", at(1), at(2)), event("old2", at(3), at(4))),
        rows("segments", segment("old")),
    )
    other_task = {"task": "other", "fingerprint": "g"}
    writer.finish_videos(
        rows("videos", video(**other_task)),
        rows("events", event("kept", at(1), at(2), **other_task)),
    )
    f2 = {"fingerprint": "f2"}
    writer.write_windows(rows("windows", window("x", 0, 0, 600, **f2)))
    assert ids(writer.index.windows(), "shard_id") == ["a"]  # the old row still stands
    writer.finish_videos(
        rows("videos", video(**f2)), rows("events", event("new", at(1), at(2), **f2))
    )
    assert ids(writer.index.events(), "event_id") == ["kept", "new"]
    assert writer.index.segments().num_rows == 0  # an empty replacement deletes too
    assert ids(writer.index.windows(), "shard_id") == ["x"]
    assert ids(writer.finished("t"), "fingerprint") == ["f2"]
    assert ids(writer.finished("other", "g"), "video_id") == ["v1"]
    assert writer.finished("t", "f1").num_rows == 0


def test_a_video_whose_start_moved_leaves_nothing_on_the_old_date(writer):
    writer.finish_videos(rows("videos", video()), rows("events", event("old", at(1), at(2))), None)
    later = video(start=9 * DAY, end=9 * DAY + 600)
    moved = rows("events", event("new", at(9 * DAY), at(9 * DAY + 1)))
    writer.finish_videos(rows("videos", later), moved)
    assert ids(writer.index.events(), "event_id") == ["new"]
    assert writer.index.videos()["start"].to_pylist() == [at(9 * DAY)]


def test_success_removes_the_failure_of_the_same_uri_and_failure_removes_nothing(writer):
    failure = {
        "video_id": "failed-hash",
        "uri": "v1.mp4",
        "status": "failed",
        "start": at(-900 * DAY),
        "end": at(-900 * DAY) + US,
        "error": "moov atom not found",
    }
    elsewhere = failure | {"video_id": "another", "uri": "other.mp4"}
    writer.finish_videos(rows("videos", failure, elsewhere))
    assert ids(writer.index.videos(), "status") == ["failed", "failed"]
    writer.finish_videos(rows("videos", video()), rows("events", event("e", at(1), at(2))))
    assert ids(writer.index.videos(), "uri") == ["other.mp4", "v1.mp4"]
    writer.finish_videos(rows("videos", failure))
    assert ids(writer.index.events(), "event_id") == ["e"]
    assert ids(writer.index.videos(), "status") == ["done", "failed", "failed"]


def test_another_content_of_a_uri_replaces_the_former_one_even_half_done(writer):
    writer.write_windows(rows("windows", window("a", 0, 0, 600, uri="v1.mp4")))
    grown = video("v1-grown", uri="v1.mp4", end=900)
    writer.write_windows(rows("windows", window("b", 0, 0, 900, video_id="v1-grown")))
    writer.finish_videos(rows("videos", grown))
    assert ids(writer.index.windows(), "shard_id") == ["b"]
    whole = video("v1-whole", uri="v1.mp4", end=1000)
    writer.finish_videos(rows("videos", whole))
    assert ids(writer.index.videos(), "video_id") == ["v1-whole"]
    assert writer.index.windows().num_rows == 0


def test_rows_of_videos_that_are_not_finished_are_refused(writer):
    with pytest.raises(ValueError, match="not in videos"):
        writer.finish_videos(
            rows("videos", video()), None, rows("segments", segment("s", video_id="v9"))
        )
    with pytest.raises(ValueError, match="one task"):
        writer.finish_videos(rows("videos", video(), video("v2", task="u")))


def test_two_halves_become_one_event_in_one_commit(writer):
    border = 16 * 3600.0  # midnight
    writer.finish_videos(
        rows("videos", video("v1", 0, border), video("v2", border, border + 600)),
        rows(
            "events",
            event("left", at(border - 5), at(border)),
            event("right", at(border), at(border + 5), video_id="v2"),
            event("apart", at(border + 50), at(border + 60), video_id="v2"),
        ),
    )
    near = pi.events_near(
        writer.index, ["cam1"], at(border), at(border) + US, task="t", fingerprint="f1"
    )
    assert ids(near, "event_id") == ["right"]
    assert pi.events_near(writer.index, [], at(0), at(9), task="t").num_rows == 0
    assert pi.events_near(writer.index, ["cam*"], at(0), at(border), task="t").num_rows == 0
    version = DeltaTable(writer.store.table_uri("events")).version()
    whole = rows("events", event("whole", at(border - 5), at(border + 5)))
    for _ in range(2):
        writer.replace_events(whole, ["left", "right"], start=at(border - 5), end=at(border) + US)
    assert ids(writer.index.events(), "event_id") == ["apart", "whole"]
    assert DeltaTable(writer.store.table_uri("events")).version() == version + 2


def test_finishing_a_later_file_may_continue_an_event_of_an_earlier_one(writer):
    border = 16 * 3600.0
    writer.finish_videos(
        rows("videos", video("v1", 0, border)),
        rows("events", event("left", at(border - 5), at(border))),
    )
    for _ in range(2):
        writer.finish_videos(
            rows("videos", video("v2", border, border + 600)),
            rows(
                "events",
                event("whole", at(border - 5), at(border + 5)),
                event("own", at(border + 50), at(border + 60), video_id="v2"),
            ),
            superseded_event_ids=["left"],
        )
        assert ids(writer.index.events(), "event_id") == ["own", "whole"]


class TornError(Exception):
    """The process dies here."""


@pytest.mark.parametrize("survived", range(5))
def test_a_crash_between_any_two_steps_is_healed_by_the_same_call(writer, monkeypatch, survived):
    writer.write_windows(rows("windows", window("a", 0, 0, 600)))
    writer.finish_videos(
        rows("videos", video()),
        rows("events", event("old", at(1), at(2))),
        rows("segments", segment("o")),
    )
    f2 = {"fingerprint": "f2"}
    writer.write_windows(rows("windows", window("b", 0, 0, 600, **f2)))
    finish = (
        rows("videos", video(**f2)),
        rows("events", event("new", at(1), at(2), **f2)),
        rows("segments", segment("n", **f2)),
    )
    done = []

    def torn(*args):
        if len(done) == survived:
            raise TornError
        done.append(args[1])
        replace(*args)

    replace = commit.replace
    with monkeypatch.context() as patched:
        patched.setattr(commit, "replace", torn)
        if survived < 4:
            with pytest.raises(TornError):
                writer.finish_videos(*finish)
        else:
            writer.finish_videos(*finish)
    assert done == ["events", "segments", "windows", "videos"][:survived]
    writer.finish_videos(*finish)
    assert ids(writer.index.events(), "event_id") == ["new"]
    assert ids(writer.index.segments(), "segment_id") == ["n"]
    assert ids(writer.index.windows(), "shard_id") == ["b"]
    assert ids(writer.index.videos(), "fingerprint") == ["f2"]


def test_a_reader_sees_one_generation_while_rows_are_rewritten(writer):
    def generation(n):
        return rows("windows", *(window("a", i, i, i + 1, markers=[str(n)]) for i in range(50)))

    writer.write_windows(generation(0))
    index = pi.open(writer.store.root)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(lambda: [writer.write_windows(generation(n)) for n in range(1, 16)])
        seen = []
        while not job.done():
            found = index.windows(columns=["markers"])
            assert found.num_rows == 50
            (marker,) = {m for row in found["markers"].to_pylist() for m in row}
            seen.append(int(marker))
        job.result()
    assert seen == sorted(seen)
    assert index.windows(limit=1)["markers"].to_pylist() == [["15"]]


# A writer of videos `first`..`last`: windows in two commits each, then the answers. It prints what
# is acknowledged.
_WORK = """
import sys
import pipeline.index as pi
from tests.unit.test_index_commit import job_tables
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


def test_a_conflict_that_never_ends_is_raised(writer, monkeypatch):
    def always(*_args, **_kwargs):
        raise CommitFailedError("a concurrent transaction added new data")

    monkeypatch.setattr("pipeline.index.replace.write_deltalake", always)
    monkeypatch.setattr("pipeline.index.replace._ATTEMPTS", 3)
    with pytest.raises(CommitFailedError):
        writer.write_windows(rows("windows", window("a", 0, 0, 10)))


def test_compaction_keeps_rows_and_sorts_them_and_vacuum_removes_what_is_left(writer):
    for n in range(4):
        writer.write_windows(
            rows("windows", *(window(f"s{n}", i, i, i + 1, camera=f"cam{i % 3}") for i in range(9)))
        )
    before = writer.index.windows()
    assert len(writer.index.files("windows")) == 4
    assert maintain.compact(writer.store) == 0  # too young
    assert maintain.compact(writer.store, settled=timedelta(0)) == 1
    assert writer.index.windows() == before
    (path,) = writer.index.files("windows")
    stored = pi.open(writer.store.root).sql("SELECT camera, start FROM windows").to_pylist()
    assert stored == sorted(stored, key=lambda row: (row["camera"], row["start"]))
    assert maintain.vacuum(writer.store, retention_hours=0) == 4
    assert writer.index.windows() == before
    assert writer.index.files("windows") == [path]


def test_compaction_never_drops_or_revives_rows_written_meanwhile(writer, monkeypatch):
    for n in range(3):
        writer.write_windows(rows("windows", window(f"s{n}", 0, n, n + 1)))
    fetch = maintain.duck.fetch
    meanwhile = [
        rows("windows", window("s1", 7, 1, 2)),
        rows("windows", window("new", 0, 50, 51)),
    ]

    def slow(*args):
        found = fetch(*args)
        if meanwhile:
            pi.Writer(writer.store.root).write_windows(meanwhile.pop())
        return found

    monkeypatch.setattr(maintain.duck, "fetch", slow)
    maintain.compact(writer.store, settled=timedelta(0))
    monkeypatch.undo()
    assert not meanwhile
    assert ids(writer.index.windows(), "window_id") == ["new-0", "s0-0", "s1-7", "s2-0"]


def test_what_a_reused_name_held_at_another_time_stays(writer):
    earlier = video("monday", 0, 600, uri="latest.mp4")
    writer.finish_videos(rows("videos", earlier))
    later = video("tuesday", 600, 1200, uri="latest.mp4")
    writer.finish_videos(rows("videos", later))
    assert ids(writer.index.videos(), "video_id") == ["monday", "tuesday"]
