"""What an operator sees of a run on a cluster: figures, log lines with their ids, and warnings."""

import gzip
import itertools
import json
import os
import re
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.answering import answering
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
    """Slow, and refuses every other request for the same bytes."""

    def __init__(self, asked: Mapping[str, Iterator[int]], *args: object) -> None:
        self.asked = asked
        super().__init__(*args)

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it
        number = next(self.asked[f"{self.path} {self.headers['Range']}"])
        time.sleep(0.5)
        if number % 2 == 0:
            self.send_error(503)
            return
        super().do_GET()


class Collector(BaseHTTPRequestHandler):
    """Takes spans, as OTLP over HTTP."""

    def __init__(self, spans: list[Span], *args: object) -> None:
        self.spans = spans
        super().__init__(*args)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def worker(stage: str, token: str) -> int:
    """The process that runs this stage now, as Ray's dashboard names it; 0 if none does.

    Of the Ray with this token, since other tests of this machine may have one of their own.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes().decode()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if title.startswith(f"ray::MapBatches({stage})") and token.encode() in environment:
            return int(folder.name)
    return 0


def kill_once(stage: str, token: str) -> None:
    while not (pid := worker(stage, token)):
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)


def scraped(address: str) -> set[str]:
    """The names of all series of a node or of a page."""
    # The agent of a head that has just begun may not listen yet.
    with httpx.Client(transport=httpx.HTTPTransport(retries=6), timeout=60) as client:
        text = client.get(f"{address}/metrics").text
    return set(re.findall(r"^((?:ray_)?timereel_\w+)[{ ]", text, re.MULTILINE))


class Seen:
    """What one run left behind."""

    def __init__(self, log: str, worker_log: str, series: set[str], spans: list[Span]) -> None:
        self.log = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        self.worker_log = worker_log
        self.series = series
        self.spans = spans


@pytest.fixture(scope="module")
def seen(head, tmp_path_factory) -> Iterator[Seen]:
    """A run in which reads fail, a worker is killed, and an answer has to be asked again."""
    folder = tmp_path_factory.mktemp("seen")
    endpoint = Endpoint((200, "nonsense"), (200, '{"events":[]}'))
    (folder / "run.yaml").write_text(CONFIG.format(url=endpoint.url))
    env = {key: value for key, value in head.items() if key != "RAY_ADDRESS"}
    cli = Cli()
    spans: list[Span] = []
    # Two clips: what a killed worker has counted goes with it, and no child is scraped.
    asked = defaultdict(itertools.count)
    storage = partial(Slow, asked, LOBBY.read_bytes(), 10**9, threading.Event())
    with answering(storage) as store, answering(partial(Collector, spans)) as collector:
        clips = [f"{store}/lobby_20260314T{hour}0000+0000.mp4" for hour in ("09", "10")]
        run = cli.start("index", *clips, "--index", folder / "index",
                        "--config", folder / "run.yaml",
                        "--set", f"cluster.traces={collector}/v1/traces",
                        "--address", head["GCS"], env=env)  # fmt: skip
        threading.Thread(
            target=kill_once, args=("decode", head["RAY_AUTH_TOKEN"]), daemon=True
        ).start()
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
    yield Seen(err.decode(), "".join(path.read_text() for path in logs), series, spans)
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


def test_the_spans_of_a_run_are_one_trace_and_name_what_was_worked_on(seen):
    (run,) = {line["run_id"] for line in seen.log if "run_id" in line}
    ids = {
        one.name: {item.key: item.value.string_value for item in one.attributes}
        for one in seen.spans
    }
    assert set(ids) == {"probe", "decode", "answer", "commit"}
    assert {found["run_id"] for found in ids.values()} == {run}
    assert "uri" in ids["probe"]
    assert {"video_id", "shard_id"} <= set(ids["decode"])
    assert {"video_id", "shard_id", "window_id"} <= set(ids["answer"])
    assert len({one.trace_id for one in seen.spans}) == 1
    assert all(one.end_time_unix_nano > one.start_time_unix_nano for one in seen.spans)
