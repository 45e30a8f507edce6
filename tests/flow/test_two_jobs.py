"""Two jobs over one archive at the same time, each with a Ray of its own."""

from collections import Counter

import pytest

import pipeline.index as pi
from tests.videos import make_video

pytestmark = pytest.mark.ray

TINY = ("--set", "plan.shard_cost_s=0.002", "--set", "commit.shards=1")


def test_two_jobs_at_once_do_every_video_and_none_twice(cli, tmp_path):
    archive, index = tmp_path / "archive", tmp_path / "index"
    archive.mkdir()
    for camera in ("gate", "yard"):
        for hour in ("09", "10"):
            make_video(archive / f"{camera}_20260314T{hour}0000Z.mp4", num_frames=100, gop=25)
    jobs = [cli.start("index", archive, "--index", index, *TINY) for _ in range(2)]
    for job in jobs:
        _, err = job.communicate(timeout=240)
        assert job.returncode == 0, err.decode()
    assert "nothing to do" in cli.run("index", archive, "--index", index, *TINY)

    held = pi.open(index)
    videos = held.videos().to_pylist()
    assert [row["status"] for row in videos] == ["done"] * 4
    # Four copies of one content: each has the same rows, once.
    for table, key in (("windows", "window_id"), ("events", "event_id")):
        rows = held.rows(table).to_pylist()
        assert len({row[key] for row in rows}) == len(rows) > 0
        per_video = Counter((row["video_id"], row["media_start"], row["media_end"]) for row in rows)
        shapes = {
            video["video_id"]: sorted(at[1:] for at in per_video if at[0] == video["video_id"])
            for video in videos
        }
        assert len({tuple(shape) for shape in shapes.values()}) == 1
        assert set(per_video.values()) == {1}
    assert held.coverage(camera="gate")["state"].to_pylist() == [
        "analysed",
        "no_footage",
        "analysed",
    ]
