"""A short form of ``make alert-kill-test``, in a process that has no threads before it forks."""

import json
import subprocess
import sys

from tests.conftest import ROOT


def test_each_event_is_told_once_although_jobs_and_two_senders_are_killed():
    killed = subprocess.run(
        [sys.executable, "-m", "tests.hard.kill_alerts", "--kills", "3", "--seed", "7"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == 0, killed.stdout + killed.stderr
    report = json.loads(killed.stdout.splitlines()[-1])
    assert report["kills"] >= 3
    assert (report["lost"], report["told_twice"], report["bad_signatures"]) == (0, 0, 0)
    assert report["messages"] >= report["events"]
