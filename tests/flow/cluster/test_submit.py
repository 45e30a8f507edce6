"""``timereel submit`` against a real Ray head with its job server, on ports of its own."""

import pytest

from tests.conftest import LOBBY

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


def test_a_wrong_token_is_one_sentence(submit, cli, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    submit(LOBBY, "--index", tmp_path, code=2)
    assert "refuses the token" in cli.err
    assert "Traceback" not in cli.err
