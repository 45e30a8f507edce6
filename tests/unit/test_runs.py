"""Which cameras a new run may take, and what the table ``runs`` tells of those before it."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline.index as pi
from pipeline.index.runs import (
    LOST_AFTER,
    camera_availability,
    conflicts,
    is_lost,
    mark_lost,
)
from pipeline.processes import identity
from pipeline.records import Run, RunFigures
from pipeline.tables.runs import runs_of_table, runs_table
from pipeline.tables.schema import RUNS
from tests.unit.test_index_schema import GOLDEN

NOW = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
US = timedelta(microseconds=1)


def alive(_run):
    return False


def gone(_run):
    return True


def a_run(run_id="r1", *cameras, silent_for=timedelta(0), **given):
    return Run(
        **{
            "run_id": run_id,
            "start": NOW - timedelta(hours=1),
            "heartbeat_at": NOW - silent_for,
            "host": "here",
            "pid": 7,
            "process": "elsewhere/7/0",
            "task": "t",
            "fingerprint": "f",
            "version": "0",
            "cameras": cameras,
        }
        | given
    )


def test_a_run_keeps_its_cameras_until_three_heartbeats_are_missing_and_not_a_moment_longer():
    almost = a_run("r1", "gate", silent_for=LOST_AFTER - US)
    silent = a_run("r1", "gate", silent_for=LOST_AFTER)
    assert timedelta(seconds=90) == LOST_AFTER
    assert not is_lost(almost, NOW, alive)
    assert is_lost(silent, NOW, alive)
    assert camera_availability([almost], {"gate"}, NOW, alive).free == set()
    assert camera_availability([silent], {"gate"}, NOW, alive).free == {"gate"}


def test_a_run_whose_process_has_ended_loses_its_cameras_at_once():
    shared = camera_availability([a_run("r1", "gate")], {"gate", "yard"}, NOW, gone)
    assert shared.free == {"gate", "yard"}
    assert [run.run_id for run in shared.lost] == ["r1"]
    assert shared.others == ()


def test_a_heartbeat_from_a_clock_that_is_ahead_counts_as_one():
    assert not is_lost(a_run(silent_for=-timedelta(hours=1)), NOW, alive)


def test_a_run_that_has_ended_is_never_lost():
    for state in ("done", "incomplete", "budget", "interrupted", "lost"):
        assert not is_lost(a_run(state=state, silent_for=timedelta(days=9)), NOW, gone)


def test_a_run_without_wanted_cameras_blocks_no_other_run():
    other = a_run("r1", "gate")
    shared = camera_availability([other], {"yard"}, NOW, alive)
    assert shared.free == {"yard"}
    assert shared.others == shared.lost == ()


CAMERAS = st.sets(st.sampled_from("abcd"))


@given(held=st.lists(st.tuples(CAMERAS, st.booleans()), max_size=4), wanted=CAMERAS)
def test_a_camera_is_free_exactly_if_no_living_run_holds_it(held, wanted):
    runs = [
        a_run(f"r{n}", *sorted(cameras), silent_for=timedelta(0) if lives else LOST_AFTER)
        for n, (cameras, lives) in enumerate(held)
    ]
    shared = camera_availability(runs, wanted, NOW, alive)
    living = [cameras for cameras, lives in held if lives]
    assert shared.free == wanted - set().union(*living)
    assert len(shared.lost) == len(held) - len(living)
    assert all(wanted & set(run.cameras) for run in shared.others)


def test_a_run_reads_back_as_it_was_written():
    run = a_run(
        "r1",
        "gate",
        "yard",
        state="budget",
        end=NOW + US,
        job_id="raysubmit_1",
        job_metadata={"owner": "ops", "ticket": "7"},
        shard="3/16",
        exit_code=6,
        figures=RunFigures(num_videos_done=3, num_windows=40, decode_cpu_s=1.5, gpu_s=0.25),
        error="gate.mp4: moov is missing",
    )
    table = runs_table([run, a_run("r2")])
    assert table.schema == RUNS
    assert runs_of_table(table) == [run, a_run("r2")]


def test_a_lost_run_ends_after_its_start_whatever_the_clocks_say():
    run = mark_lost(a_run(start=NOW + timedelta(hours=1)), NOW)
    assert run.state == "lost"
    assert run.end > run.start


def test_a_process_has_ended_only_if_that_can_be_seen():
    code = (
        "from pipeline.processes.identity import unique_name;"
        "print(unique_name(), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        name = child.stdout.readline().decode().strip()
        assert not identity.has_ended(name)
        child.kill()
        child.wait()
        assert identity.has_ended(name)
    assert not identity.has_ended(identity.unique_name())
    space, pid, started = identity.unique_name().rsplit("/", 2)
    assert identity.has_ended(f"{space}/{pid}/{int(started) - 1}")  # the id was used again
    assert not identity.has_ended(f"another machine/{pid}/{int(started) - 1}")


def test_a_zombie_process_has_ended():
    pid = os.fork()
    if not pid:
        os._exit(0)
    space = identity.unique_name().rsplit("/", 2)[0]
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert identity.has_ended(f"{space}/{pid}/1")
    os.waitpid(pid, 0)


def test_runs_are_listed_newest_first_and_a_silent_one_as_lost(tmp_path):
    from pipeline.index.replace import replace as put
    from pipeline.index.validate import conform

    writer = pi.Writer(tmp_path)
    assert pi.list_runs(writer.index).num_rows == 0
    old = a_run("old", state="done", end=NOW, exit_code=0)
    silent = replace(a_run("silent"), start=NOW, heartbeat_at=NOW)
    put(writer.store, "runs", conform("runs", runs_table([old, silent])), "true")
    listed = pi.list_runs(writer.index).to_pylist()
    assert [(row["run_id"], row["state"]) for row in listed] == [
        ("silent", "lost"),
        ("old", "done"),
    ]
    asked = writer.index.sql("SELECT run_id FROM runs WHERE exit_code = 0").to_pylist()
    assert asked == [{"run_id": "old"}]


def test_an_index_older_than_runs_has_none_until_a_job_opens_it(tmp_path):
    folder = shutil.copytree(GOLDEN[0], tmp_path / "index")
    assert pi.list_runs(pi.open(folder)).num_rows == 0
    pi.Writer(folder)
    assert (folder / "runs" / "_delta_log").is_dir()
    assert pi.list_runs(pi.open(folder)).num_rows == 0


@pytest.mark.parametrize(
    ("fingerprint", "one_keeps", "other_keeps", "in_the_way"),
    [
        ("f", True, True, True),
        ("g", False, False, True),
        ("g", True, False, True),
        ("g", False, True, True),
        ("g", True, True, False),
    ],
)
def test_runs_of_two_settings_may_share_a_camera_if_both_keep_what_the_other_finds(
    fingerprint, one_keeps, other_keeps, in_the_way
):
    one, other = a_run(keep=one_keeps), a_run(fingerprint=fingerprint, keep=other_keeps)
    assert conflicts(other, one) == in_the_way
