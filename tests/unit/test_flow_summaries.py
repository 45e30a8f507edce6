"""Days are summarized once, and again when they change.

The engine here is signals: its summaries are reproducible, so that every text can be compared.
"""

import json
import shutil
from datetime import date

import pytest

from pipeline.config import Config, load_config
from pipeline.errors import ConfigError, IndexFormatError
from pipeline.flow.driver.archive import index_archive
from pipeline.flow.driver.run_identity import new_run
from pipeline.flow.driver.spent import Spent
from pipeline.flow.summaries.pending_days import pending_days
from pipeline.flow.summaries.summarize import stored_configs, summarize_index
from pipeline.index import Writer, list_runs
from pipeline.index.erase import erase
from pipeline.index.filters import Where
from pipeline.index.lease import take_lease
from pipeline.index.scope import Scope
from pipeline.index.store import TABLES_PROPERTY
from pipeline.records import Source
from pipeline.timebase import datetime_to_ns
from tests.index_rows import DAY, T0, at, event, rows, segment, video

CONFIG = Config()
TASK = CONFIG.task.name


def finish(writer, *videos, events=(), captions=()):
    columns = {"task": TASK}
    seen = columns | {"config": CONFIG.to_json(), "indexed_at": T0}
    writer.finish_videos(
        rows("videos", *(v | seen | {"clock_start": v["start"]} for v in videos)),
        rows("events", *({"parts": [part(e["video_id"])]} | e | columns for e in events)),
        rows("segments", *(c | columns | {"level": "window"} for c in captions)),
    )


def part(video_id):
    nothing = dict.fromkeys(("uri", "start", "end", "media_start", "media_end"))
    return nothing | {"video_id": video_id}


def orders(writer):
    return [row["state"] for row in writer.open().select_all("erasures", Where()).to_pylist()]


def motion(name, start, end, video_id="v1"):
    return event(name, at(start), at(end), video_id=video_id, label="motion", text="something")


@pytest.fixture
def writer(tmp_path):
    """Two videos of one day and one of the next."""
    writer = Writer(tmp_path / "index")
    finish(
        writer,
        video("v1", 0, 600),
        video("v2", 3600, 4200),
        video("v3", DAY, DAY + 600),
        events=[
            motion("e1", 10, 20),
            motion("e2", 500, 530),
            motion("e3", 3700, 3701, "v2"),
            motion("e4", DAY, DAY + 1, "v3"),
        ],
    )
    return writer


def summarize(writer, **more):
    return summarize_index(writer.store.root, CONFIG, **more)


def summaries_of(writer, **more):
    return writer.open().summaries(**more).to_pylist()


def texts(writer, level):
    return [row["text"] for row in summaries_of(writer) if row["level"] == level]


def test_chapters_videos_and_days_are_summarized_with_their_times_and_sources(writer):
    report = summarize(writer)
    assert report.to_json()["summaries"] == {"chapter": 4, "video": 3, "day": 2}
    assert report.extractive == 9
    assert texts(writer, "chapter") == [
        "motion: once, 0:00:10 to 0:00:20.",
        "motion: once, 0:08:20 to 0:08:50.",
        "motion: once, 0:01:40 to 0:01:41.",
        "motion: once, 0:00:00 to 0:00:01.",
    ]
    assert texts(writer, "day") == [
        "motion: 3 times, 41.0 s in all, from 8:00:10, 8:08:20, 9:01:40.",
        "motion: once, 8:00:00 to 8:00:01.",
    ]
    first_day = next(row for row in summaries_of(writer) if row["level"] == "day")
    assert (first_day["start"], first_day["end"]) == (at(0), at(4200))
    assert first_day["sentences"] == [
        {
            "start": at(10),
            "end": at(3701),
            "text": first_day["text"],
            "sources": ["e1", "e2", "e3"],
        }
    ]
    second = next(row for row in summaries_of(writer) if row["start"] == at(500))
    assert (second["level"], second["video_id"], second["media_start"]) == ("chapter", "v1", 500.0)
    assert (second["method"], second["model"]) == ("extractive", CONFIG.model)


