"""``make chaos``: faults on three real raylets; the rows must equal those of an undisturbed run.

    python -m tests.hard.chaos worker engine driver --engine openai

A head without CPUs and three raylets with one CPU each, on one machine, with a token of their own.
``timereel index --address`` is a process of its own. The fault comes after the first windows are
committed. Each fault prints one JSON line; the exit code is 0 if all rows were equal, every run
ended, and no traceback was shown.
"""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import ROOT
from tests.endpoint import Endpoint
from tests.hard.kill_driver import differences, make_archive, num_files, rows_of

STORE_BYTES = 80_000_000
"""The smallest object store that Ray allows."""
LONGEST_S = 600.0

OPENAI = """
task: {{name: gate, labels: {{enter: comes in}}, prompt: Report., summary: false}}
engine: {{kind: openai, model: m, base_url: "{url}", api_key_env: CHAOS_KEY, max_concurrency: 4}}
"""
PLAN = """
sample: {{fps: 10}}
plan: {{max_window_frames: 2, shard_cost_s: 0.002}}
commit: {{shards: 1}}
"""


class Raylets:
    """Three raylets and a head; where they are put up anew, the port stays the same."""

    def __init__(self, temp: Path) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, "temp_dir": str(temp)}
        self._more = {"object_store_memory": STORE_BYTES, "temp_dir": str(temp)}
        self.cluster = Cluster(initialize_head=True, head_node_args=head | self._more)
        self.nodes = [self.add() for _ in range(3)]

    def add(self) -> Any:
        return self.cluster.add_node(num_cpus=1, **self._more)

    def remove(self, node: Any) -> None:
        """Kill a raylet and all its workers, as a machine that goes away does."""
        self.nodes.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def node_of(self, actor: str) -> Any:
        """The node whose raylet holds a process with this name."""
        for node in self.nodes:
            raylet = node.all_processes["raylet"][0].process.pid
            for worker in psutil.Process(raylet).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if actor in " ".join(worker.cmdline()):
                        return node
        return None

    def kill_head(self) -> None:
        for infos in self.cluster.head_node.all_processes.values():
            for info in infos:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(info.process.pid, signal.SIGKILL)

    def stop(self) -> None:
        with contextlib.suppress(Exception):
            self.cluster.shutdown()


