"""Which listed files a run skips: unchanged files that are indexed as the run would do it."""

from unittest import mock

import pytest

from pipeline.config import Config
from pipeline.flow.driver import indexed_files
from pipeline.flow.driver.indexed_files import IndexContents
from pipeline.index import Writer
from pipeline.records import Source
from pipeline.sources import SourceTable
from pipeline.timebase import datetime_to_ns
from tests.index_rows import at, rows, video, window

CONFIG = Config()
DONE = {"task": CONFIG.task.name, "fingerprint": CONFIG.fingerprint}
FILE = {"num_bytes": 9, "etag": "e", "clock_start": at(0)}


def listed(name="v1", **changes) -> Source:
    sanitized = {
        "uri": f"{name}.mp4", "num_bytes": 9, "etag": "e", "camera": "cam1", "clock": "path",
        "start_ns": datetime_to_ns(at(0)),
    }  # fmt: skip
    return Source(**sanitized | changes)


@pytest.fixture
def writer(tmp_path):
    return Writer(tmp_path)


def left(writer, *sources, config=CONFIG, include_erased=False, retry_failed=False):
    asked = IndexContents.of(
        writer.index,
        config,
        {source.camera for source in sources},
        include_erased=include_erased,
        retry_failed=retry_failed,
    )
    return [source.uri for source in asked.unfinished(SourceTable.of(sources))]


@pytest.mark.parametrize(
    ("status", "plainly", "when_retried"),
    [
        ("done", [], []),
        ("superseded", [], []),
        ("partial", [], ["v1.mp4"]),
        ("pending", ["v1.mp4"], ["v1.mp4"]),
        ("failed", ["v1.mp4"], ["v1.mp4"]),
    ],
)
def test_which_statuses_are_indexed_again(writer, status, plainly, when_retried):
    writer.finish_videos(rows("videos", video(**DONE, **FILE, status=status)))
    assert left(writer, listed()) == plainly
    assert left(writer, listed(), retry_failed=True) == when_retried


def test_an_erased_file_is_skipped_under_any_settings_without_include_erased(writer):
    writer.finish_videos(rows("videos", video(**FILE, status="erased")))
    assert left(writer, listed()) == []
    assert left(writer, listed(), include_erased=True) == ["v1.mp4"]


def test_a_partly_erased_file_is_indexed_again_with_include_erased(writer):
    writer.write_windows(rows("windows", window("s", 0, 0, 10, **DONE, status="erased")))
    writer.finish_videos(rows("videos", video(**DONE, **FILE)))
    assert left(writer, listed()) == []
    assert left(writer, listed(), include_erased=True) == ["v1.mp4"]


@pytest.mark.parametrize(
    "change",
    [
        {"num_bytes": 10},
        {"etag": "other"},
        {"camera": "cam2"},
        {"uri": "V1.mp4"},
        {"start_ns": datetime_to_ns(at(0.000001))},
        {"start_ns": datetime_to_ns(at(0)) - 1},
        {"start_ns": None},
    ],
)
def test_a_file_that_has_changed_is_indexed_again(writer, change):
    writer.finish_videos(rows("videos", video(**DONE, **FILE)))
    assert left(writer, listed(**change)) == [change.get("uri", "v1.mp4")]


def test_a_start_between_two_microseconds_equals_the_start_in_the_table(writer):
    writer.finish_videos(rows("videos", video(**DONE, **FILE)))
    assert left(writer, listed(start_ns=datetime_to_ns(at(0)) + 999)) == []


def test_a_start_that_only_the_container_has_is_not_compared_with_the_listing(writer):
    writer.finish_videos(rows("videos", video(**DONE, **FILE | {"clock": "creation_time"})))
    assert left(writer, listed(start_ns=None, clock="none")) == []


def test_after_a_clock_correction_the_files_of_the_camera_are_indexed_again(writer):
    right = Config.model_validate({"clock": {"cameras": {"cam1": {"offset_s": 60}}}})
    both = [video("v1", **DONE, **FILE), video("v2", **DONE, **FILE, camera="cam2")]
    writer.finish_videos(rows("videos", *both))
    assert left(writer, listed(), listed("v2", camera="cam2"), config=right) == ["v1.mp4"]


def test_rows_of_other_settings_or_tasks_do_not_count(writer):
    for number, other in enumerate(({"fingerprint": "f"}, {"task": "t"})):
        name = f"v{number}"
        writer.finish_videos(rows("videos", video(name, **FILE, **DONE | other)))
        assert left(writer, listed(name)) == [f"{name}.mp4"]


@pytest.mark.parametrize(
    ("change", "is_known"),
    [
        ({}, True),
        ({"start_ns": None, "clock": "none"}, False),
        ({"num_bytes": 10}, False),
        ({"etag": "other"}, False),
        ({"camera": "cam2"}, False),
        ({"start_ns": datetime_to_ns(at(1))}, False),
    ],
)
def test_a_copy_is_known_as_long_as_nothing_of_it_changes(writer, change, is_known):
    copy = {"uri": "copy.mp4", "num_bytes": 8, "etag": "c", "clock": "path"}
    writer.finish_videos(rows("videos", video(**DONE, **FILE) | {"copies": [copy]}))
    asked = listed("copy", **{"num_bytes": 8, "etag": "c"} | change)
    assert left(writer, listed(), asked) == ([] if is_known else ["copy.mp4"])
    writer.finish_videos(rows("videos", video(**DONE, **FILE) | {"copies": None}))
    assert left(writer, listed(), asked) == ["copy.mp4"]


def test_unfinished_files_keep_their_order_for_any_number_of_files_per_query(writer):
    done = [video(f"v{number}", **DONE, **FILE) for number in range(0, 10, 2)]
    writer.finish_videos(rows("videos", *done))
    sources = [listed(f"v{number}") for number in reversed(range(10))]
    for at_once in (1, 3, 10):
        with mock.patch.object(indexed_files, "_FILES_PER_QUERY", at_once):
            assert left(writer, *sources) == [f"v{n}.mp4" for n in (9, 7, 5, 3, 1)]


def test_an_empty_index_and_an_empty_listing(writer):
    assert left(writer, listed()) == ["v1.mp4"]
    assert left(writer) == []
