"""What people say about events is kept beside them, and never changes them."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

import pipeline.index as pi
from pipeline.errors import ConfigError
from pipeline.index import maintain
from pipeline.index.check import check
from pipeline.index.erase import erase
from pipeline.index.scope import Scope
from pipeline.records import Feedback
from pipeline.tables.feedback import feedback_of_table
from pipeline.timebase import TimeRange, datetime_to_ns
from tests.conftest import ROOT
from tests.index_rows import at, event, ids, open_with_four_events, rows, video, window

SAID_AT = datetime(2026, 3, 2, tzinfo=UTC)


def span(start_s, end_s):
    return TimeRange(datetime_to_ns(at(start_s)), datetime_to_ns(at(end_s)))


def about(event_id, verdict, start_s, end_s, *, label="motion", seconds=0, **given):
    """A statement; by default the event was found as the person says."""
    made = Feedback(
        event_id=event_id,
        verdict=verdict,
        camera="cam1",
        label=label,
        span=span(start_s, end_s),
        was_label=label,
        was_span=span(start_s, end_s),
        task="t",
        fingerprint="f1",
        video_id="v1",
        uri="v1.mp4",
        note="",
        said_by="anna",
        said_at=SAID_AT + timedelta(seconds=seconds),
    )  # fmt: skip
    return replace(made, **given)


@pytest.fixture
def index(tmp_path):
    return open_with_four_events(tmp_path)


def test_the_newest_statement_about_an_event_counts_and_the_event_stays(index):
    before = index.events()
    pi.write_feedback(index.store, [about("long", "rejected", 100, 200)])
    corrected = about("long", "corrected", 110, 190, label="person", seconds=1)
    pi.write_feedback(index.store, [corrected, about("late", "confirmed", 500, 501)])
    assert index.events() == before
    newest = {row["event_id"]: row["verdict"] for row in index.reviews().to_pylist()}
    assert newest == {"long": "corrected", "late": "confirmed"}
    assert index.reviews(["late"]).num_rows == 1
    assert index.rows("feedback").num_rows == 3


def test_the_same_statement_twice_is_one_row(index):
    for _ in range(2):
        pi.write_feedback(index.store, [about("long", "confirmed", 100, 200)])
    assert index.rows("feedback").num_rows == 1


def test_a_statement_comes_back_as_it_was_made(index):
    missed = Feedback.missed(
        camera="cam1", label="fall", span=span(300, 305), task="t", said_by="li", said_at=SAID_AT
    )
    said = [missed, about("long", "corrected", 110, 190, was_span=span(100, 200), note="迟了")]
    pi.write_feedback(index.store, said)
    found = feedback_of_table(index.rows("feedback", order_by="duration"))
    assert found == said


@pytest.mark.parametrize(
    ("review", "found"),
    [
        ("open", ["other", "short"]),
        ("confirmed", ["late"]),
        ("rejected", ["long"]),
        (["open", "rejected"], ["long", "other", "short"]),
        ("missed", []),
    ],
)
def test_events_are_found_by_what_was_said_about_them(index, review, found):
    said = [about("late", "confirmed", 500, 501), about("long", "rejected", 100, 200)]
    said += [about("short", "rejected", 150, 151), about("short", "open", 150, 151, seconds=1)]
    pi.write_feedback(index.store, said)
    assert ids(index.events(review=review), "event_id") == found


def test_without_any_statement_every_event_is_open(index):
    assert index.events(review="open") == index.events()
    assert index.reviews().num_rows == 0


def test_a_review_state_that_does_not_exist_is_refused(index):
    with pytest.raises(ConfigError, match=r"review 'good': must be one of open, confirmed"):
        index.events(review="good")
    with pytest.raises(ConfigError, match="not about windows"):
        index.rows("windows", review="open")


@pytest.fixture
def reviewed(tmp_path):
    """Two files of one camera, each with an event, and one event through both."""
    writer = pi.Writer(tmp_path)
    halves = [("v1", 590, 600), ("v2", 600, 610)]
    parts = [
        {"video_id": name, "uri": f"{name}.mp4", "start": at(start), "end": at(end)}
        | {"media_start": 0.0, "media_end": 1.0}
        for name, start, end in halves
    ]
    pieces = [
        {"event_id": f"p{name}", "text": "", "confidence": None, "verdict": None, "fields": []}
        | {"num_window_ids": 0, "num_boxes": 0}
        for name, _, _ in halves
    ]
    made = (window("a", 0, 0, 600), window("b", 0, 600, 1200, video_id="v2"))
    writer.write_windows(rows("windows", *made))
    writer.finish_videos(
        rows("videos", video("v1", num_events=2), video("v2", 600, 1200, num_events=2)),
        rows(
            "events",
            event("e1", at(10), at(20), label="motion"),
            event("both", at(590), at(610), parts=parts, pieces=pieces, label="motion"),
            event("e2", at(700), at(720), video_id="v2", label="motion"),
        ),
    )
    said = [
        about("e1", "confirmed", 10, 20),
        about("both", "confirmed", 590, 610),
        about("e2", "corrected", 730, 740, was_span=span(700, 720), video_id="v2", uri="v2.mp4"),
        Feedback.missed(
            camera="cam1",
            label="fall",
            span=span(800, 801),
            task="t",
            said_by="li",
            said_at=SAID_AT,
        ),
    ]
    pi.write_feedback(writer.store, said)
    return writer.open()


def left(index):
    return [row["event_id"] for row in index.reviews().to_pylist() if row["verdict"] != "missed"]


@pytest.mark.parametrize(
    ("scope", "remaining"),
    [
        (Scope.parse(start=at(0), end=at(15)), ["both", "e2"]),
        (Scope.parse(start=at(20), end=at(30)), ["both", "e1", "e2"]),  # only touches e1
        (Scope.parse(start=at(719), end=at(725)), ["both", "e1"]),  # where e2 was found
        (Scope.parse(start=at(739), end=at(745)), ["both", "e1"]),  # where e2 was moved to
        (Scope.parse(video="v2.mp4"), ["e1"]),
        (Scope.parse(camera="cam2"), ["both", "e1", "e2"]),
        (Scope.parse(camera="cam1"), []),
    ],
)
def test_erasing_footage_erases_what_was_said_about_it(reviewed, scope, remaining):
    receipt = erase(reviewed.store, scope)
    assert sorted(left(reviewed)) == remaining
    is_missed_left = reviewed.rows("feedback", at(800), at(801)).num_rows
    assert receipt["rows"]["feedback"] == 4 - len(remaining) - is_missed_left
    assert check(reviewed.store) == []


def test_compaction_and_vacuum_keep_every_statement(reviewed):
    before = reviewed.rows("feedback")
    pi.write_feedback(reviewed.store, [about("e1", "open", 10, 20, seconds=5)])
    assert maintain.compact(reviewed.store, min_age=timedelta(0))["feedback"] == 1
    maintain.vacuum(reviewed.store, retention=timedelta(0))
    after = reviewed.rows("feedback")
    assert pa.compute.is_in(before["feedback_id"], after["feedback_id"]).to_pylist() == [True] * 4
    assert after.num_rows == 5


def test_an_index_from_before_the_table_takes_statements(tmp_path):
    older = shutil.copytree(ROOT / "tests" / "golden" / "v1", tmp_path / "v1")
    index = pi.open(older)
    assert index.events(review="confirmed").num_rows == index.reviews().num_rows == 0
    pi.write_feedback(index.store, [about("e1", "confirmed", 590, 610)])
    assert ids(index.events(review="confirmed"), "event_id") == ["e1"]


def test_the_command_filters_by_review(cli, reviewed):
    found = cli.rows("query", "--index", reviewed.store.root, "--review", "confirmed")
    assert [row["event_id"] for row in found] == ["e1", "both"]


def test_feedback_is_a_truth_to_evaluate_against(cli, reviewed):
    told = cli.json("evaluate", "--truth", "feedback", "--index", reviewed.store.root)
    # True: e1, both, e2 at its right time, and the one that was missed.
    assert (told["num_truth"], told["num_found"]) == (4, 3)
    assert told["event_precision"] == pytest.approx(2 / 3, abs=1e-4)
    assert told["event_recall"] == 0.5
    assert told["false_events_per_hour"] is None


def test_answers_of_other_settings_count_only_where_something_was_judged(cli, reviewed):
    events = rows(
        "events",
        event("n1", at(11), at(20), fingerprint="f2", label="motion"),
        event("n2", at(300), at(310), fingerprint="f2", label="motion"),
    )
    done = rows("videos", video("v1", fingerprint="f2", num_events=2))
    pi.Writer(reviewed.store.root).finish_videos(done, events)
    told = cli.json("evaluate", "--truth", "feedback", "--index", reviewed.store.root)
    assert told["num_found"] == 2  # n1 and e2, but neither n2 nor anything of the first answer
