"""A short `make kill-test`, without Ray: the driver is killed, and the same command goes on."""

import json
import subprocess
import sys

from tests.conftest import ROOT


def test_a_driver_killed_at_random_points_loses_doubles_and_halves_nothing():
    command = ["-m", "tests.hard.kill_driver", "--without-ray", "--kills", "12", "--seed", "7"]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["kills"] == 12
    assert report["archives"] >= 1