class Chaos:
    """One archive, one engine, and what an undisturbed run makes of it."""

    def __init__(self, folder: Path, engine: str) -> None:
        self.folder, self.engine = folder, engine
        make_archive(folder / "archive")
        self.endpoint = Endpoint((200, answer), delay_s=0.3) if engine == "openai" else None
        text = OPENAI.format(url=self.endpoint.url) if self.endpoint else ""
        (folder / "run.yaml").write_text(text + PLAN.format())
        self.temp = Path(tempfile.mkdtemp(prefix="c", dir="/tmp"))
        self.raylets = Raylets(self.temp)
        self.log = folder / "driver.log"
        self.expected = None

    def close(self) -> None:
        self.raylets.stop()
        if self.endpoint:
            self.endpoint.stop()
        shutil.rmtree(self.temp, ignore_errors=True)

    def start(self, index: Path) -> subprocess.Popen:
        words = ["index", self.folder / "archive", "--index", index, "--config",
                 self.folder / "run.yaml", "--address", self.raylets.cluster.address]  # fmt: skip
        with self.log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "timereel", *map(str, words)],
                cwd=ROOT, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def finish(self, index: Path) -> int:
        return self.wait(self.start(index))

    def wait(self, driver: subprocess.Popen) -> int:
        """Its exit code; a driver that does not end is killed, and the code says so."""
        try:
            return driver.wait(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(driver.pid, signal.SIGKILL)
            return driver.wait()

    def suffer(self, fault: str) -> dict[str, Any]:
        """Index with a fault in the middle, and compare."""
        if self.expected is None:
            assert self.finish(self.folder / "whole") == 0, self.log.read_text()
            self.expected = rows_of(self.folder / "whole")
        self.log.unlink()
        began_s, index = time.monotonic(), self.folder / f"index-{fault}"
        driver = self.start(index)
        while driver.poll() is None and not num_files(index / "windows"):
            time.sleep(0.05)
        while driver.poll() is None and not windows_committed(index):
            time.sleep(0.05)
        too_late = driver.poll() is not None
        exits = FAULTS[fault](self, driver, index)
        found = rows_of(index)
        told = self.log.read_text()
        return {
            "fault": fault,
            "engine": self.engine,
            "too_late": too_late,
            "exits": exits,
            **differences(self.expected, found),
            "tracebacks": told.count("Traceback"),
            "said": [line for line in told.splitlines() if not line.startswith("{")][-3:],
            "wall_s": round(time.monotonic() - began_s, 1),
        }


def answer(body: dict[str, Any]) -> str:
    """An event from the first to the second frame, at the times that the prompt names."""
    parts = body["messages"][-1]["content"]
    times = [part["text"][1:].split()[0] for part in parts[:-1] if part["type"] == "text"]
    return f'{{"events":[{{"label":"enter","start":{times[0]},"end":{times[-1]}}}]}}'


def windows_committed(index: Path) -> bool:
    """Whether windows were committed; the first entry of the log only makes the table."""
    return len(list((index / "windows" / "_delta_log").glob("*.json"))) >= 2


def worker(chaos: Chaos, driver: subprocess.Popen, _index: Path) -> list[int]:
    """A machine that decodes goes away."""
    engine = chaos.raylets.node_of("_ModelActor")
    chaos.raylets.remove(next(node for node in chaos.raylets.nodes if node is not engine))
    code = chaos.wait(driver)
    chaos.raylets.nodes.append(chaos.raylets.add())
    return [code]


def engine(chaos: Chaos, driver: subprocess.Popen, _index: Path) -> list[int]:
    """The machine that holds the model goes away, and another one comes."""
    node = chaos.raylets.node_of("_ModelActor")
    assert node, "no process holds the model: this fault needs --engine openai"
    chaos.raylets.remove(node)
    chaos.raylets.nodes.append(chaos.raylets.add())
    return [chaos.wait(driver)]


def driver(chaos: Chaos, running: subprocess.Popen, index: Path) -> list[int]:
    """The driver is killed, and the same command runs again."""
    running.kill()
    return [running.wait(), chaos.finish(index)]


def stop(chaos: Chaos, running: subprocess.Popen, index: Path) -> list[int]:
    """`ray job stop`, and the same command runs again."""
    running.terminate()
    return [chaos.wait(running), chaos.finish(index)]


def node(chaos: Chaos, running: subprocess.Popen, _index: Path) -> list[int]:
    """The autoscaler adds a machine and takes it away again."""
    added = chaos.raylets.add()
    time.sleep(3)
    chaos.raylets.cluster.remove_node(added)
    return [chaos.wait(running)]


def head(chaos: Chaos, running: subprocess.Popen, index: Path) -> list[int]:
    """The head is gone with all it knew; a new cluster comes, and the same command runs there."""
    chaos.raylets.kill_head()
    code = chaos.wait(running)
    chaos.raylets.stop()
    chaos.raylets = Raylets(chaos.temp)
    return [code, chaos.finish(index)]


FAULTS: dict[str, Callable[[Chaos, subprocess.Popen, Path], list[int]]] = {
    fault.__name__: fault for fault in (worker, engine, driver, stop, node, head)
}


def main() -> int:
    """Let every named fault happen, one after the other, on the same raylets."""
    if "CHAOS_KEY" not in os.environ:  # anew, as Ray reads its token when it is imported
        env = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
        env |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        again = [sys.executable, "-m", "tests.hard.chaos", *sys.argv[1:]]
        return subprocess.run(again, check=False, env=env | {"CHAOS_KEY": "none"}).returncode
    options = argparse.ArgumentParser()
    options.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(FAULTS))
    options.add_argument("--engine", choices=["signals", "openai"], default="openai")
    asked = options.parse_args()
    # Without a model no process holds one.
    able = [name for name in FAULTS if (asked.engine, name) != ("signals", "engine")]
    faults = asked.faults or able
    failed = 0
    with tempfile.TemporaryDirectory(prefix="chaos") as name:
        chaos = Chaos(Path(name), asked.engine)
        try:
            for fault in faults:
                seen = chaos.suffer(fault)
                print(json.dumps(seen), flush=True)  # noqa: T201
                wrong = [
                    seen[name] for name in ("lost", "doubled", "partial", "tracebacks", "too_late")
                ]
                failed += any(wrong) or seen["exits"][-1] != 0
        finally:
            chaos.close()
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
