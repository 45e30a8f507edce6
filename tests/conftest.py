"""What every test may use: the shipped clip, the shared footage, the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says something of the machine, not of the code.
hypothesis.settings.register_profile("timereel", deadline=None)
hypothesis.settings.load_profile("timereel")

ROOT = Path(__file__).parents[1]

MAY_BE_SKIPPED = (
    "Spark needs Java",
    "no unshare here to mount a small disk with",
    "this system does not let its users mount a small disk",
)
"""Why a test may be left out where ``CI`` is set; any other skip makes the run fail."""


BESIDE_OTHERS = ("browser", "ray", "vllm")
"""Marks of tests that drive a browser, a cluster or an engine: processes of others, with clocks of
their own. On a machine that stands still for seconds one of them may give up. Such a test is tried
once more, and the summary of pytest names it; what fails twice has failed."""


def pytest_collection_modifyitems(items):
    for item in items:
        if any(item.get_closest_marker(name) for name in BESIDE_OTHERS):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_runtest_logreport(report):
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(known in reason for known in MAY_BE_SKIPPED):
            report.outcome = "failed"
            report.longrepr = f"{report.nodeid} was skipped in CI: {reason}"


def pytest_collectreport(report):
    if os.environ.get("CI") and report.skipped:  # importorskip at the top of a file
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped in CI: {report.longrepr}"


LOBBY = ROOT / "pipeline" / "demo" / "lobby.mp4"
# Six visits, by background difference at 10 Hz and by eye; tolerance 0.5 s.
LOBBY_VISITS_S = [
    (6.1, 20.0),
    (22.8, 45.1),
    (50.3, 69.9),
    (74.5, 86.9),
    (92.1, 120.0),
    (123.5, 136.0),
]


@pytest.fixture(scope="session")
def footage() -> Path:
    """Real and broken videos with known truth, where they are at hand."""
    path = Path(os.environ.get("TIMEREEL_FOOTAGE", ROOT.parent / "shared" / "footage"))
    if not path.is_dir():
        pytest.skip(f"no footage at {path}; set TIMEREEL_FOOTAGE")
    return path


@pytest.fixture(scope="session")
def manifest(footage: Path) -> dict:
    """Truth about the footage, by file."""
    return json.loads((footage / "manifest.json").read_text())["files"]


@pytest.fixture(autouse=True)
def _memory_is_a_store(monkeypatch):
    """Tests keep footage in fsspec's memory too; no run may."""
    from pipeline.storage import access

    monkeypatch.setattr(access, "SCHEMES", (*access.SCHEMES, "memory"))


class Cli:
    """Runs ``timereel`` as a process of its own."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen] = []

    def start(self, *args: object, **more) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "timereel", *map(str, args)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **more,
        )
        self.started.append(process)
        return process

    def close(self) -> None:
        """End what a test has left running, and close its pipes."""
        for process in self.started:
            process.kill()
            process.communicate()

    def run(self, *args: object, code: int = 0) -> str:
        process = self.start(*args)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, f"exit {process.returncode}: {err.decode()}"
        self.err = err.decode()
        return out.decode()

    def json(self, *args: object, code: int = 0):
        return json.loads(self.run(*args, code=code))

    def rows(self, *args: object) -> list[dict]:
        return [json.loads(line) for line in self.run(*args, "--format", "jsonl").splitlines()]


@pytest.fixture
def cli() -> Iterator[Cli]:
    cli = Cli()
    yield cli
    cli.close()


@pytest.fixture
def serve():
    """Starts scripted endpoints; all are stopped at the end."""
    from tests.endpoint import Endpoint

    endpoints = []

    def start(*script, **more):
        endpoints.append(Endpoint(*script, **more))
        return endpoints[-1]

    yield start
    for endpoint in endpoints:
        endpoint.stop()


@pytest.fixture
def asked(serve, monkeypatch):
    """Asks one window of a scripted endpoint, with a key; its results, and the endpoint."""
    from tests.asked_endpoint import KEY, results_of

    monkeypatch.setenv("THE_KEY", KEY)

    def ask(*script, **changes):
        endpoint = serve(*script)
        return results_of(endpoint, **changes), endpoint

    return ask
