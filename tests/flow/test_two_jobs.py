"""Jobs over one archive at the same time, each with its own Ray, give the rows of one job."""

import json

import pytest

import pipeline.index as pi
from tests.hard.kill_driver import differences, rows_of
from tests.videos import make_video

pytestmark = pytest.mark.ray

TINY = ("--set", "plan.shard_cost_s=0.002", "--set", "commit.shards=1")


@pytest.fixture
def archive(tmp_path):
    """Two cameras; the events of one run over the borders of its files."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for name in ("gate_20260314T090000Z", "gate_20260314T090004Z", "yard_20260314T090000Z"):
        make_video(folder / f"{name}.mp4", num_frames=100, gop=25)
    return folder


def finished(job):
    out, err = job.communicate(timeout=240)
    assert job.returncode == 0, err.decode()
    return json.loads(out)


def at_once(cli, archive, index, *options):
    """What a job for each of the options reports."""
    jobs = [
        cli.start("index", archive, "--index", index, "--json", *TINY, *more) for more in options
    ]
    return [finished(job) for job in jobs]


def test_two_jobs_at_once_write_the_rows_of_one_job_and_decode_nothing_twice(
    cli, archive, tmp_path
):
    alone, index = tmp_path / "alone", tmp_path / "index"
    [report] = at_once(cli, archive, alone, ())
    both = at_once(cli, archive, index, (), ())
    done = [sum(job["windows"].values()) for job in both]
    assert sum(done) == sum(report["windows"].values()) > 0
    assert sum(job["videos"]["done"] for job in both) == 3
    assert not any(differences(rows_of(alone), rows_of(index)).values())
    runs = pi.list_runs(pi.open(index)).to_pylist()
    assert [(row["state"], row["exit_code"]) for row in runs] == [("done", 0)] * 2


def test_two_jobs_with_one_shard_each_index_the_whole_archive(cli, archive, tmp_path):
    index = tmp_path / "index"
    parts = at_once(cli, archive, index, ("--shard", "1/2"), ("--shard", "2/2"))
    assert sum(job["videos"]["done"] for job in parts) == 3
    assert [job["left"]["videos"] for job in parts] == [0, 0]
    assert "nothing to do" in cli.run("index", archive, "--index", index, *TINY)


def test_a_job_that_waits_finds_the_work_done(cli, archive, tmp_path):
    index = tmp_path / "index"
    both = at_once(cli, archive, index, ("--wait",), ("--wait",))
    assert sorted(job["videos"]["done"] for job in both) == [0, 3]
    assert sorted(job["videos"]["skipped"] for job in both) == [0, 3]
    assert [job["left"]["videos"] for job in both] == [0, 0]
