"""Rows that make videos done, beside what the index already holds of their neighbours."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pyarrow as pa
import pytest

from pipeline.config import Config
from pipeline.flow.driver.finish import finish_videos, join_events
from pipeline.flow.driver.ledger import WholeVideo
from pipeline.records import WindowResult, Yielded, make_id
from pipeline.tables.rows import Provenance
from pipeline.tables.schema import EVENTS
from tests.unit.test_stitch import make_video, seconds

CONFIG = Config()


def provenance(fingerprint="now"):
    return Provenance(
        task="signals", model="m", prompt_id="p", fingerprint=fingerprint, config="{}"
    )


def answered(video, *events):
    answer = {
        "events": [{"label": "motion", "start": start, "end": end} for start, end in events],
        "summary": "",
    }
    result = WindowResult(
        window_id=make_id(video.video_id, "w"), shard_id="s", video_id=video.video_id,
        span=seconds(0, 60), status="analysed", frame_pts=(0, 30_000), finish_reason="stop",
        text=json.dumps(answer),
    )  # fmt: skip
    return WholeVideo(video=video, num_shards=1, results=(result,))


FIRST, THEN = make_video("a", start_s=0), make_video("b", start_s=60)


def finish(*whole, neighbours=None, fingerprint="now"):
    """The rows of the videos, and those of events that stand in place of the neighbours'."""
    held = EVENTS.empty_table() if neighbours is None else neighbours
    made = finish_videos(whole, config=CONFIG, provenance=provenance(fingerprint))
    done = {one.video.video_id for one in whole}
    events = join_events(
        held,
        done,
        set(),
        video_events=made.events,
        config=CONFIG,
        provenance=provenance(fingerprint),
    )
    return SimpleNamespace(videos=made.videos, events=events)


def parts(table: pa.Table):
    return [[part["video_id"] for part in row["parts"]] for row in table.to_pylist()]


def test_files_finished_together_share_the_event_over_their_border():
    done = finish(answered(FIRST, (50, 60)), answered(THEN, (0, 9)))
    assert parts(done.events) == [["a", "b"]]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_files_finished_one_after_the_other_end_with_the_same_event(order):
    whole = [answered(FIRST, (50, 60)), answered(THEN, (0, 9))]
    early = finish(whole[order[0]])
    late = finish(whole[order[1]], neighbours=early.events)
    together = finish(*whole)
    assert late.events.equals(together.events)


def test_a_neighbours_event_that_does_not_go_on_is_left_alone():
    early = finish(answered(FIRST, (10, 20), (50, 60)))
    late = finish(answered(THEN, (30, 40)), neighbours=early.events)
    assert parts(late.events) == [["a"], ["a"], ["b"]]
    alone = finish(answered(THEN, (30, 40))).events
    assert sorted(late.events.to_pylist(), key=str) == sorted(
        [*early.events.to_pylist(), *alone.to_pylist()], key=str
    )


def test_events_that_a_killed_run_has_left_are_written_again_with_their_video():
    torn = finish(answered(FIRST, (10, 20), (50, 60)))
    again = finish(answered(FIRST, (10, 20), (50, 60)), neighbours=torn.events)
    assert again.events.equals(torn.events)
    both = finish(answered(FIRST, (50, 60)), answered(THEN, (0, 9)))
    again = finish(answered(FIRST, (50, 60)), answered(THEN, (0, 9)), neighbours=both.events)
    assert again.events.equals(both.events)


def test_the_later_file_done_anew_gives_its_share_of_the_event_back():
    joined = finish(answered(FIRST, (50, 60)), answered(THEN, (0, 9))).events
    anew = finish(answered(THEN, (30, 40)), neighbours=joined)
    assert sorted(parts(anew.events)) == [["a"], ["b"]]


def test_the_earlier_file_done_anew_keeps_the_later_files_share():
    joined = finish(answered(FIRST, (50, 60)), answered(THEN, (0, 9))).events
    anew = finish(answered(FIRST, (10, 20)), neighbours=joined)
    assert sorted(parts(anew.events)) == [["a"], ["b"]]


def test_what_another_fingerprint_has_made_is_cut_and_never_joined():
    joined = finish(answered(FIRST, (50, 60)), answered(THEN, (0, 9)), fingerprint="old").events
    anew = finish(answered(THEN, (0, 9)), neighbours=joined, fingerprint="new")
    rows = {row["parts"][0]["video_id"]: row for row in anew.events.to_pylist()}
    assert rows["a"]["fingerprint"] == "old"
    assert rows["b"]["fingerprint"] == "new"
    assert all(len(row["parts"]) == 1 for row in rows.values())


def test_a_video_with_no_answer_at_all_is_failed_and_says_why():
    result = WindowResult(
        window_id="w", shard_id="s", video_id="a", span=seconds(0, 60), status="failed",
        frame_pts=(), error="a.mp4: broken",
    )  # fmt: skip
    done = finish(WholeVideo(video=FIRST, num_shards=1, results=(result,)))
    [row] = done.videos.to_pylist()
    assert (row["status"], row["error"]) == ("failed", "a.mp4: broken")


def test_a_file_that_others_speak_for_altogether_is_superseded_and_never_erased():
    given = tuple(Yielded(span=span, uri="other.mp4", video_id="other") for span in THEN.footage)
    yielded_media = replace(THEN, yielded=given)
    [row] = finish(WholeVideo(video=yielded_media, num_shards=0, results=())).videos.to_pylist()
    assert (row["status"], row["footage"], row["error"]) == ("superseded", [], "")
    assert (row["video_s"], row["overlap_s"]) == (0.0, 60.0)


def test_a_video_of_which_every_window_was_erased_is_erased():
    result = WindowResult(
        window_id="w", shard_id="s", video_id="a", span=seconds(0, 60), status="erased",
        frame_pts=(),
    )  # fmt: skip
    [row] = finish(WholeVideo(video=FIRST, num_shards=1, results=(result,))).videos.to_pylist()
    assert row["status"] == "erased"
