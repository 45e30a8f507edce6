"""A key in the wrong place, or sent to somebody who quotes it, is shown and kept nowhere."""

import base64
import json
import logging
import os
import subprocess
import sys
import time

import pytest
import structlog

from pipeline.alerts.message import Message
from pipeline.alerts.sinks import DeliveryError, open_sink
from pipeline.config import load_config
from pipeline.config.alerts import SinkConfig
from pipeline.engine.api_key import ApiKey
from pipeline.errors import ConfigError, EngineStartError, TimereelError
from pipeline.flow.driver.run_identity import new_run
from pipeline.flow.submission import connect
from pipeline.index.store import Store
from pipeline.processes.logs import configure_logs
from pipeline.see.server import _told
from pipeline.storage import http_client
from pipeline.storage.retry import oneline
from tests.endpoint import RAW, response

SECRET = "hunter2-and-more"  # noqa: S105 - of nobody
CODED = base64.b64encode(f"as {SECRET}".encode()).decode()
TEST = Message(message_id="m", sink="s", alerts=(), timezone="UTC", kind="test")

SINK = "alerts: {rules: {r: {}}, sinks: {s: {%s}}}"
CONFIGS = {
    "engine is a list": f"engine: [{{base_url: 'http://me:{SECRET}@h/v1'}}]",
    "engine is no kind": f"engine: {{kind: none, url: 'http://h/?token={SECRET}'}}",
    "a place to read": f"sources: {{paths: ['s3://me:{SECRET}@bucket/']}}",
    "a place to write": f"index: 's3://me:{SECRET}@bucket/index'",
    "weights": f"engine: {{kind: vllm, model: m, weights: 's3://me:{SECRET}@bucket/'}}",
    "an argument": f"engine: {{kind: vllm, model: m, args: {{a: ['http://me:{SECRET}@h/']}}}}",
    "no YAML": f"engine: {{api_key: {SECRET}\nindex: a: b",
    "no YAML in an address": SINK % f"webhook: 'https://h/?{SECRET}",
    "a query of a webhook": SINK % f"webhook: 'https://h/?{SECRET}'",
    "two kinds of sinks": SINK % f"webhook: 'https://h/{SECRET}', jsonl: a",
    "no address of a webhook": SINK % f"webhook: ['{SECRET}']",
    "a header of a command": SINK % f"command: [curl, -H, 'Authorization: Bearer {SECRET}']",
    "an option of a command": SINK % f"command: [tell, --api-key={SECRET}]",
    "a command that is none": SINK % f"command: 'tell --as {SECRET}'",
}


@pytest.mark.parametrize("place", CONFIGS)
def test_a_config_with_a_key_in_it_is_refused_and_the_key_is_not_told(tmp_path, place):
    file = tmp_path / "run.yaml"
    file.write_text(CONFIGS[place])
    with pytest.raises(ConfigError, match=r"run\.yaml") as refused:
        load_config(file)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "override", [f"engine.kind.api_key={SECRET}", f"engine.api_key={{{SECRET}"], ids=["deep", "{"]
)
def test_an_option_with_a_key_in_it_is_not_told(override):
    with pytest.raises(ConfigError, match="--set engine") as refused:
        load_config(None, ("engine.kind=signals", override))
    assert SECRET not in str(refused.value)


def test_a_logged_error_has_no_local_variables(monkeypatch, capsys):
    monkeypatch.setenv("THE_KEY", f"{SECRET}\n")
    configure_logs()
    try:
        ApiKey.from_env("THE_KEY", setting="engine.api_key_env")
    except EngineStartError:
        structlog.get_logger().critical("no other engine can be opened here", exc_info=True)
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["exception"][0]["frames"]
    assert SECRET not in line


# A process of its own: the library of tables lets no other thread of this one answer it.
QUOTING = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(400)
        self.end_headers()
        self.wfile.write(sys.argv[1].encode())

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def quoting():
    """The address of a store that quotes whoever asks."""
    words = f"<Error><Code>Bad</Code><Message>{SECRET} {CODED}</Message></Error>"
    with subprocess.Popen(
        [sys.executable, "-c", QUOTING, words], stdout=subprocess.PIPE, text=True
    ) as server:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.kill()


