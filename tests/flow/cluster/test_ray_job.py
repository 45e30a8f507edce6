"""`ray job submit` against a real Ray head that the test starts on free ports."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import LOBBY, ROOT

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

OWN_AND_THEN_JOINED = """
import os, sys
from pipeline.config import Config
from pipeline.flow.cluster import running_ray

with running_ray(Config(), None):
    own = os.environ["RAY_AUTH_TOKEN"]
assert own not in os.environ.values()
with running_ray(Config(), sys.argv[1]):
    print("joined")
"""


def submit(head, *args: object) -> subprocess.CompletedProcess:
    command = ["ray", "job", "submit", "--working-dir", ".", "--", "python", "-m", *map(str, args)]
    return subprocess.run(
        command, cwd=ROOT, env=head, capture_output=True, text=True, timeout=300, check=False
    )


def test_a_submitted_job_indexes_on_the_cluster_and_returns_its_exit_code(head, cli, tmp_path):
    index = tmp_path / "index"
    done = submit(
        head, "jobs.index_archive", LOBBY, "--config", "configs/signals.yaml", "--index", index
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "videos: 1 done" in done.stdout
    assert len(cli.rows("query", "--index", index, "--label", "motion")) == 6

    again = submit(head, "jobs.index_archive", LOBBY, "--config", "configs/signals.yaml",
                   "--index", index)  # fmt: skip
    assert again.returncode == 0
    assert "nothing to do" in again.stdout

    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    failed = submit(head, "jobs.index_archive", empty, "--index", index)
    assert failed.returncode != 0
    assert "empty.mp4" in failed.stdout + failed.stderr
    assert "4" in failed.stdout + failed.stderr  # Ray prints the driver's exit code


def test_a_job_joins_a_running_cluster_by_its_address(head, cli, tmp_path):
    process = cli.start(
        "index", LOBBY, "--index", tmp_path / "index", "--address", head["GCS"],
        env={key: value for key, value in head.items() if key != "RAY_ADDRESS"},
    )  # fmt: skip
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err.decode()
    assert "videos: 1 done" in out.decode()
    assert len(cli.rows("query", "--index", tmp_path / "index", "--label", "motion")) == 6


def test_without_an_address_a_run_does_not_join_the_ray_of_somebody_else(head, cli, tmp_path):
    """Ray itself would: it writes down where the last one was started on a machine."""
    # Short, as the paths of Unix sockets must be.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        last_started = Path(folder) / "ray" / "ray_current_cluster"
        last_started.parent.mkdir()
        last_started.write_text(head["GCS"])
        env = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
        process = cli.start(
            "index", LOBBY, "--index", tmp_path / "index", env=env | {"RAY_TMPDIR": folder}
        )
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err.decode()
    assert "videos: 1 done" in out.decode()


def test_a_job_that_joins_from_beside_a_foreign_pipeline_does_not_import_it(head, tmp_path):
    foreign = tmp_path / "work" / "pipeline"
    foreign.mkdir(parents=True)
    told = tmp_path / "imported"
    (foreign / "__init__.py").write_text(
        f"open({str(told)!r}, 'w').close()\nraise OSError('not ours')"
    )
    done = subprocess.run(
        [sys.executable, "-m", "timereel", "index", LOBBY, "--index", tmp_path / "index",
         "--address", head["GCS"]],
        cwd=foreign.parent, capture_output=True, text=True, timeout=300, check=False,
        env={k: v for k, v in head.items() if k != "RAY_ADDRESS"} | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "videos: 1 done" in done.stdout
    assert not told.exists()


def test_a_process_that_had_a_ray_of_its_own_joins_a_cluster_with_the_token_of_that(head, tmp_path):
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text(head["RAY_AUTH_TOKEN"])
    env = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", OWN_AND_THEN_JOINED, head["GCS"]], cwd=ROOT,
        env=env | {"HOME": str(tmp_path), "RAY_AUTH_MODE": "token"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["joined"], done.stderr
