"""Answers of several models side by side: what `index --keep` leaves, and which one is asked."""

from datetime import timedelta

import pytest

import pipeline.index as pi
from pipeline.index.maintain import compact
from tests.index_rows import at, event, ids, rows, segment, video, window


def finish(writer, fingerprint, second, *, video_ids=("v1",), keep=True, start=0):
    """One generation of some videos of 600 s, done ``second`` seconds after eight."""
    mine = {"fingerprint": fingerprint}
    for name in video_ids:
        shard = window(f"{name}-{fingerprint}", 0, start, start + 600, video_id=name, **mine)
        writer.write_windows(rows("windows", shard))
    writer.finish_videos(
        rows(
            "videos",
            *(video(v, start, start + 600, indexed_at=at(second), **mine) for v in video_ids),
        ),
        rows(
            "events",
            # Both generations call it by the same id: what it is has not changed.
            *(event(f"e-{v}", at(start + 1), at(start + 2), text=fingerprint, **mine, video_id=v)
              for v in video_ids),
        ),
        rows(
            "segments",
            *(segment(f"s-{v}", text=fingerprint, **mine, video_id=v) for v in video_ids),
        ),
        keep=keep,
    )  # fmt: skip


@pytest.fixture
def writer(tmp_path):
    writer = pi.Writer(tmp_path)
    finish(writer, "f1", 1, video_ids=("v1", "v2"))
    return writer


def of(index, table, **asked):
    return sorted(index.rows(table, **asked)["fingerprint"].to_pylist())


def test_a_query_gets_the_newest_of_each_video_and_any_other_if_asked(writer):
    finish(writer, "f2", 2)
    index = pi.open(writer.store.root)
    for table in ("videos", "windows", "events", "segments"):
        assert of(index, table) == ["f1", "f2"], table
        assert of(index, table, fingerprint="f1") == ["f1", "f1"], table
        assert of(index, table, fingerprint="all") == ["f1", "f1", "f2"], table
    sql = "SELECT video_id, text FROM events ORDER BY 1"
    assert index.sql(sql).to_pylist() == [
        {"video_id": "v1", "text": "f2"},
        {"video_id": "v2", "text": "f1"},
    ]
    done = pi.RunGoal(task="t", fingerprint="f1")
    near = pi.CameraRange(cameras=["cam1"], start=at(0), end=at(600))
    assert pi.finished_ids(writer.index, ["v1", "v2", "v3"], near, done) == {"v1", "v2"}
    compact(writer.store, min_age=timedelta(0))
    assert of(pi.open(writer.store.root), "events") == ["f1", "f2"]


def test_without_keep_the_new_answers_replace_every_generation(writer):
    finish(writer, "f2", 2)
    finish(writer, "f3", 3, keep=False)
    for table in ("videos", "windows", "events", "segments"):
        assert of(writer.index, table, fingerprint="all") == ["f1", "f3"], table


def test_a_kept_generation_written_twice_is_there_once(writer):
    finish(writer, "f2", 2)
    finish(writer, "f2", 3)
    for table in ("videos", "windows", "events", "segments"):
        assert of(writer.index, table, fingerprint="all") == ["f1", "f1", "f2"], table


def test_an_unfinished_generation_is_not_asked_yet(writer):
    shard = window("v1-f2", 0, 0, 600, fingerprint="f2")
    writer.write_windows(rows("windows", shard))
    assert of(writer.index, "windows") == ["f1", "f1"]


def test_an_event_that_began_before_the_range_is_of_the_newest_generation_too(writer):
    through = {"parts": [], "fingerprint": "f1", "text": "through"}
    writer.finish_videos(
        rows("videos", video("v1", 0, 600, indexed_at=at(1)), video("v9", 600, 900)),
        rows("events", event("through", at(590), at(700), **through)),
        keep=True,
    )
    assert of(writer.index, "events", label=None) == ["f1", "f1"]
    finish(writer, "f2", 9)
    later = writer.index.events(at(650), at(660))
    assert later.num_rows == 0


def test_a_file_that_has_grown_outdates_every_generation_of_what_it_was(writer):
    finish(writer, "f2", 2)
    grown = video("v1-grown", 0, 900, uri="v1.mp4", fingerprint="f2", indexed_at=at(3))
    writer.finish_videos(rows("videos", grown), keep=True)
    kept = writer.index.videos(fingerprint="all")
    assert ids(kept, "video_id") == ["v1-grown", "v2"]
    assert ids(writer.index.events(fingerprint="all"), "video_id") == ["v2"]


def test_an_event_over_two_files_is_told_if_it_has_the_newest_answers_of_one_of_them(writer):
    """It may be all that is told of that file; what the other file has newer is told beside it."""
    finish(writer, "f2", 2)  # of v1 alone
    parts = [
        {"video_id": name, "uri": "", "start": at(low), "end": at(high), "media_start": 0.0,
         "media_end": 1.0}
        for name, low, high in (("v1", 590, 600), ("v2", 600, 605))
    ]  # fmt: skip
    over_both = event("e-both", at(590), at(605), fingerprint="f1", parts=parts)
    writer.finish_videos(
        rows("videos", *(video(v, indexed_at=at(1), fingerprint="f1") for v in ("v1", "v2"))),
        rows("events", over_both),
        keep=True,
    )
    index = pi.open(writer.store.root)
    assert of(index, "events") == ["f1", "f2"]
    assert ids(index.events(), "event_id") == ["e-both", "e-v1"]
    finish(writer, "f2", 3, video_ids=("v2",))
    assert ids(pi.open(writer.store.root).events(), "event_id") == ["e-v1", "e-v2"]


@pytest.mark.parametrize("f2_ends", [600, 605, 606])
def test_an_event_that_begins_alike_in_the_answers_of_two_models_is_told_once(tmp_path, f2_ends):
    """Of the first file the answers of the one are the newest, of the next file the other's."""
    writer = pi.Writer(tmp_path)

    def finish_both(fingerprint, seconds, ends):
        cuts = [
            (name, low, min(high, ends)) for name, low, high in (("v1", 590, 600), ("v2", 600, 610))
        ]
        parts = [
            {"video_id": name, "uri": "", "start": at(low), "end": at(high), "media_start": 0.0,
             "media_end": 1.0}
            for name, low, high in cuts if low < high
        ]  # fmt: skip
        made = [
            video(name, start, start + 600, indexed_at=at(second), fingerprint=fingerprint)
            for name, start, second in zip(("v1", "v2"), (0, 600), seconds, strict=True)
        ]
        both = event("e", at(590), at(ends), fingerprint=fingerprint, parts=parts, video_id="v1")
        writer.finish_videos(rows("videos", *made), rows("events", both), keep=True)

    finish_both("f1", (1, 4), 605)
    finish_both("f2", (2, 3), f2_ends)
    index = pi.open(tmp_path)
    assert of(index, "events", fingerprint="all") == ["f1", "f2"]
    assert of(index, "events") == ["f1" if f2_ends < 605 else "f2"]
