"""``timereel submit`` against a real Ray head with its job server, on ports of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import LOBBY, ROOT

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]


@pytest.fixture
def submit(head, cli, monkeypatch):
    """Runs ``timereel submit`` with the token of the head; what it prints."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, head[name])

    def run(*args: object, code: int = 0) -> str:
        return cli.run("submit", "--cluster", head["RAY_ADDRESS"], *args, code=code).strip()

    return run


def test_a_submitted_run_keeps_what_was_said_of_it_and_gives_its_exit_code(submit, cli, tmp_path):
    index = tmp_path / "index"
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    work = [LOBBY, empty, "--index", index, "--metadata", "team=night", "--driver-cpus", 0.1]
    job = submit(*work, code=4)
    assert "empty.mp4" in cli.err
    (run,) = cli.rows("runs", "--index", index)
    assert (run["job_id"], run["exit_code"]) == (job, 4)
    assert dict(run["job_metadata"])["team"] == "night"
    assert len(cli.rows("query", "--index", index, "--label", "motion")) == 6

    # What has ended runs again, as another job; the bad file is known now.
    again = submit(*work)
    assert again.rpartition("-")[0] == job.rpartition("-")[0]
    assert again != job
    assert "failed as before" in cli.err


def test_a_second_submission_of_work_that_has_not_ended_names_its_job(submit, cli, tmp_path):
    # No node has so many CPUs: the job waits for one until the cluster ends.
    work = [LOBBY, "--index", tmp_path, "--no-wait", "--driver-cpus", 64]
    job = submit(*work)
    assert cli.err == ""
    assert submit(*work) == job
    assert f"already, as job {job}" in cli.err


def test_two_who_submit_at_once_share_a_job_and_one_whose_driver_is_killed_is_done_by_the_next(
    submit, head, cli, tmp_path
):
    index = tmp_path / "index"
    work = ["submit", "--cluster", head["RAY_ADDRESS"], LOBBY, "--index", index]
    both = [cli.start(*work), cli.start(*work)]
    # The first shard is not there yet while the run leases its camera.
    while not (index / "runs").is_dir():
        time.sleep(0.05)
    (driver,) = [pid for pid, words in processes() if {"timereel", "index", str(index)} <= words]
    os.kill(driver, signal.SIGKILL)
    ended = [(*one.communicate(timeout=240), one.returncode) for one in both]
    assert {code for _, _, code in ended} == {7}
    assert len({out for out, _, _ in ended}) == 1
    assert any("already, as job" in err.decode() for _, err, _ in ended)
    assert all("did not end by itself" in err.decode() for _, err, _ in ended)

    submit(LOBBY, "--index", index)
    assert len(cli.rows("query", "--index", index, "--label", "motion")) == 6


def processes() -> Iterator[tuple[int, set[str]]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_text().split("\0")
            if "python" in words[0]:
                yield int(folder.name), set(words)


FOLLOWED = """
import sys
from pipeline.flow import submission
client = submission.connect(sys.argv[1])
submission.follow(client, client.submit_job(entrypoint=sys.argv[2]), print)
"""


@pytest.mark.parametrize("python", ["python -S -I", "no-such-python"])
def test_a_node_without_timereel_or_python_is_one_sentence(head, python):
    words = [sys.executable, "-c", FOLLOWED, head["RAY_ADDRESS"], f"{python} -m timereel index"]
    done = subprocess.run(words, env=head, cwd=ROOT, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("pipeline.errors.ConfigError: job ")
    assert "the node that ran it has no timereel, or no python on its PATH" in last


def test_a_wrong_token_is_one_sentence(submit, cli, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    submit(LOBBY, "--index", tmp_path, code=2)
    assert "refuses the token" in cli.err
    assert "Traceback" not in cli.err
