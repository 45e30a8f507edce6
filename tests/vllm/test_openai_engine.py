"""A real vLLM server with the demo model, straight and behind proxies that break time."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jobs.training.serve import CHECKPOINT
from pipeline.config import Config, FrameConfig, PlanConfig, SampleConfig
from pipeline.doctor.examine import examine
from pipeline.engine.openai import OpenAIEngineConfig

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
pytest.importorskip("vllm")

KEY = "sk-of-the-test"
START_S = 600


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Its base URL; the server is started with the settings that README names."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(CHECKPOINT)),
        *("--served-model-name", "demo", "--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", "float32", "--max-model-len", "2048", "--enforce-eager"),
        *("--kv-cache-memory-bytes", str(64 * 2**20), "--max-num-seqs", "8"),
        *("--structured-outputs-config", '{"backend":"xgrammar","disable_any_whitespace":true}'),
        *("--limit-mm-per-prompt", '{"image":32,"video":1}', "--trust-request-mm-kwargs"),
    ]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=os.environ | {"VLLM_API_KEY": KEY}
        )
    root = f"http://127.0.0.1:{port}"
    until_s = time.monotonic() + START_S
    while time.monotonic() < until_s and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{root}/health", timeout=5).close()
            break
        time.sleep(0.5)
    else:
        process.kill()
        pytest.fail(f"the server did not start: {log.read_text()[-3000:]}")
    yield f"{root}/v1"
    process.terminate()
    process.wait(60)


@pytest.fixture
def proxied(server, monkeypatch):
    """Starts proxies of the server that change the bodies of chat requests."""
    monkeypatch.setenv("TEST_KEY", KEY)
    proxies = []

    def start(change):
        class Proxy(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                self.forward(None)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.endswith("/chat/completions"):
                    change(body)
                self.forward(json.dumps(body).encode())

            def forward(self, raw):
                root = server.removesuffix("/v1")
                headers = {"Authorization": self.headers["Authorization"]}
                headers["Content-Type"] = "application/json"
                request = urllib.request.Request(root + self.path, raw, headers)
                try:
                    with urllib.request.urlopen(request, timeout=300) as reply:
                        status, answer = reply.status, reply.read()
                except urllib.error.HTTPError as refused:
                    status, answer = refused.code, refused.read()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        proxies.append(ThreadingHTTPServer(("127.0.0.1", 0), Proxy))
        threading.Thread(target=proxies[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{proxies[-1].server_port}/v1"

    yield start
    for proxy in proxies:
        proxy.shutdown()
        proxy.server_close()


def checks(base_url, kind) -> dict:
    config = Config(
        sample=SampleConfig(fps=1),
        frame=FrameConfig(rgb_max_pixels=160 * 96),
        plan=PlanConfig(max_window_frames=16),
        engine=OpenAIEngineConfig(
            kind="openai",
            model="demo",
            base_url=base_url,
            api_key_env="TEST_KEY",
            server=kind,
            max_output_tokens=256,
        ),
    )
    return {check.name: check for check in examine(config)}


def untouched(body):
    assert body["model"] == "demo"


def later_indices(body):
    video = body["media_io_kwargs"]["video"]
    video["frames_indices"] = [ms + 4000 for ms in video["frames_indices"]]
    video["total_num_frames"] += 4000


def no_indices(body):
    del body["media_io_kwargs"]["video"]["frames_indices"]


def fewer_frames(body):
    """As servers do that take at most so many; the times of those that are left are right."""
    video = body["messages"][-1]["content"][0]["video_url"]
    head, _, jpegs = video["url"].partition(",")
    video["url"] = ",".join([head, *jpegs.split(",")[::2]])
    shown = body["media_io_kwargs"]["video"]
    shown["frames_indices"] = shown["frames_indices"][::2]


def no_texts(body):
    parts = body["messages"][-1]["content"]
    body["messages"][-1]["content"] = [
        part for part in parts if not part.get("text", "").endswith(" seconds>")
    ]


@pytest.mark.parametrize("kind", ["vllm", "any"])
def test_a_healthy_server_tells_the_time(proxied, kind):
    found = checks(proxied(untouched), kind)
    assert found["engine"].verdict == found["markers"].verdict == "ok", found
    assert found["time"].verdict == "ok", found["time"].detail


@pytest.mark.parametrize("fault", [later_indices, no_indices, fewer_frames])
def test_on_a_vllm_server_every_request_is_checked_by_its_tokens(proxied, fault):
    found = checks(proxied(fault), "vllm")
    assert found["markers"].verdict == "FAIL"
    assert "the model was shown" in found["markers"].detail
    assert found["time"].verdict == "FAIL"


def test_images_without_their_times_are_found_by_what_the_model_says(proxied):
    assert checks(proxied(no_texts), "any")["time"].verdict == "FAIL"
