"""Every run leaves a row that says how it ended, and indexes no camera of another run."""

import json
from contextlib import nullcontext
from unittest import mock

import pytest
from structlog.testing import capture_logs

from pipeline.config import load_config
from pipeline.errors import EngineStartError, LeaseLostError
from pipeline.flow.driver import archive as driver
from pipeline.index import Writer, list_runs, open_index
from pipeline.index import lease as leases
from pipeline.index.lease import take_lease
from pipeline.index.replace import replace
from pipeline.index.runs import mark_lost
from pipeline.index.validate import conform
from pipeline.sources import CameraShard, list_sources
from pipeline.tables.runs import runs_of_table, runs_table
from tests.hard import without_ray
from tests.unit.test_lease import a_run
from tests.videos import make_video

CAMERAS = ("gate", "yard")
EAGER = ("plan.shard_cost_s=0.001", "commit.shards=1")


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    for camera in CAMERAS:
        make_video(
            folder / f"{camera}_20260301T080000Z.mp4", num_frames=40, rate=2, gop=4, bframes=0
        )
    return folder


@pytest.fixture
def index(tmp_path, archive):
    """Runs the job as the command does, in this process; ``between`` is called at each result."""

    def run(*overrides, between=lambda: None, **more):
        config = load_config(None, (*EAGER, *overrides))

        def answers(shards, config):
            for result in without_ray._answer(shards, config):
                between()
                yield result

        with mock.patch.multiple(
            driver,
            running_ray=lambda *_: nullcontext(),
            probe_graph=without_ray.probe_here,
            answer_graph=lambda shards, config: answers(tuple(shards), config),
        ):
            return driver.index_archive(
                list_sources([str(archive)], config.sources), config, run.uri,
                on_progress=lambda _report: None, **more,
            )  # fmt: skip

    run.uri = str(tmp_path / "index")
    return run


def runs(index):
    """Oldest first."""
    return runs_of_table(list_runs(open_index(index.uri)))[::-1]


def cameras_of(index):
    return sorted(open_index(index.uri).videos()["camera"].to_pylist())


def raising(error):
    def between(*_):
        raise error

    return between


def test_the_row_of_a_finished_run_has_its_figures_and_no_leases(index):
    report = index()
    [run] = runs(index)
    assert (run.state, run.exit_code, run.error) == ("done", 0, "")
    assert run.start < run.end
    assert run.figures == report.figures()
    assert run.figures.num_videos_done == 2
    assert run.figures.num_windows == sum(report.windows.values()) > 2
    assert run.figures.decode_cpu_s > 0
    index()
    assert [(run.state, run.figures.num_windows) for run in runs(index)][1] == ("done", 0)


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (KeyboardInterrupt(), 130, ""),
        (EngineStartError("no GPU here"), 3, "no GPU here"),
        (ValueError("a bug"), 1, "ValueError: a bug"),
    ],
    ids=["Ctrl-C", "named", "bug"],
)
def test_after_an_exception_the_row_has_its_text_and_the_leases_are_free(
    index, error, exit_code, message
):
    with pytest.raises(type(error)):
        index(between=raising(error))
    assert index().videos_done == 2
    first, second = runs(index)
    assert (first.state, first.exit_code, first.error) == ("interrupted", exit_code, message)
    assert (second.state, second.exit_code) == ("done", 0)


def test_a_failed_file_changes_the_exit_code_as_fail_on_says(index, archive):
    (archive / "gate_20260301T090000Z.mp4").write_bytes(b"no video")
    index()
    index()
    index(fail_on="any")
    assert [run.exit_code for run in runs(index)] == [4, 0, 4]
    assert all("gate_20260301T090000Z.mp4" in run.error for run in runs(index))
    assert {run.figures.num_videos_failed for run in runs(index)} == {1}


def test_cameras_of_another_run_are_skipped_and_the_others_are_indexed(index):
    config = load_config(None, EAGER)
    other = a_run("other", task=config.task.name, fingerprint=config.fingerprint)
    lease = take_lease(Writer(index.uri).store, other, {"gate"})
    report = index()
    assert cameras_of(index) == ["yard"]
    assert (report.num_left, [run.run_id for run in report.others]) == (1, ["other"])
    assert index().videos_done == 0
    lease.end("done", 0)
    assert index().videos_done == 1
    assert cameras_of(index) == ["gate", "yard"]


def test_a_run_without_a_free_camera_names_the_other_run_and_ends_with_0(cli, index, archive):
    config = load_config(None, ())
    other = a_run("other", task=config.task.name, fingerprint=config.fingerprint)
    take_lease(Writer(index.uri).store, other, set(CAMERAS))
    said = cli.run("index", archive, "--index", index.uri)
    assert said == "nothing to do: 0 videos are indexed already; 2 left to other runs\n"
    assert "skipped: run other (host here, pid 7) has been indexing gate, yard" in cli.err
    listed = cli.rows("runs", "--index", index.uri)
    assert [(row["state"], row["exit_code"]) for row in listed] == [("done", 0), ("running", None)]
    assert cli.rows("runs", "--index", index.uri, "--limit", "1") == listed[:1]


def test_a_run_that_has_lost_its_lease_commits_nothing_more(index, monkeypatch):
    monkeypatch.setattr(leases, "LOST_AFTER", leases.HEARTBEAT)  # asks before every commit

    def take_over():
        store = Writer(index.uri).store
        [mine] = runs(index)
        if mine.state == "running":
            row = conform("runs", runs_table([mark_lost(mine, mine.heartbeat_at)]))
            replace(store, "runs", row, f"run_id = '{mine.run_id}'")

    with pytest.raises(LeaseLostError, match="the same command continues"):
        index(between=take_over)
    assert open_index(index.uri).windows().num_rows == 0
    assert [run.state for run in runs(index)] == ["lost"]
    monkeypatch.undo()
    assert index().videos_done == 2


def test_a_run_that_could_not_write_its_end_does_not_block_the_next(index, monkeypatch):
    def fail():
        monkeypatch.setattr(leases, "commit", raising(OSError("no room")))
        raise EngineStartError("no GPU here")

    with pytest.raises(EngineStartError), capture_logs() as logs:
        index(between=fail)
    monkeypatch.undo()
    assert [(line["log_level"], line["error"]) for line in logs][-1] == ("warning", "no room")
    assert [run.state for run in runs(index)] == ["lost"]
    assert index().videos_done == 2
    assert [run.state for run in runs(index)] == ["lost", "done"]


def test_the_shards_of_an_archive_index_all_of_it_and_nothing_twice(index):
    reports = [index(shard=CameraShard(number, 3)) for number in (1, 2, 3)]
    assert sum(report.num_sources for report in reports) == sum(r.videos_done for r in reports) == 2
    assert [run.shard for run in runs(index)] == ["1/3", "2/3", "3/3"]
    assert index().videos_skipped == 2


def test_the_row_of_a_submitted_job_has_its_id_and_metadata(index, monkeypatch):
    job = {"metadata": {"job_submission_id": "raysubmit_7", "owner": "ops"}, "runtime_env": {}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    index()
    [run] = runs(index)
    assert (run.job_id, run.job_metadata) == ("raysubmit_7", {"owner": "ops"})


def test_each_run_has_a_row_while_it_runs(index):
    seen = []
    index(between=lambda: seen.append([(run.state, set(run.cameras)) for run in runs(index)]))
    assert seen[0] == [("running", set(CAMERAS))]
