"""Of the processes that want a camera at once, exactly one gets it, and keeps it while it lives."""

import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import pipeline.index as pi
from pipeline.errors import LeaseLostError
from pipeline.index import lease as leases
from pipeline.index import maintain
from pipeline.index.lease import take_lease
from pipeline.index.runs import LOST_AFTER
from pipeline.index.validate import conform
from pipeline.processes import identity
from pipeline.records import RunFigures
from pipeline.tables.runs import runs_table
from tests.unit import test_runs

# A run that says what it has got, and goes on until it is killed or its input ends.
_RUN = """
import sys
import pipeline.index as pi
from pipeline.index.lease import take_lease
from tests.unit.test_lease import a_run
store = pi.Writer(sys.argv[1]).store
print("ready", flush=True)
sys.stdin.readline()
print(*take_lease(store, a_run(sys.argv[2]), set(sys.argv[3])).run.cameras, flush=True)
sys.stdin.readline()
"""


def a_run(run_id, **given):
    now = datetime.now(tz=UTC)
    told = {"start": now, "heartbeat_at": now, "process": identity.unique_name()}
    return test_runs.a_run(run_id, **(told | given))


def states(store):
    rows = pi.list_runs(pi.open(store.root)).to_pylist()
    return {row["run_id"]: row["state"] for row in rows}


@pytest.fixture
def store(tmp_path):
    return pi.Writer(tmp_path / "index").store


@pytest.fixture
def start(tmp_path):
    with ExitStack() as stack:

        def run(name, cameras):
            child = subprocess.Popen(
                [sys.executable, "-c", _RUN, tmp_path / "index", name, cameras],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            stack.enter_context(child)
            stack.callback(child.kill)
            return child

        yield run


def go(*children):
    """All at once: what each has got."""
    for child in children:
        assert child.stdout.readline() == b"ready\n"
    for child in children:
        child.stdin.write(b"\n")
        child.stdin.flush()
    return [set(child.stdout.readline().decode().split()) for child in children]


@pytest.mark.parametrize(
    "wanted", [("ab", "ab"), ("abc", "abc", "abc"), ("ab", "bc", "ca")], ids=len
)
def test_each_camera_goes_to_exactly_one_of_the_processes_that_want_it_at_once(
    start, wanted, tmp_path
):
    held = go(*(start(f"r{n}", cameras) for n, cameras in enumerate(wanted)))
    assert sorted(camera for got in held for camera in got) == sorted(set("".join(wanted)))
    rows = pi.list_runs(pi.open(tmp_path / "index")).to_pylist()
    assert {row["run_id"]: set(row["cameras"]) for row in rows} == {
        f"r{n}": got for n, got in enumerate(held)
    }
    assert {row["state"] for row in rows} == {"running"}


def test_the_cameras_of_a_killed_process_are_taken_over_at_once(start, store):
    child = start("dead", "ab")
    assert go(child) == [{"a", "b"}]
    assert take_lease(store, a_run("early"), {"a"}).run.cameras == ()
    child.kill()
    child.wait()
    assert take_lease(store, a_run("next"), {"a", "b"}).run.cameras == ("a", "b")
    assert states(store) == {"dead": "lost", "early": "running", "next": "running"}


def test_a_run_that_was_suspended_too_long_stops_before_it_commits(store):
    lease = take_lease(store, a_run("slow"), {"a"})
    silent = replace(lease.run, heartbeat_at=lease.run.heartbeat_at - LOST_AFTER)
    leases.commit(
        store.handle("runs"), "runs", conform("runs", runs_table([silent])), "run_id = 'slow'"
    )
    lease.run = silent
    assert take_lease(store, a_run("next"), {"a"}).run.cameras == ("a",)
    with pytest.raises(LeaseLostError, match="run slow wrote no heartbeat for 90 s"):
        lease.confirm()
    with pytest.raises(LeaseLostError):
        lease.confirm()
    with pytest.raises(LeaseLostError):
        lease.end("done", 0)
    assert states(store) == {"slow": "lost", "next": "running"}


def test_a_run_that_was_suspended_and_that_nobody_missed_goes_on(store):
    lease = take_lease(store, a_run("slow"), {"a"})
    lease.run = replace(lease.run, heartbeat_at=lease.run.heartbeat_at - LOST_AFTER)
    lease.confirm()
    assert datetime.now(tz=UTC) - lease.run.heartbeat_at < LOST_AFTER
    assert take_lease(store, a_run("next"), {"a"}).run.cameras == ()


def test_a_run_of_another_task_holds_nothing_of_this_one_nor_one_of_other_settings_if_both_keep(
    store,
):
    assert take_lease(store, a_run("r1", keep=True), {"a"}).run.cameras == ("a",)
    assert take_lease(store, a_run("r2", task="u"), {"a"}).run.cameras == ("a",)
    other = {"fingerprint": "g"}
    assert take_lease(store, a_run("r3", **other), {"a"}).run.cameras == ()
    assert take_lease(store, a_run("r4", **other, keep=True), {"a"}).run.cameras == ("a",)


def test_released_cameras_are_free_and_the_end_of_a_run_is_recorded(store):
    lease = take_lease(
        store, a_run("r1"), {"a", "b"}, figures=lambda: RunFigures(num_windows=12, gpu_s=1.5)
    )
    lease.keep_only({"b", "c"})
    second = take_lease(store, a_run("r2"), {"a", "b", "c"})
    assert second.run.cameras == ("a", "c")
    assert [other.run_id for other in second.others] == ["r1"]
    lease.end("interrupted", 130, "Ctrl-C")
    assert take_lease(store, a_run("r3"), {"b"}).run.cameras == ("b",)
    row = pi.list_runs(pi.open(store.root)).to_pylist()[-1]
    assert (row["state"], row["exit_code"], row["error"]) == ("interrupted", 130, "Ctrl-C")
    assert (row["num_windows"], row["gpu_s"]) == (12, 1.5)
    assert row["start"] < row["end"]


def test_heartbeats_go_on_while_the_index_is_compacted_and_others_come_and_go(store, monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT", timedelta(milliseconds=20))
    with take_lease(store, a_run("r1"), {"a"}) as lease:
        for n in range(3):
            take_lease(store, a_run(f"n{n}"), {f"n{n}"}).end("done", 0)
            maintain.compact(store, min_age=timedelta(0))
            maintain.vacuum(store)
        seen = lease.run.heartbeat_at
        while lease.run.heartbeat_at == seen:
            pass
        lease.confirm()
    lease.end("done", 0)
    assert set(states(store).values()) == {"done"}
    assert len(states(store)) == 4


def test_a_waiting_run_holds_nothing_until_all_its_cameras_are_free(store, monkeypatch):
    monkeypatch.setattr(leases, "_POLL_S", 0.01)
    first = take_lease(store, a_run("r1"), {"a"})
    got = []
    thread = threading.Thread(
        target=lambda: got.append(take_lease(store, a_run("r2"), {"a", "b"}, wait=True))
    )
    thread.start()
    try:
        second = take_lease(store, a_run("r3"), {"b"})
        assert second.run.cameras == ("b",)
        assert set(states(store)) == {"r1", "r3"}
        second.end("done", 0)
    finally:
        first.end("done", 0)
    thread.join()
    assert got[0].run.cameras == ("a", "b")
    assert got[0].others == ()


def test_a_run_that_wants_nothing_does_not_wait(store):
    take_lease(store, a_run("r1"), {"a"})
    assert take_lease(store, a_run("r2"), set(), wait=True).run.cameras == ()