def test_a_second_call_writes_nothing(writer):
    summarize(writer)
    before = summaries_of(writer)
    again = summarize(writer)
    assert (again.days, again.days_skipped) == (0, 2)
    assert summaries_of(writer) == before


def test_only_changed_videos_and_days_are_summarized_again(writer):
    summarize(writer)
    finish(writer, video("v2", 3600, 4200), events=[motion("e5", 3800, 3900, "v2")])
    assert [row for row in summaries_of(writer) if row["video_id"] == "v2"] == []
    assert texts(writer, "day") == ["motion: once, 8:00:00 to 8:00:01."]
    report = summarize(writer)
    assert report.to_json()["summaries"] == {"chapter": 1, "video": 1, "day": 1}
    assert texts(writer, "day")[0].startswith("motion: 3 times, 140.0 s in all")
    assert len(summaries_of(writer)) == 9


def test_a_camera_that_another_run_summarizes_is_left_to_it(writer):
    other = new_run(TASK, CONFIG.summaries_fingerprint, "summarize")
    with take_lease(writer.store, other, {"cam1"}) as lease:
        report = summarize(writer)
        assert report.to_json()["left"] == {"days": 2, "to": [other.run_id]}
        assert summaries_of(writer) == []
        lease.end("done", 0)
    assert summarize(writer).to_json()["left"] == {"days": 0, "to": []}
    assert len(summaries_of(writer)) == 9


def test_a_camera_that_another_run_indexes_can_be_summarized(writer):
    with take_lease(writer.store, new_run(TASK, CONFIG.fingerprint, "index"), {"cam1"}) as lease:
        assert summarize(writer).days_left == 0
        lease.end("done", 0)
    runs = list_runs(writer.open()).to_pylist()
    assert sorted((row["works"], row["state"]) for row in runs) == [
        (["index"], "done"),
        (["summarize"], "done"),
    ]


def test_what_is_erased_while_it_is_summarized_has_no_summary(writer):
    class ErasesWhenAsked(Spent):
        """Erases after the day was read, and before it is summarized."""

        def exceeded(self, _budget):
            if not orders(writer):
                erase(writer.store, Scope.parse(video="v1"))
            return ""

    summarize(writer, spent=ErasesWhenAsked())
    assert {row["video_id"] for row in summaries_of(writer) if row["level"] == "video"} == {
        "v2",
        "v3",
    }
    assert not [text for text in texts(writer, "day") if "8:00:10" in text]
    assert orders(writer) == ["applied"]


def test_erasing_a_video_removes_its_summaries_and_those_of_its_days(writer):
    summarize(writer)
    erase(writer.store, Scope.parse(video="v2"))
    assert {(row["level"], row["video_id"]) for row in summaries_of(writer)} == {
        ("chapter", "v1"), ("video", "v1"), ("chapter", "v3"), ("video", "v3"), ("day", ""),
    }  # fmt: skip
    assert summarize(writer).to_json()["summaries"] == {"chapter": 0, "video": 0, "day": 1}
    assert "9:01:40" not in "".join(texts(writer, "day"))


def test_a_changed_setting_replaces_every_summary(writer):
    summarize(writer)
    other = CONFIG.model_copy(
        update={"summaries": CONFIG.summaries.model_copy(update={"gap_s": 1000})}
    )
    report = summarize_index(writer.store.root, other)
    assert report.to_json()["summaries"] == {"chapter": 3, "video": 3, "day": 2}
    assert {row["fingerprint"] for row in summaries_of(writer)} == {other.summaries_fingerprint}


