"""A short `make chaos`: a machine of a real Ray cluster goes away in the middle of a run."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


def test_when_the_machine_that_holds_the_model_goes_away_the_rows_are_those_of_an_undisturbed_run():
    done = subprocess.run(
        [sys.executable, "-m", "tests.hard.chaos", "engine", "--engine", "openai"],
        cwd=ROOT, capture_output=True, text=True, timeout=800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (seen["fault"], seen["exits"], seen["too_late"]) == ("engine", [0], False)
    assert (seen["lost"], seen["doubled"], seen["partial"]) == (0, 0, 0)