@pytest.fixture
def bucket(quoting, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", quoting)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    return "s3://b/x"


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize("is_given", [False, True], ids=["environment", "argument"])
def test_a_store_that_quotes_its_credentials_is_not_quoted(bucket, monkeypatch, name, is_given):
    for one in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(one, SECRET if one == name and not is_given else "a")
    store = Store.at(bucket, {name: SECRET} if is_given else None)
    with pytest.raises(ConfigError, match="index at s3") as refused:
        store.handle("videos")
    told = f"{refused.value}{store!r}"
    if not is_given:
        told += oneline(PermissionError(f"{SECRET} {CODED}"))
    assert SECRET not in told
    assert CODED not in told


@pytest.mark.parametrize("address", ["s3://me:{}@b/x", "https://{}@h/x", "az://me:{}@account/x"])
def test_the_address_of_an_index_has_no_password(address):
    with pytest.raises(ConfigError, match="credentials come from the environment") as refused:
        Store.at(address.format(SECRET))
    assert SECRET not in str(refused.value)
    assert Store.at("abfs://container@account/x").root == "abfs://container@account/x"


def by_variable(monkeypatch, _folder):
    monkeypatch.setenv("RAY_AUTH_TOKEN", SECRET)


def by_file(monkeypatch, folder):
    (folder / "token").write_text(f"{SECRET}\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(folder / "token"))


def at_home(monkeypatch, folder):
    (folder / ".ray").mkdir()
    (folder / ".ray" / "auth_token").write_text(SECRET)
    monkeypatch.setenv("HOME", str(folder))


@pytest.mark.parametrize("give_token", [by_variable, by_file, at_home])
@pytest.mark.parametrize(
    "status", [pytest.param(500, id="refused"), pytest.param(200, id="another server")]
)
def test_a_job_server_that_quotes_its_token_is_not_quoted(
    serve, monkeypatch, tmp_path, status, give_token
):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    give_token(monkeypatch, tmp_path)
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "")
    raw = response(f"{SECRET} {CODED}".encode(), status=status)
    server = serve((RAW, raw), models=raw).url.removesuffix("/v1")
    with pytest.raises(TimereelError, match=r"\*\*\*@127") as refused:
        connect(server.replace("//", f"//me:{SECRET}@"))
    assert SECRET not in str(refused.value)
    assert CODED not in str(refused.value)


def test_a_token_is_not_waited_for_where_its_file_is_a_pipe(monkeypatch, tmp_path):
    os.mkfifo(tmp_path / "token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path))
    assert oneline(OSError("no bucket")) == "no bucket"


def test_what_a_job_calls_a_key_is_in_no_row_of_runs(monkeypatch):
    about = {"job_submission_id": "j", "api_key": SECRET, "team": "gate"}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"metadata": about}))
    run = new_run("gate", "f")
    assert (run.job_id, run.job_metadata) == ("j", {"api_key": "***", "team": "gate"})


def silence():
    yield b""
    time.sleep(2)


@pytest.mark.parametrize("answer", [silence, response(CODED.encode(), status=403), b"no HTTP"])
def test_the_address_of_a_webhook_may_be_a_secret(serve, monkeypatch, answer):
    monkeypatch.setattr(http_client, "MAX_HEAD_S", 0.3)
    for path in (f"/services/{SECRET}", f"/?token={SECRET}"):
        monkeypatch.setenv("HOOK", serve((RAW, answer)).url.removesuffix("/v1") + path)
        with pytest.raises(DeliveryError) as failed:
            open_sink("s", SinkConfig(webhook_env="HOOK"))(TEST)
        assert SECRET not in str(failed.value)
    for wrong in (SECRET, f"ftp://h/{SECRET}", f"http://[{SECRET}"):
        monkeypatch.setenv("HOOK", wrong)
        with pytest.raises(ConfigError, match="webhook_env=HOOK") as refused:
            open_sink("s", SinkConfig(webhook_env="HOOK"))
        assert SECRET not in str(refused.value)


@pytest.mark.filterwarnings("ignore:'imghdr'")
@pytest.mark.parametrize("url", ["tgram://{}/x", "none://{}/", "slack://{}", "json://h:x/{}"])
def test_an_address_of_apprise_that_is_none_is_not_logged(monkeypatch, caplog, url):
    monkeypatch.setattr(logging.getLogger("apprise"), "level", logging.NOTSET)
    monkeypatch.setenv("PHONES", url.format(SECRET))
    with pytest.raises(ConfigError, match="apprise_env: URL 1") as refused:
        open_sink("s", SinkConfig(apprise_env="PHONES"))
    assert SECRET not in str(refused.value) + caplog.text


def test_the_page_tells_only_a_token_that_it_has_made_itself(monkeypatch):
    monkeypatch.delenv("TIMEREEL_TOKEN", raising=False)
    assert SECRET in " ".join(_told("http://h/", SECRET))
    monkeypatch.setenv("TIMEREEL_TOKEN", SECRET)
    assert SECRET not in " ".join(_told("http://h/", SECRET))