def test_each_level_is_made_from_the_level_below_it(writer):
    assert summarize(writer, level="chapter").written == {"chapter": 4, "video": 0, "day": 0}
    assert summarize(writer, level="video").written == {"chapter": 0, "video": 3, "day": 0}
    assert summarize(writer).written == {"chapter": 0, "video": 0, "day": 2}
    assert summarize(writer, level="chapter").days == 0


def test_a_range_summarizes_the_whole_of_each_day_that_it_overlaps(writer):
    summarize(writer, start="2026-03-01T09:00Z", end="2026-03-01T10:00Z")
    assert {row["date"] for row in summaries_of(writer)} == {date(2026, 3, 1)}
    assert texts(writer, "day") == [
        "motion: 3 times, 41.0 s in all, from 8:00:10, 8:08:20, 9:01:40."
    ]
    assert summarize(writer, camera="other").to_json()["days"] == {"done": 0, "skipped": 0}


def test_captions_are_lines_and_a_video_without_lines_has_no_summary(tmp_path):
    writer = Writer(tmp_path / "index")
    caption = segment("s1", start=at(0), end=at(16), text="A gate opens.")
    finish(writer, video("v1", 0, 600), video("v2", 700, 800), captions=[caption])
    summarize(writer)
    assert {row["level"]: row["text"] for row in summaries_of(writer)} == dict.fromkeys(
        ("chapter", "video", "day"), "A gate opens."
    )
    assert {row["video_id"] for row in summaries_of(writer)} == {"v1", ""}
    assert {tuple(row["sentences"][0]["sources"]) for row in summaries_of(writer)} == {("s1",)}


def test_an_event_over_a_file_border_is_in_the_summaries_of_both_files_up_to_the_border(tmp_path):
    writer = Writer(tmp_path / "index")
    finish(writer, video("v1", 0, 600), video("v2", 600, 1200))
    through = motion("e", 590, 640) | {"parts": [part("v1"), part("v2")]}
    finish(writer, video("v1", 0, 600), events=[through])
    summarize(writer)
    assert texts(writer, "video") == [
        "motion: once, 0:09:50 to 0:10:00.", "motion: once, 0:00:00 to 0:00:40.",
    ]  # fmt: skip


def test_an_index_from_before_summaries_has_none_and_can_get_them(writer):
    shutil.rmtree(f"{writer.store.root}/summaries")
    never_had = {TABLES_PROPERTY: ""}
    writer.store.handle("videos").alter.set_table_properties(never_had, raise_if_not_exists=False)
    old = Writer(writer.store.root)
    assert summaries_of(old) == []
    summarize(old)
    assert len(summaries_of(old)) == 9


def test_a_run_finds_the_pending_days_of_its_files_and_no_others(writer):
    uris = {"v1.mp4", "v3.mp4"}
    summarize(writer, level="video")
    index = writer.open()
    assert pending_days(index, CONFIG, "video", uris) == []
    first, last = date(2026, 3, 1), date(2026, 3, 2)
    assert pending_days(index, CONFIG, "day", uris) == [("cam1", first), ("cam1", last)]
    summarize(writer)
    finish(writer, video("v1", 0, 600), events=[motion("e1", 10, 21)])
    assert pending_days(index, CONFIG, "day", uris) == [("cam1", first)]
    assert pending_days(index, CONFIG, "chapter", uris) == [("cam1", first)]
    assert pending_days(index, CONFIG, "day", {"v3.mp4"}) == []


def test_a_run_with_nothing_to_index_still_summarizes_days_that_a_killed_run_left_pending(tmp_path):
    config = CONFIG.model_copy(
        update={"summaries": CONFIG.summaries.model_copy(update={"level": "day"})}
    )
    writer = Writer(tmp_path / "index")
    finish(
        writer, video("v1", 0, 600, fingerprint=config.fingerprint), events=[motion("e", 10, 20)]
    )
    source = Source(
        uri="v1.mp4", num_bytes=0, etag="", camera="cam1", clock="path",
        start_ns=datetime_to_ns(at(0)),
    )  # fmt: skip
    for written in ({"chapter": 1, "video": 1, "day": 1}, {"chapter": 0, "video": 0, "day": 0}):
        report = index_archive([source], config, writer.store.root, on_progress=lambda _: None)
        assert report.videos_skipped == 1
        assert report.summaries["summaries"] == written
    assert texts(writer, "day") == ["motion: once, 8:00:10 to 8:00:20."]


