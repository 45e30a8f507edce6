"""The rows of finished videos, joined with events of their neighbours in the index."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pyarrow as pa
import pytest

from pipeline.config import Config
from pipeline.flow.driver.finish import finish_videos, join_events
from pipeline.flow.driver.ledger import WholeVideo
from pipeline.records import WindowResult, Yielded, make_id
from pipeline.tables.schema import EVENTS
from pipeline.tables.shared import Provenance
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
    """The rows of the videos, and the rows of events that replace those of the neighbours."""
    indexed = EVENTS.empty_table() if neighbours is None else neighbours
    finished = finish_videos(whole, config=CONFIG, provenance=provenance(fingerprint))
    done = {video.video.video_id for video in whole}
    events = join_events(
        indexed,
        done,
        set(),
        video_events=finished.events,
        config=CONFIG,
        provenance=provenance(fingerprint),
    )
    return SimpleNamespace(videos=finished.videos, events=events)


def parts(table: pa.Table):
    return [[part["video_id"] for part in row["parts"]] for row in table.to_pylist()]


def test_files_finished_together_share_the_event_over_their_border():
    done = finish(answered(FIRST, (50, 60)), answered(THEN, (0, 9)))
    assert parts(done.events) == [["a", "b"]]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_files_finished_one_after_the_other_give_the_same_event(order):
    whole = [answered(FIRST, (50, 60)), answered(THEN, (0, 9))]
    early = finish(whole[order[0]])
    late = finish(whole[order[1]], neighbours=early.events)
    together = finish(*whole)
    assert late.events.equals(together.events)


def test_an_event_of_a_neighbour_that_does_not_continue_is_unchanged():
    early = finish(answered(FIRST, (10, 20), (50, 60)))
    late = finish(answered(THEN, (30, 40)), neighbours=early.events)
    assert parts(late.events) == [["a"], ["a"], ["b"]]
    alone = finish(answered(THEN, (30, 40))).events
    assert sorted(late.events.to_pylist(), key=str) == sorted(
        [*early.events.to_pylist(), *alone.to_pylist()], key=str
    )


def test_events_that_a_killed_run_committed_are_replaced_with_their_video():
    torn = finish(answered(FIRST, (10, 20), (50, 60)))
    again = finish(answered(FIRST, (10, 20), (50, 60)), neighbours=torn.events)
    assert again.events.equals(torn.events)
    both = finish(answered(FIRST, (50, 60)), answered(THEN, (0, 9)))
    again = finish(answered(FIRST, (50, 60)), answered(THEN, (0, 9)), neighbours=both.events)
    assert again.events.equals(both.events)


def test_indexing_the_later_file_again_removes_its_piece_of_the_event():
    joined = finish(answered(FIRST, (50, 60)), answered(THEN, (0, 9))).events
    anew = finish(answered(THEN, (30, 40)), neighbours=joined)
    assert sorted(parts(anew.events)) == [["a"], ["b"]]


def test_indexing_the_earlier_file_again_keeps_the_piece_of_the_later_file():
    joined = finish(answered(FIRST, (50, 60)), answered(THEN, (0, 9))).events
    anew = finish(answered(FIRST, (10, 20)), neighbours=joined)
    assert sorted(parts(anew.events)) == [["a"], ["b"]]


def test_events_of_another_fingerprint_lose_pieces_but_are_never_joined():
    joined = finish(answered(FIRST, (50, 60)), answered(THEN, (0, 9)), fingerprint="old").events
    anew = finish(answered(THEN, (0, 9)), neighbours=joined, fingerprint="new")
    rows = {row["parts"][0]["video_id"]: row for row in anew.events.to_pylist()}
    assert rows["a"]["fingerprint"] == "old"
    assert rows["b"]["fingerprint"] == "new"
    assert all(len(row["parts"]) == 1 for row in rows.values())


def test_a_video_without_any_answer_is_failed_with_the_error():
    result = WindowResult(
        window_id="w", shard_id="s", video_id="a", span=seconds(0, 60), status="failed",
        frame_pts=(), error="a.mp4: broken",
    )  # fmt: skip
    done = finish(WholeVideo(video=FIRST, num_shards=1, results=(result,)))
    [row] = done.videos.to_pylist()
    assert (row["status"], row["error"]) == ("failed", "a.mp4: broken")


def test_a_file_of_which_others_own_all_of_the_time_is_superseded_and_not_erased():
    yielded = tuple(Yielded(span=span, uri="other.mp4", video_id="other") for span in THEN.footage)
    yielded_media = replace(THEN, yielded=yielded)
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
