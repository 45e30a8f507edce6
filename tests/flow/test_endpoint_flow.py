"""An endpoint in the whole graph: requests that fail permanently, and verification."""

import json

import pytest

from tests.conftest import LOBBY

pytestmark = pytest.mark.ray

CONFIG = """
task:
  name: gate
  labels: {{enter: comes in}}
  prompt: Report.
  summary: false
sample: {{fps: 0.5}}
frame: {{rgb_max_pixels: 6144}}
plan: {{max_window_frames: 14}}
engine:
  kind: openai
  model: m
  base_url: {url}
  api_key_env: ENDPOINT_KEY
  max_retries: 1
  max_concurrency: 4
  verify: {{fps: 2, reach_s: 3}}
"""


def times_of(body) -> list[str]:
    parts = body["messages"][-1]["content"]
    return [p["text"][1:].split()[0] for p in parts[:-1] if p["type"] == "text"]


def first_picture(body) -> str:
    return body["messages"][-1]["content"][1]["image_url"]["url"]


class Sees:
    """Answers one event in the middle third of the pictures; always refuses one picture."""

    def __init__(self):
        self.unbearable = None
        self.num_refused = 0

    def __call__(self, body):
        self.unbearable = self.unbearable or first_picture(body)
        if first_picture(body) == self.unbearable:
            self.num_refused += 1
            return 500, "CUDA out of memory"
        times = times_of(body)
        third = len(times) // 3
        event = f'"label":"enter","start":{times[third]},"end":{times[2 * third]}'
        return f'{{"events":[{{{event}}}]}}'


def test_one_window_fails_permanently_and_all_others_are_verified(
    cli, serve, tmp_path, monkeypatch
):
    monkeypatch.setenv("ENDPOINT_KEY", "sk-never-shown")
    model = Sees()
    endpoint = serve((200, model))
    config, index = tmp_path / "run.yaml", tmp_path / "index"
    config.write_text(CONFIG.format(url=endpoint.url))
    report = cli.json("index", LOBBY, "--config", config, "--index", index, "--json")
    windows = cli.rows("query", "--index", index, "--table", "windows")
    failed = [row for row in windows if row["status"] == "failed"]
    assert report["windows"]["failed"] == len(failed) == 1
    assert report["windows"]["analysed"] == len(windows) - 1 == 4
    assert "tried 2 times" in failed[0]["error"]
    assert "CUDA out of memory" in failed[0]["error"]
    assert model.num_refused == 2
    verifications = [answer for row in windows for answer in row["looks"]]
    assert len(verifications) == 8
    assert {answer["error"] for answer in verifications} == {""}
    assert all(json.loads(answer["completion"])["events"] for answer in verifications)
    # One request per window and per verification, and one that was repeated; all are counted.
    assert len(endpoint.requests) == 4 + 8 + 2
    assert report["tokens"] == {"prompt": 12 * 100, "output": 12 * 10}
    events = cli.rows("query", "--index", index)
    assert {row["verdict"] for row in events} == {"moved"}
    (video,) = cli.rows("query", "--index", index, "--table", "videos")
    assert video["status"] == "partial"
    stored = json.dumps([windows, events, video]) + cli.err
    assert "sk-never-shown" not in stored
