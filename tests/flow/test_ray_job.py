"""`ray job submit` against a real Ray head of the test's own, on ports of its own."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import LOBBY, ROOT

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

BIN = Path(sys.executable).parent


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """Environment in which `ray job submit` reaches a head with two CPUs."""
    gcs, dashboard, agent, grpc, client, metrics = free_ports(6)
    env = os.environ | {
        # The entrypoint's `python` is the first on the agent's PATH.
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_ADDRESS": f"http://127.0.0.1:{dashboard}",
    }
    log = tmp_path_factory.mktemp("head") / "head.log"
    # Unix sockets of Ray lie under its temporary folder, and their paths must stay short.
    folder = Path("/tmp") / f"ray-{secrets.token_hex(3)}"  # noqa: S108
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                str(BIN / "ray"), "start", "--head", "--block", "--num-cpus=2",
                f"--port={gcs}", f"--dashboard-port={dashboard}",
                f"--dashboard-agent-listen-port={agent}", f"--dashboard-agent-grpc-port={grpc}",
                f"--ray-client-server-port={client}", f"--metrics-export-port={metrics}",
                "--include-dashboard=true", f"--temp-dir={folder}",
                "--object-store-memory=300000000",
            ],
            env={key: value for key, value in env.items() if key != "RAY_ADDRESS"},
            stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        deadline_s = time.monotonic() + 120
        while subprocess.run(
            [BIN / "ray", "job", "list"], env=env, capture_output=True, check=False
        ).returncode:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(1)
        yield env | {"GCS": f"127.0.0.1:{gcs}"}
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def submit(head, *args: object) -> subprocess.CompletedProcess:
    command = ["ray", "job", "submit", "--working-dir", ".", "--", "python", "-m", *map(str, args)]
    return subprocess.run(
        command, cwd=ROOT, env=head, capture_output=True, text=True, timeout=300, check=False
    )


def test_a_submitted_job_indexes_on_the_cluster_and_its_exit_code_comes_back(head, cli, tmp_path):
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
    assert "4" in failed.stdout + failed.stderr  # the driver's own exit code is told


def test_a_running_cluster_is_joined_by_its_address(head, cli, tmp_path):
    process = cli.start(
        "index", LOBBY, "--index", tmp_path / "index", "--address", head["GCS"],
        env={key: value for key, value in head.items() if key != "RAY_ADDRESS"},
    )  # fmt: skip
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err.decode()
    assert "videos: 1 done" in out.decode()
    assert len(cli.rows("query", "--index", tmp_path / "index", "--label", "motion")) == 6
