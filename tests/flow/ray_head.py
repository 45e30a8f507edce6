"""A Ray head of the test's own, on ports of its own."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BIN = Path(sys.executable).parent


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def ray_head(logs: Path, *, num_cpus: int = 2, takes_jobs: bool = True) -> Iterator[dict[str, str]]:
    """Environment in which a head is reached; GCS is its address, METRICS the port of its figures,
    FOLDER what it writes to.

    Without ``takes_jobs`` it starts sooner, and `ray job submit` does not reach it.
    """
    gcs, dashboard, agent, grpc, client, metrics = free_ports(6)
    env = os.environ | {
        # The entrypoint's `python` is the first on the agent's PATH.
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_metrics_report_interval_ms": "500",
        "RAY_ADDRESS": f"http://127.0.0.1:{dashboard}",
    }
    log = logs / "head.log"
    # Unix sockets of Ray lie under its temporary folder, and their paths must stay short.
    folder = Path("/tmp") / f"ray-{secrets.token_hex(3)}"  # noqa: S108
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                str(BIN / "ray"), "start", "--head", "--block", f"--num-cpus={num_cpus}",
                f"--port={gcs}", f"--dashboard-port={dashboard}",
                f"--dashboard-agent-listen-port={agent}", f"--dashboard-agent-grpc-port={grpc}",
                f"--ray-client-server-port={client}", f"--metrics-export-port={metrics}",
                f"--include-dashboard={str(takes_jobs).lower()}", f"--temp-dir={folder}",
                "--object-store-memory=300000000",
            ],
            env={key: value for key, value in env.items() if key != "RAY_ADDRESS"},
            stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        deadline_s = time.monotonic() + 120
        while not _answers(env) if takes_jobs else not _is_started(log):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(1)
        yield env | {"GCS": f"127.0.0.1:{gcs}", "METRICS": str(metrics), "FOLDER": str(folder)}
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)  # a process that is ending may still write


def _answers(env: dict[str, str]) -> bool:
    asked = [BIN / "ray", "job", "list"]
    return not subprocess.run(asked, env=env, capture_output=True, check=False).returncode


def _is_started(log: Path) -> bool:
    return "Ray runtime started" in log.read_text()
