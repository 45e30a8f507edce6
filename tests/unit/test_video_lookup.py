"""Which files a commit looks into: those that know its videos, whoever wrote them and when."""

from datetime import timedelta

import pytest

import pipeline.index as pi
from pipeline.index import maintain
from pipeline.index.video_lookup import KnownVideos
from tests.index_rows import rows, video

DAY = 86_400.0


@pytest.fixture
def writer(tmp_path):
    """One video a day, of three days; each in a file of its own."""
    writer = pi.Writer(tmp_path)
    for i in range(3):
        start = i * DAY
        writer.finish_videos(
            rows("videos", video(f"v{i}", start, start + 600, uri=f"s3://b/{i}.mp4"))
        )
    return writer


def test_a_video_is_known_by_its_id_and_by_its_uri(writer):
    known, paths = KnownVideos(writer.index), writer.index.files("videos")
    assert len(paths) == 3
    (of_v1,) = known.files(paths, ["v1"])
    assert known.files(paths, ["s3://b/1.mp4", "nobody"]) == [of_v1]
    assert len(known.files(paths, ["v0", "s3://b/2.mp4"])) == 2
    assert known.files(paths, ["v3", "", "s3://b/3.mp4"]) == []
    assert known.files(paths, []) == []
    assert known.files([], ["v1"]) == []


def test_what_others_wrote_and_what_was_rewritten_is_known(writer):
    other = pi.Writer(writer.store.root)
    other.finish_videos(rows("videos", video("v9", 50, 650)))
    known = KnownVideos(writer.index)
    assert len(known.files(writer.index.files("videos"), ["v9"])) == 1
    maintain.compact(writer.store, min_age=timedelta(0))
    paths = writer.index.files("videos")
    (both,) = known.files(paths, ["v9"])
    assert known.files(paths, ["v0"]) == [both]
    assert len(paths) == 3


def test_a_video_that_moved_to_another_day_is_found_where_it_was(writer):
    other = pi.Writer(writer.store.root)
    other.finish_videos(rows("videos", video("v0", 9 * DAY, 9 * DAY + 600)))
    writer.finish_videos(rows("videos", video("v0", 20 * DAY, 20 * DAY + 600)))
    found = writer.index.videos(columns=["video_id"])["video_id"].to_pylist()
    assert sorted(found) == ["v0", "v1", "v2"]
