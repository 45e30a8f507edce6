"""Which rows the index holds after commits that are made once, repeated or interrupted."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from deltalake.exceptions import CommitFailedError

import pipeline.index as pi
from pipeline.index import commit, grouping
from tests.index_rows import DAY, US, at, event, ids, rows, segment, utterance, video, window


@pytest.fixture
def writer(tmp_path):
    return pi.Writer(tmp_path)


def test_a_shard_written_twice_is_there_once_and_other_shards_stay(writer):
    first = rows("windows", window("a", 0, 0, 10), window("a", 1, 10, 20), window("b", 0, 20, 30))
    writer.write_windows(first)
    writer.write_windows(first)
    assert ids(writer.index.windows(), "window_id") == ["a-0", "a-1", "b-0"]
    writer.write_windows(rows("windows", window("a", 9, 0, 20)))
    assert ids(writer.index.windows(), "window_id") == ["a-9", "b-0"]


def test_windows_of_one_shard_may_lie_on_two_dates(writer):
    border = 16 * 3600.0
    shard = rows("windows", window("a", 0, border - 9, border), window("a", 1, border, border + 9))
    writer.write_windows(shard)
    writer.write_windows(shard)
    near = pi.CameraRange(cameras=["cam1"], start=at(border - 9), end=at(border + 9))
    found = pi.windows_of(writer.index, ["v1"], near, task="t", fingerprint="f1")
    assert found["window_id"].to_pylist() == ["a-0", "a-1"]
    assert len(set(found["date"].to_pylist())) == 2


@pytest.mark.parametrize("later_us", [0, 1])
def test_only_the_row_that_was_read_is_reopened(writer, monkeypatch, later_us):
    """Another run finishes the video between the reading of its row and the commit."""
    writer.finish_videos(rows("videos", video(indexed_at=at(7) + timedelta(microseconds=999_999))))
    change = commit.change

    def change_late(*args):
        monkeypatch.setattr(commit, "change", change)
        again = at(7) + timedelta(microseconds=999_999 + later_us)
        writer.finish_videos(rows("videos", video(indexed_at=again)))
        change(*args)

    monkeypatch.setattr(commit, "change", change_late)
    near = pi.CameraRange(cameras=["cam1"], start=at(0), end=at(600))
    writer.reopen(["v1"], near, "t", "f1")
    [status] = writer.index.videos()["status"].to_pylist()
    assert status == ("done" if later_us else "pending")


def test_more_ids_than_one_predicate_names(writer, monkeypatch):
    monkeypatch.setattr(grouping, "_IDS_PER_COMMIT", 2)
    table = rows("windows", *(window(f"s{i}", j, i, i + 1) for i in range(5) for j in range(2)))
    writer.write_windows(table)
    writer.write_windows(table)
    assert writer.index.windows().num_rows == 10
    videos = rows("videos", *(video(f"v{i}") for i in range(5)))
    writer.finish_videos(videos, rows("events", event("e", at(1), at(2), video_id="v4")))
    assert writer.index.videos().num_rows == 5
    assert ids(writer.index.events(), "event_id") == ["e"]


def test_new_answers_replace_all_old_ones_of_the_same_task(writer):
    writer.write_windows(rows("windows", window("a", 0, 0, 600)))
    writer.finish_videos(
        rows("videos", video()),
        rows("events", event("old1", at(1), at(2)), event("old2", at(3), at(4))),
        rows("segments", segment("old")),
        rows("utterances", utterance("old")),
    )
    other_task = {"task": "other", "fingerprint": "g"}
    writer.finish_videos(
        rows("videos", video(**other_task)),
        rows("events", event("kept", at(1), at(2), **other_task)),
    )
    f2 = {"fingerprint": "f2"}
    writer.write_windows(rows("windows", window("x", 0, 0, 600, **f2)))
    assert ids(writer.index.windows(), "shard_id") == ["a"]  # the old row still stands
    writer.finish_videos(
        rows("videos", video(**f2)), rows("events", event("new", at(1), at(2), **f2))
    )
    assert ids(writer.index.events(), "event_id") == ["kept", "new"]
    assert writer.index.segments().num_rows == 0  # an empty replacement deletes too
    assert writer.index.utterances().num_rows == 0
    assert ids(writer.index.windows(), "shard_id") == ["x"]
    held = writer.index.videos().to_pylist()
    assert sorted((row["task"], row["fingerprint"]) for row in held) == [
        ("other", "g"),
        ("t", "f2"),
    ]


def test_a_video_whose_start_moved_leaves_no_row_on_the_old_date(writer):
    writer.finish_videos(rows("videos", video()), rows("events", event("old", at(1), at(2))), None)
    later = video(start=9 * DAY, end=9 * DAY + 600)
    moved = rows("events", event("new", at(9 * DAY), at(9 * DAY + 1)))
    writer.finish_videos(rows("videos", later), moved)
    assert ids(writer.index.events(), "event_id") == ["new"]
    assert writer.index.videos()["start"].to_pylist() == [at(9 * DAY)]


def test_success_removes_the_failure_of_the_same_uri_and_failure_removes_nothing(writer):
    failure = {
        "video_id": "failed-hash",
        "uri": "v1.mp4",
        "status": "failed",
        "start": at(-900 * DAY),
        "end": at(-900 * DAY) + US,
        "error": "moov atom not found",
    }
    elsewhere = failure | {"video_id": "another", "uri": "other.mp4"}
    writer.finish_videos(rows("videos", failure, elsewhere))
    assert ids(writer.index.videos(), "status") == ["failed", "failed"]
    writer.finish_videos(rows("videos", video()), rows("events", event("e", at(1), at(2))))
    assert ids(writer.index.videos(), "uri") == ["other.mp4", "v1.mp4"]
    writer.finish_videos(rows("videos", failure))
    assert ids(writer.index.events(), "event_id") == ["e"]
    assert ids(writer.index.videos(), "status") == ["done", "failed", "failed"]


def test_another_content_of_a_uri_replaces_the_former_one_even_half_done(writer):
    writer.write_windows(rows("windows", window("a", 0, 0, 600, uri="v1.mp4")))
    grown = video("v1-grown", uri="v1.mp4", end=900)
    writer.write_windows(rows("windows", window("b", 0, 0, 900, video_id="v1-grown")))
    writer.finish_videos(rows("videos", grown))
    assert ids(writer.index.windows(), "shard_id") == ["b"]
    whole = video("v1-whole", uri="v1.mp4", end=1000)
    writer.finish_videos(rows("videos", whole))
    assert ids(writer.index.videos(), "video_id") == ["v1-whole"]
    assert writer.index.windows().num_rows == 0


def test_rows_of_videos_that_are_not_finished_are_refused(writer):
    with pytest.raises(ValueError, match="not in videos"):
        writer.finish_videos(
            rows("videos", video()), None, rows("segments", segment("s", video_id="v9"))
        )
    with pytest.raises(ValueError, match="one task"):
        writer.finish_videos(rows("videos", video(), video("v2", task="u")))


def test_finishing_a_later_file_may_continue_an_event_of_an_earlier_one(writer):
    border = 16 * 3600.0
    writer.finish_videos(
        rows("videos", video("v1", 0, border)),
        rows("events", event("left", at(border - 5), at(border))),
    )
    for _ in range(2):
        writer.finish_videos(
            rows("videos", video("v2", border, border + 600)),
            join=lambda *_: rows(
                "events",
                event("whole", at(border - 5), at(border + 5)),
                event("own", at(border + 50), at(border + 60), video_id="v2"),
            ),
        )
        assert ids(writer.index.events(), "event_id") == ["own", "whole"]


class TornError(Exception):
    """The process dies here."""


@pytest.mark.parametrize("survived", range(7))
def test_after_a_crash_between_any_two_steps_the_same_call_completes_the_work(
    writer, monkeypatch, survived
):
    writer.write_windows(rows("windows", window("a", 0, 0, 600)))
    writer.finish_videos(
        rows("videos", video()),
        rows("events", event("old", at(1), at(2))),
        rows("segments", segment("o")),
    )
    f2 = {"fingerprint": "f2"}
    writer.write_windows(rows("windows", window("b", 0, 0, 600, **f2)))
    finish = (
        rows("videos", video(**f2)),
        rows("events", event("new", at(1), at(2), **f2)),
        rows("segments", segment("n", **f2)),
        rows("utterances", utterance("n", **f2)),
    )
    done = []

    def torn(step, name):
        def write(store, *args, **kwargs):
            if len(done) == survived:
                raise TornError
            done.append(name or args[0])
            step(store, *args, **kwargs)

        return write

    with monkeypatch.context() as patched:
        patched.setattr(commit, "replace", torn(commit.replace, None))
        patched.setattr(commit, "rejoin", torn(commit.rejoin, "events"))
        if survived < 6:
            with pytest.raises(TornError):
                writer.finish_videos(*finish)
        else:
            writer.finish_videos(*finish)
    steps = ["events", "segments", "utterances", "slides", "windows", "videos"]
    assert done == steps[:survived]
    writer.finish_videos(*finish)
    assert ids(writer.index.events(), "event_id") == ["new"]
    assert ids(writer.index.segments(), "segment_id") == ["n"]
    assert ids(writer.index.utterances(), "utterance_id") == ["n"]
    assert ids(writer.index.windows(), "shard_id") == ["b"]
    assert ids(writer.index.videos(), "fingerprint") == ["f2"]


def test_a_reader_sees_one_generation_while_rows_are_rewritten(writer):
    def generation(n):
        return rows("windows", *(window("a", i, i, i + 1, markers=[str(n)]) for i in range(50)))

    writer.write_windows(generation(0))
    index = pi.open(writer.store.root)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(lambda: [writer.write_windows(generation(n)) for n in range(1, 16)])
        seen = []
        while not job.done():
            found = index.windows(columns=["markers"])
            assert found.num_rows == 50
            (marker,) = {m for row in found["markers"].to_pylist() for m in row}
            seen.append(int(marker))
        job.result()
    assert seen == sorted(seen)
    assert index.windows(limit=1)["markers"].to_pylist() == [["15"]]


def test_a_conflict_that_never_ends_is_raised(writer, monkeypatch):
    def always(*_args, **_kwargs):
        raise CommitFailedError("a concurrent transaction added new data")

    monkeypatch.setattr("pipeline.index.replace.write_deltalake", always)
    monkeypatch.setattr("pipeline.index.replace._ATTEMPTS", 3)
    with pytest.raises(CommitFailedError):
        writer.write_windows(rows("windows", window("a", 0, 0, 10)))


def test_an_earlier_content_of_a_reused_name_stays_if_its_time_does_not_overlap(writer):
    earlier = video("monday", 0, 600, uri="latest.mp4")
    writer.finish_videos(rows("videos", earlier))
    later = video("tuesday", 600, 1200, uri="latest.mp4")
    writer.finish_videos(rows("videos", later))
    assert ids(writer.index.videos(), "video_id") == ["monday", "tuesday"]


def test_a_recording_with_a_corrected_clock_leaves_no_row_at_its_old_time(writer):
    wrong = video("wrong", 0, 600, uri="a.mp4", content_id="c")
    writer.write_windows(rows("windows", window("a", 0, 0, 600, video_id="wrong", uri="a.mp4")))
    writer.finish_videos(
        rows("videos", wrong), rows("events", event("e1", at(1), at(2), video_id="wrong"))
    )
    right = video("right", 3600, 4200, uri="a.mp4", content_id="c")
    writer.finish_videos(
        rows("videos", right), rows("events", event("e2", at(3601), at(3602), video_id="right"))
    )
    assert ids(writer.index.videos(), "video_id") == ["right"]
    assert ids(writer.index.events(), "event_id") == ["e2"]
    assert writer.index.windows().num_rows == 0
