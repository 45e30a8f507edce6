"""What an operator sees of a run on a cluster: figures, log lines with their ids, and warnings."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.conftest import LOBBY, ROOT, Cli
from tests.endpoint import Endpoint
from tests.flow.test_hostile import Storage
from tests.page_server import served

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

CONFIG = """
task: {{name: gate, labels: {{enter: comes in}}, prompt: Report., summary: false}}
sample: {{fps: 0.5}}
frame: {{rgb_max_pixels: 6144}}
plan: {{max_window_frames: 14}}
engine: {{kind: openai, model: m, base_url: {url}}}
"""


class Slow(Storage):
    """Needs a while for each answer, and refuses the first."""

    num_asked = 0

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it
        type(self).num_asked += 1
        time.sleep(0.5)
        if self.num_asked == 1:
            self.send_error(503)
            return
        super().do_GET()


@contextmanager
def slow_storage() -> Iterator[str]:
    handler = partial(Slow, LOBBY.read_bytes(), 10**9, threading.Event())
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/lobby_20260314T090000+0000.mp4"
    finally:
        server.shutdown()
        server.server_close()


def worker(stage: str) -> int:
    """The process that runs this stage now, as Ray's dashboard names it; 0 if none does."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if title.startswith(f"ray::MapBatches({stage})"):
            return int(folder.name)
    return 0


def kill_once(stage: str) -> None:
    while not (pid := worker(stage)):
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)


def scraped(address: str) -> set[str]:
    """The names of all series of a node or of a page."""
    text = httpx.get(f"{address}/metrics", timeout=60).text
    return set(re.findall(r"^((?:ray_)?timereel_\w+)[{ ]", text, re.MULTILINE))


class Seen:
    """What one run left behind."""

    def __init__(self, log: str, worker_log: str, series: set[str]) -> None:
        self.log = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        self.worker_log = worker_log
        self.series = series


@pytest.fixture(scope="module")
def seen(head, tmp_path_factory) -> Iterator[Seen]:
    """A run in which a read fails once, a worker is killed, and an answer has to be asked again."""
    folder = tmp_path_factory.mktemp("seen")
    endpoint = Endpoint((200, "nonsense"), (200, '{"events":[]}'))
    (folder / "run.yaml").write_text(CONFIG.format(url=endpoint.url))
    env = {key: value for key, value in head.items() if key != "RAY_ADDRESS"}
    cli = Cli()
    with slow_storage() as clip:
        run = cli.start("index", clip, "--index", folder / "index", "--config", folder / "run.yaml",
                        "--address", head["GCS"], env=env)  # fmt: skip
        threading.Thread(target=kill_once, args=("decode",), daemon=True).start()
        series = set()
        while run.poll() is None:  # a gauge goes with its process
            series |= scraped(f"http://127.0.0.1:{head['METRICS']}")
            time.sleep(0.5)
    _, err = run.communicate()
    assert run.returncode == 0, err.decode()
    with served(str(folder / "index")) as (address, _):
        for _ in range(2):  # the second knows of the first
            series |= scraped(address)
    logs = Path(head["FOLDER"]).glob("session_latest/logs/worker-*.err")
    yield Seen(err.decode(), "".join(path.read_text() for path in logs), series)
    endpoint.stop()
    cli.close()


def test_every_series_of_the_dashboard_is_in_a_real_scrape(seen):
    dashboard = json.loads((ROOT / "configs" / "cluster" / "grafana.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    series = set(re.findall(r"(?:ray_)?timereel_\w+", asked))
    assert len(series) >= 17
    assert series - seen.series == set()


def test_a_worker_that_died_is_told_once_in_the_log_of_the_driver_with_its_ids(seen):
    told = [line for line in seen.log if "a worker died" in line["message"]]
    assert len(told) == 1
    assert told[0]["level"] == "warning"
    assert {"run_id", "video_id", "shard_id"} <= set(told[0])


def test_a_line_of_a_worker_names_run_video_shard_and_window(seen):
    lines = [line for line in seen.worker_log.splitlines() if "the window is asked again" in line]
    (again,) = map(json.loads, lines)
    assert {"run_id", "video_id", "shard_id", "window_id"} <= set(again)
    assert again["run_id"] in {line.get("run_id") for line in seen.log}
