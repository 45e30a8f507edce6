"""``timereel index --every``: one run after another, until a signal comes."""

import os
import signal
import threading

import pytest
import typer

from pipeline.cli import every
from pipeline.cli.every import repeat
from pipeline.errors import (
    EXIT_INTERRUPTED,
    ConfigError,
    EngineStartError,
    IndexFormatError,
    UnreachableError,
)
from tests.videos import make_video


@pytest.fixture
def slept(monkeypatch):
    """Replaces the wait between two runs; the fourth one is interrupted."""
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(every.time, "sleep", sleep)
    return waits


def test_runs_follow_one_another_until_ctrl_c(slept):
    runs = []
    with pytest.raises(typer.Exit) as ended:
        repeat(lambda: runs.append(1) or 0, "5m")
    assert (len(runs), ended.value.exit_code) == (4, EXIT_INTERRUPTED)
    assert all(0 < wait <= 300 for wait in slept)


def test_a_run_that_took_longer_than_the_period_is_followed_at_once(slept, monkeypatch):
    clock = iter(range(0, 10_000, 400))
    monkeypatch.setattr(every.time, "monotonic", lambda: next(clock))
    with pytest.raises(typer.Exit):
        repeat(lambda: 0, "5m")
    assert slept == [0.0] * 4


@pytest.mark.parametrize("error", [EngineStartError("no GPU"), UnreachableError("no answer")])
def test_what_may_pass_is_told_and_the_next_run_begins(slept, capsys, error):
    def run():
        raise error

    with pytest.raises(typer.Exit):
        repeat(run, "1s")
    assert len(slept) == 4
    assert capsys.readouterr().err.count(f"error: {error}") == 4


@pytest.mark.parametrize("error", [ConfigError("x"), IndexFormatError("y"), ZeroDivisionError()])
def test_what_no_later_run_can_mend_ends_the_loop(slept, error):
    def run():
        raise error

    with pytest.raises(type(error)):
        repeat(run, "1s")
    assert not slept


@pytest.mark.parametrize("text", ["0s", "0.9s", "31d", "5", "five", "", "inf"])
def test_a_period_that_makes_no_sense_is_refused(text):
    with pytest.raises(ConfigError, match="--every"):
        repeat(lambda: 0, text)


def test_between_two_runs_sigterm_ends_the_loop():
    def run():
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        return 0

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(typer.Exit) as ended:
        repeat(run, "1h")
    assert ended.value.exit_code == EXIT_INTERRUPTED
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.ray
def test_a_file_that_appears_between_two_runs_is_indexed_by_the_next(tmp_path, cli):
    archive = tmp_path / "archive"
    archive.mkdir()
    make_video(archive / "one.mp4", num_frames=30)
    index = tmp_path / "index"
    loop = cli.start(
        "index", archive, "--index", index, "--every", "1s", "--set", "sources.settle_s=0", "--json"
    )
    assert b'"done": 1' in loop.stdout.readline()
    make_video(tmp_path / "two.mp4", num_frames=30)
    (tmp_path / "two.mp4").rename(archive / "two.mp4")
    while b'"done": 1' not in loop.stdout.readline():
        assert loop.poll() is None, loop.stderr.read()
    loop.send_signal(signal.SIGTERM)
    assert loop.wait(timeout=200) == EXIT_INTERRUPTED
    rows = cli.rows("query", "--index", index, "--table", "videos")
    assert sorted(row["uri"].rsplit("/")[-1] for row in rows) == ["one.mp4", "two.mp4"]
