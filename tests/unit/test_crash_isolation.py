"""A crash or hang in a child process becomes an exception; with real segfaults and real hangs."""

import signal
import subprocess
import sys
from collections import Counter

import pytest

from pipeline.processes.crash_isolation import ProcessDiedError, in_child_process
from pipeline.processes.watchdog import extend_limit, following, watchdog
from tests.dying import (
    counts,
    crashes,
    hangs,
    has_a_bug,
    is_interrupted,
    is_known,
    is_stopped,
    prints,
)


def test_the_items_of_a_healthy_stage_arrive_complete_and_in_order():
    assert list(in_child_process(counts, 3)) == [0, 1, 2]
    assert list(in_child_process(prints, 7)) == [7]


def test_a_child_knows_no_key_but_those_of_the_stores_that_it_reads(monkeypatch):
    keys = ("OPENAI_API_KEY", "RAY_AUTH_TOKEN", "TIMEREEL_TOKEN", "OTEL_EXPORTER_OTLP_HEADERS")
    for name in (*keys, "AWS_SECRET_ACCESS_KEY", "https_proxy"):
        monkeypatch.setenv(name, f"secret of {name}")
    [(environment, command_line)] = in_child_process(is_known)
    assert {"PATH", "AWS_SECRET_ACCESS_KEY", "https_proxy"} <= environment.keys()
    assert environment.keys().isdisjoint(keys)
    assert "secret" not in command_line


def test_a_crash_is_raised_after_the_items_before_it():
    items = in_child_process(crashes, 2)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(ProcessDiedError, match="SIGSEGV"):
        next(items)


def test_the_kernel_ends_a_call_that_never_returns():
    items = in_child_process(hangs, 1, 0.5)
    assert next(items) == 0
    with pytest.raises(ProcessDiedError, match=r"hung.*decode\.max_stall_s"):
        next(items)


def test_a_child_that_is_stopped_counts_as_hung_when_its_time_is_over():
    items = in_child_process(is_stopped, 1, 0.5)
    assert next(items) == 0
    with pytest.raises(ProcessDiedError, match=r"hung.*decode\.max_stall_s"):
        next(items)


def test_a_worker_that_is_stopped_is_ended_by_its_neighbour_when_its_time_is_over():
    begins = "from tests.dying import is_stopped; list(is_stopped(0, {}))"
    looks = "import time; from timereel.worker import start; start(); time.sleep(99)"
    codes = (begins.format(0.5), begins.format(999), looks)
    overdue, in_time, _ = workers = [subprocess.Popen([sys.executable, "-c", c]) for c in codes]
    try:
        assert overdue.wait(60) == -signal.SIGKILL
        assert in_time.poll() is None
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_the_only_one_that_looks_comes_to_each_of_many_neighbours():
    quiet = [subprocess.Popen(["sleep", "99"]) for _ in range(6)]
    stopped = "from tests.dying import is_stopped; list(is_stopped(0, 0.5))"
    looks = (
        "import time; from pipeline.processes.watchdog import end_overdue_neighbours\n"
        "end_overdue_neighbours(0.1); time.sleep(99)"
    )
    overdue = subprocess.Popen([sys.executable, "-c", stopped])
    workers = [*quiet, overdue, subprocess.Popen([sys.executable, "-c", looks])]
    try:
        assert overdue.wait(60) == -signal.SIGKILL
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_of_many_workers_each_is_looked_at_by_the_few_before_it():
    workers = set(range(1000, 1128))
    looks = Counter(seen for worker in workers for seen in following(workers, worker)[:4])
    assert looks == dict.fromkeys(workers, 4)


def test_a_worker_that_is_stopped_is_ended_by_the_process_that_has_started_its_parent():
    stopped = "from tests.dying import is_stopped; list(is_stopped(0, 0.5))"
    parent = (
        "import subprocess, sys; sys.exit(-subprocess.run([sys.executable, '-c', {!r}]).returncode)"
    )
    looks = (
        "import subprocess, sys\n"
        "from pipeline.processes.watchdog import ending_overdue_grandchildren\n"
        "with ending_overdue_grandchildren(0.1):\n"
        f"    done = subprocess.run([sys.executable, '-c', {parent.format(stopped)!r}])\n"
        "sys.exit(done.returncode)"
    )
    assert (
        subprocess.run([sys.executable, "-c", looks], timeout=60, check=False).returncode
        == signal.SIGKILL
    )


def test_ctrl_c_in_the_child_is_a_keyboard_interrupt_in_the_parent(capfd):
    items = in_child_process(is_interrupted, 1)
    next(items)
    with pytest.raises(KeyboardInterrupt):
        next(items)
    assert "Traceback" not in capfd.readouterr().err


def test_a_bug_in_the_stage_is_a_runtime_error():
    items = in_child_process(has_a_bug, 1)
    next(items)
    with pytest.raises(RuntimeError, match="has_a_bug"):
        next(items)


def test_a_watchdog_restores_the_former_timer():
    former = signal.getitimer(signal.ITIMER_REAL)
    with watchdog(1000):
        extend_limit()
        left_s, limit_s = signal.getitimer(signal.ITIMER_REAL)
    assert (limit_s, left_s > 900) == (1000, True)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(former[0], abs=100)