def test_the_stored_configuration_is_that_of_the_index(writer):
    [stored] = stored_configs(writer.store.root, ["summaries.max_sentences=3"])
    assert stored.task == CONFIG.task
    assert stored.summaries.max_sentences == 3
    with pytest.raises(ConfigError, match="nothing is indexed for the task 'other'"):
        stored_configs(writer.store.root, task="other")


def test_the_stored_configuration_of_a_task_is_that_of_its_last_video(writer):
    def indexed(name, task, hours, max_gap_s):
        config = load_config(None, (f"task.name={task}", f"stitch.max_gap_s={max_gap_s}"))
        seen = {"task": task, "config": config.to_json(), "indexed_at": at(hours * 3600)}
        writer.finish_videos(rows("videos", video(name, 0, 600) | seen))

    for name, task, hours, max_gap_s in (
        ("v1", "b", 1, 1),
        ("v2", "b", 3, 3),
        ("v3", "b", 2, 2),
        ("v4", "a", 1, 4),
    ):
        indexed(name, task, hours, max_gap_s)
    stored = stored_configs(writer.store.root)
    assert [(config.task.name, config.stitch.max_gap_s) for config in stored] == [
        ("a", 4), ("b", 3), (TASK, CONFIG.stitch.max_gap_s),
    ]  # fmt: skip


STOLEN = {
    "kind": "openai",
    "model": "m",
    "base_url": "http://127.0.0.1:9/v1",
    "api_key_env": "HOME",
}


@pytest.mark.parametrize(
    "engine", [STOLEN, {"kind": "vllm", "model": "/x", "args": {"trust_remote_code": True}}]
)
def test_an_index_never_says_where_to_connect_or_what_to_load(cli, writer, engine):
    foreign = json.loads(CONFIG.to_json()) | {
        "engine": engine,
        "embedding": {"base_url": "http://127.0.0.1:9/v1", "model": "e"},
        "speech": STOLEN | {"kind": "openai_speech"},
        "gate": {"kind": "motion", "objects": {"model": "/x"}},
        "sources": {"locations": ["http://127.0.0.1:9/list.txt"]},
        "index": "http://127.0.0.1:9/",
    }
    seen = {"task": TASK, "config": json.dumps(foreign), "indexed_at": at(99 * 3600)}
    writer.finish_videos(rows("videos", video("foreign", 0, 60) | seen))
    cli.run("summarize", "--index", writer.store.root, code=2)
    assert "give your own --config" in cli.err
    [used] = stored_configs(writer.store.root, ["engine.kind=signals"])
    assert used.task == CONFIG.task
    assert "127.0.0.1" not in used.to_json()
    assert "trust_remote_code" not in used.to_json()


def test_summarize_does_not_create_an_index(tmp_path):
    with pytest.raises(IndexFormatError):
        summarize_index(str(tmp_path / "none"), CONFIG)
    assert not (tmp_path / "none").exists()


def test_the_command_summarizes_and_counts_extractive_summaries(cli, writer):
    root = writer.store.root
    figures = json.loads(cli.run("summarize", "--index", root, "--json"))
    assert figures["task"] == TASK
    assert figures["summaries"] == {"chapter": 4, "video": 3, "day": 2}
    assert figures["extractive"] == 9
    shown = cli.rows("query", "--index", root, "--table", "summaries", "--text", "9:01:40")
    assert [row["level"] for row in shown] == ["day"]
