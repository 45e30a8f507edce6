"""Files that are still being written wait for a later run, and every command says so."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from typer.testing import CliRunner

from pipeline.cli.ages import parse_since
from pipeline.cli.app import app
from pipeline.errors import ConfigError
from pipeline.flow.driver import archive as driver
from pipeline.index import open_index
from pipeline.records import Source
from pipeline.sources import SourceTable, is_being_written, modified_since
from pipeline.timebase import datetime_to_ns
from tests.hard.without_ray import leave_out_ray
from tests.videos import make_video

NOW = datetime(2026, 3, 14, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NS = timedelta(microseconds=1)
AN_HOUR_AGO = "sources.settle_s=3600"


def modified(at):
    return Source(
        uri="v.ts", num_bytes=1, etag="", camera="cam", start_ns=None, clock="none",
        mtime_ns=None if at is None else datetime_to_ns(at),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("at", "waits"),
    [
        (NOW, True),
        (NOW - 60 * SECOND + NS, True),
        (NOW - 60 * SECOND, False),
        (NOW + 60 * SECOND - NS, True),
        (NOW + 60 * SECOND, False),
        (None, False),
    ],
)
def test_a_file_waits_until_it_was_not_modified_for_settle_s(at, waits):
    assert is_being_written(modified(at), 60.0, NOW) is waits
    assert not is_being_written(modified(at), 0.0, NOW)


def test_since_selects_files_modified_at_that_time_or_later_or_at_an_unknown_time():
    early, at, unknown = modified(NOW - NS), modified(NOW), modified(None)
    assert [*modified_since(SourceTable.of([early, at, unknown]), NOW)] == [at, unknown]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90s", NOW - 90 * SECOND),
        ("30m", NOW - timedelta(minutes=30)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-03-14T08:00:00", NOW - timedelta(hours=1)),
        ("2026-03-14T10:00:00+02:00", NOW - timedelta(hours=1)),
        ("2026-03-14", NOW - timedelta(hours=9)),
    ],
)
def test_since_is_an_age_or_a_time(text, at):
    assert parse_since(text, NOW) == at


@pytest.mark.parametrize("text", ["2", "h", "2 weeks", "-2h", "yesterday", "", "9999999d"])
def test_since_refuses_other_texts(text):
    with pytest.raises(ConfigError, match="30m, 2h or 7d"):
        parse_since(text, NOW)


@pytest.fixture
def archive(tmp_path):
    """A good file from long ago, one that is empty so far, an MP4 that has no moov yet."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    make_video(folder / "good.mp4", num_frames=10)
    os.utime(folder / "good.mp4", ns=(0, time.time_ns() - 2 * 3600 * 10**9))
    (folder / "empty.ts").touch()
    (folder / "open.mp4").write_bytes((folder / "good.mp4").read_bytes()[:600])
    return folder


@pytest.fixture
def timereel():
    """Runs a command here, without Ray."""
    ours = ("running_ray", "probe_graph", "answer_graph")
    with mock.patch.multiple(driver, **{name: getattr(driver, name) for name in ours}):
        leave_out_ray()
        yield lambda *words: CliRunner().invoke(app, list(map(str, words)))


def test_waiting_files_have_no_row_and_are_not_failures(timereel, archive, tmp_path):
    words = ("index", archive, "--index", tmp_path / "index", "--set", AN_HOUR_AGO)
    ran = timereel(*words, "--json")
    assert ran.exit_code == 0
    report = json.loads(ran.stdout)
    assert (report["videos"]["done"], report["videos"]["waiting"]) == (1, 2)
    assert report["waiting"] == [str(archive / "empty.ts"), str(archive / "open.mp4")]
    assert open_index(str(tmp_path / "index")).videos()["uri"].to_pylist() == [
        str(archive / "good.mp4")
    ]
    again = timereel(*words)
    assert again.exit_code == 0
    assert "1 videos are indexed already; 2 files are still being written" in again.stdout


def test_a_waiting_file_is_indexed_by_the_next_run_when_it_is_complete(timereel, archive, tmp_path):
    words = ("index", archive, "--index", tmp_path / "index", "--set", AN_HOUR_AGO, "--json")
    timereel(*words)
    make_video(archive / "open.mp4", num_frames=10, gop=5)
    os.utime(archive / "open.mp4", ns=(0, time.time_ns() - 3601 * 10**9))
    report = json.loads(timereel(*words).stdout)
    assert report["videos"] == {
        "done": 1, "skipped": 1, "superseded": 0, "waiting": 1, "failed": 0,
    }  # fmt: skip


def test_without_settle_s_a_file_is_indexed_as_it_is(timereel, archive, tmp_path):
    ran = timereel("index", archive, "--index", tmp_path / "index")
    assert ran.exit_code == 4
    assert "waiting" not in ran.stdout


def test_plan_and_probe_report_waiting_files(timereel, archive):
    planned = timereel("plan", archive, "--set", AN_HOUR_AGO)
    assert planned.exit_code == 0
    assert "waiting        2 files are still being written" in planned.stdout
    planned = timereel("plan", archive, "--set", AN_HOUR_AGO, "--json")
    figures = json.loads(planned.stdout)
    assert (figures["videos"], figures["waiting"], figures["failures"]) == (1, 2, [])
    probed = timereel("probe", archive / "open.mp4", "--set", AN_HOUR_AGO)
    assert "1 file is still being written" in probed.stderr
    assert "moov" in str(probed.exception or probed.stderr)
    probed = timereel("probe", archive / "good.mp4", "--set", AN_HOUR_AGO)
    assert probed.exit_code == 0
    assert "still being written" not in probed.stderr


def test_since_excludes_older_files_from_a_run_and_its_plan(timereel, archive, tmp_path):
    make_video(archive / "new.mp4", num_frames=10, gop=5)
    for name in ("empty.ts", "open.mp4"):
        (archive / name).unlink()
    report = timereel("index", archive, "--index", tmp_path / "index", "--since", "1h", "--json")
    assert json.loads(report.stdout)["videos"]["done"] == 1
    [uri] = open_index(str(tmp_path / "index")).videos()["uri"].to_pylist()
    assert uri == str(archive / "new.mp4")
    assert json.loads(timereel("plan", archive, "--since", "1h", "--json").stdout)["videos"] == 1
    assert json.loads(timereel("plan", archive, "--since", "3h", "--json").stdout)["videos"] == 2


def test_a_run_without_a_file_that_is_new_enough_has_nothing_to_do(timereel, archive, tmp_path):
    for path in archive.iterdir():
        os.utime(path, ns=(0, 0))
    ran = timereel("index", archive, "--index", tmp_path / "index", "--since", "1h")
    assert (ran.exit_code, ran.stdout) == (0, "nothing to do: 0 videos are indexed already\n")
