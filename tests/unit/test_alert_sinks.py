"""Sinks take messages, or say why they did not."""

import json
import os
import sys

import pytest
import yaml

from pipeline.alerts.sinks import DeliveryError, open_sink
from pipeline.config.alerts import SinkConfig
from pipeline.errors import ConfigError
from tests.alert_archive import Archive, config, person
from tests.alert_receiver import SECRET, Receiver


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "index")


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.stop()


def test_the_command_signs_webhooks_writes_lines_and_runs_programs(
    cli, archive, receiver, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("PHONES", f"json://127.0.0.1:{receiver.server.server_port}/apprise")
    catch = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())"
    sinks = {
        "hook": {"webhook": receiver.url, "secret_env": "HOOK_SECRET"},
        "log": {"jsonl": str(tmp_path / "log" / "alerts.jsonl")},
        "program": {"command": [sys.executable, "-c", catch, str(tmp_path / "stdin.json")]},
        "phones": {"apprise_env": "PHONES"},
    }
    alerts = {"rules": {"night": {"labels": ["person"], "late_after_s": 1e9}}, "sinks": sinks}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"alerts": alerts}))
    archive.commit(person("a", 10, 20, text="\x1b[31mred"))
    args = ("--config", path, "--index", archive.folder)
    assert "a" not in cli.run("alerts", "send", "--dry-run", *args).split()
    told = cli.json("alerts", "send", "--json", *args)
    assert told == {"new": 4, "changed": 0, "messages": 4, "alerts": 4, "failed_tries": 0}
    # The message of Apprise has no signature: it is for people.
    assert (receiver.num_requests, receiver.num_bad) == (2, 1)
    [line] = (tmp_path / "log" / "alerts.jsonl").read_text().splitlines()
    for one in (json.loads(line), json.loads((tmp_path / "stdin.json").read_bytes())):
        assert one["alerts"][0]["event_ids"] == ["a"]
        assert one["alerts"][0]["text"] == "[31mred"
    assert "hook: 1 sent" in (cli.run("alerts", "status", "--index", archive.folder), cli.err)[1]
    assert "hook: delivered" in cli.run("alerts", "test", "--config", path, "--sink", "hook")
    assert "1 will be told" not in cli.run(
        "alerts", "resend", "--index", archive.folder, "--state", "dead"
    )


def test_a_sink_says_why_it_did_not_take_a_message(archive, tmp_path):
    archive.commit(person("a", 10, 20))
    archive.evaluate(config())
    [message] = archive.send(config())
    refused = {
        "Connect": SinkConfig(webhook="http://127.0.0.1:9/closed"),
        "exit code 3 oops": SinkConfig(
            command=(sys.executable, "-c", "import sys; sys.stderr.write('oops'); sys.exit(3)")
        ),
        "not done in": SinkConfig(
            command=(sys.executable, "-c", "import time; time.sleep(60)"), timeout_s=0.2
        ),
        "No such file": SinkConfig(command=(str(tmp_path / "missing"),)),
        "Is a directory": SinkConfig(jsonl=str(tmp_path)),
        "No such device": SinkConfig(jsonl=str(tmp_path / "pipe")),
    }
    os.mkfifo(tmp_path / "pipe")
    for words, sink in refused.items():
        with pytest.raises(DeliveryError, match=words):
            open_sink("s", sink)(message)


def test_a_command_that_is_done_is_done_though_what_it_has_started_goes_on(archive):
    archive.commit(person("a", 10, 20))
    archive.evaluate(config())
    [message] = archive.send(config())
    command = ("sh", "-c", "sleep 10 & yes | head -c 1000000")
    open_sink("s", SinkConfig(command=command, timeout_s=5))(message)


def test_a_missing_secret_is_told_before_anything_is_sent(monkeypatch):
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(ConfigError, match=r"secret_env=NO_SUCH: this variable is not set"):
        open_sink("hook", SinkConfig(webhook="http://h/", secret_env="NO_SUCH"))  # noqa: S106
    assert "NO_SUCH" not in os.environ
