"""A clock or an age that is set for ``gate[1]`` is not set for ``gate1`` while a job runs."""

import os
from datetime import datetime, timedelta
from unittest import mock

import pytest

from pipeline.config import load_config
from pipeline.flow.driver import archive as driver
from pipeline.index import open_index
from pipeline.sources import list_sources
from tests.hard import without_ray
from tests.videos import make_video

CAMERAS = ("gate1", "gate[1]")
START = datetime.fromisoformat("2026-03-01T08:00:00Z")


@pytest.fixture
def run(tmp_path):
    """Indexes the folders of these cameras under a config, as the command does."""
    for camera in CAMERAS:
        folder = tmp_path / "archive" / camera
        folder.mkdir(parents=True)
        make_video(folder / "20260301T080000Z.mp4", num_frames=20, rate=2, gop=2, bframes=0)

    def index(settings: str, *cameras: str):
        (tmp_path / "run.yaml").write_text(settings)
        config = load_config(tmp_path / "run.yaml")
        folders = [str(tmp_path / "archive" / camera) for camera in cameras]
        uri = str(tmp_path / "index")
        driver.index_archive(
            list_sources(folders, config.sources), config, uri, on_progress=lambda _report: None
        )
        return open_index(uri)

    with mock.patch.multiple(
        driver, running_ray=mock.DEFAULT, probe_graph=mock.DEFAULT, answer_graph=mock.DEFAULT
    ):
        without_ray.leave_out_ray()
        yield index


def starts(index):
    videos = index.videos().to_pylist()
    return {os.path.basename(os.path.dirname(row["uri"])): row["start"] - START for row in videos}


def test_a_clock_is_set_for_the_camera_of_that_name(run):
    index = run('clock: {cameras: {"gate[1]": {offset_s: 7}}}', *CAMERAS)
    assert starts(index) == {"gate1": timedelta(0), "gate[1]": timedelta(seconds=7)}


def test_a_camera_that_only_the_index_knows_is_known(run):
    run("{}", "gate[1]")
    index = run('clock: {cameras: {"gate[1]": {offset_s: 7}}}', "gate1")
    assert starts(index)["gate1"] == timedelta(0)


def test_footage_that_is_too_old_for_one_camera_is_indexed_for_the_other(run):
    index = run('retention_days: {"gate[1]": 1}', *CAMERAS)
    statuses = {row["camera"]: row["status"] for row in index.videos().to_pylist()}
    assert statuses == {"gate1": "done", "gate[1]": "erased"}
