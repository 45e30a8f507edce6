"""The rows of an indexed file decide overlaps, unless this run indexes that file again."""

from unittest import mock

import pytest

from pipeline.config import Config
from pipeline.flow.driver import archive as driver
from pipeline.index import open_index
from pipeline.records import Source
from pipeline.timebase import datetime_to_ns
from tests.hard.without_ray import leave_out_ray
from tests.index_rows import at
from tests.videos import make_video


@pytest.fixture
def sources(tmp_path):
    """Three files of a camera, each of ten seconds; one begins every five seconds."""
    return [
        Source(
            uri=str(path), num_bytes=path.stat().st_size, etag="", camera="cam1", clock="path",
            start_ns=datetime_to_ns(at(5 * number)),
        )
        for number in range(3)
        for path in [make_video(tmp_path / f"{number}.mp4", num_frames=40, rate=4)]
    ]  # fmt: skip


@pytest.fixture
def index(tmp_path):
    """Runs a job in this process; returns the time that each file owns, by its name."""

    def run(name, sources, batch_videos, fps):
        config = Config.model_validate(
            {"commit": {"batch_videos": batch_videos}, "sample": {"fps": fps}}
        )
        where = str(tmp_path / name)
        driver.index_archive(sources, config, where, on_progress=lambda _: None)
        return {row["uri"]: row["footage"] for row in open_index(where).videos().to_pylist()}

    ours = ("running_ray", "probe_graph", "answer_graph")
    with mock.patch.multiple(driver, **{name: getattr(driver, name) for name in ours}):
        leave_out_ray()
        yield run


def seconds(footage):
    return sum((span["end"] - span["start"]).total_seconds() for span in footage)


@pytest.mark.parametrize("batch_videos", [1, 2, 3])
def test_files_indexed_again_in_batches_own_the_same_time_as_in_a_new_index(
    index, sources, batch_videos
):
    fresh = index("fresh", sources, batch_videos, fps=2)
    assert sum(map(seconds, fresh.values())) == 20  # each moment once
    index("again", sources, batch_videos, fps=1)
    assert index("again", sources, batch_videos, fps=2) == fresh
