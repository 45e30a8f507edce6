"""Which rows erasing removes and which stay; after vacuum no byte of removed rows is left."""

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import pipeline.index as pi
from pipeline.index.erase import erase, erase_older, would_erase
from pipeline.index.filters import Where
from pipeline.index.maintain import compact, vacuum
from pipeline.index.replace import replace
from pipeline.index.scope import Scope
from pipeline.index.validate import conform
from tests.index_rows import T0, at, event, ids, rows, segment, utterance, video, window

UMBRELLA = "a person with a red umbrella"


def part(video_id, start, end):
    media = {"media_start": float(start), "media_end": float(end)}
    uri = f"{video_id}.mp4"
    return {"video_id": video_id, "uri": uri, "start": at(start), "end": at(end), **media}


def one(event_id, video_id, start, end, **given):
    mine = {"video_id": video_id, "parts": [part(video_id, start, end)], **given}
    return event(event_id, at(start), at(end), **mine)


@pytest.fixture
def writer(tmp_path):
    """v1 and v2 follow each other on cam1, one event runs through both; v3 is on cam2."""
    writer = pi.Writer(tmp_path / "index")
    for name, start, camera in (("v1", 0, "cam1"), ("v2", 600, "cam1"), ("v3", 0, "cam2")):
        mine = {"video_id": name, "uri": f"{name}.mp4", "camera": camera}
        writer.write_windows(
            rows(
                "windows",
                *(
                    window(name, i, start + 100 * i, start + 100 * (i + 1), **mine)
                    | {"completion": f"{UMBRELLA} {name}-{i}"}
                    for i in range(6)
                ),
            )
        )
    through = {
        "video_id": "v1",
        "text": UMBRELLA,
        "parts": [part("v1", 590, 600), part("v2", 600, 620)],
        "boxes": [{"at": at(s), "x0": 0.0, "y0": 0.0, "x1": 1.0, "y1": 1.0} for s in (595, 610)],
    }
    writer.finish_videos(
        rows(
            "videos",
            video("v1", 0, 600, num_windows_analysed=6),
            video("v2", 600, 1200, num_windows_analysed=6),
            video("v3", 0, 600, camera="cam2", num_windows_analysed=6),
        ),
        rows(
            "events",
            one("early", "v1", 10, 20, text=UMBRELLA),
            one("late", "v1", 250, 260, text=UMBRELLA),
            event("through", at(590), at(620), **through),
            one("sequel", "v2", 700, 710, text=UMBRELLA),
            one("other", "v3", 10, 20, camera="cam2"),
        ),
        rows(
            "segments",
            segment("s1", text=UMBRELLA),
            segment("s2", text=UMBRELLA, video_id="v2", start=at(600), end=at(1200)),
            segment("s3", video_id="v3", camera="cam2"),
        ),
        rows(
            "utterances",
            utterance("u1", 10, 20, text=UMBRELLA),
            utterance("u2", 250, 252, text=UMBRELLA, words=[SAID]),
            utterance("u3", 10, 20, video_id="v3", camera="cam2"),
        ),
    )
    return writer


SAID = {"start": at(250), "end": at(251), "text": UMBRELLA, "probability": 0.9}


def left(writer, table, column):
    return ids(pi.open(writer.store.root).rows(table), column)


def everything_stored(folder: Path) -> str:
    """All bytes and all values of Parquet files, which hide their texts from a plain search."""
    contents = []
    for path in folder.rglob("*"):
        if path.is_file():
            contents.append(path.read_bytes().decode("latin-1"))
            if path.suffix == ".parquet":
                contents.append(str(pq.read_table(path, partitioning=None).to_pylist()))
    return "\n".join(contents)


def erased_rows(receipt):
    """Rows by table, where there are any."""
    return {name: count for name, count in receipt["rows"].items() if count}


def test_a_camera_is_gone_from_every_table_and_after_vacuum_from_every_byte(writer, tmp_path):
    assert UMBRELLA in everything_stored(tmp_path)
    receipt = erase(writer.store, Scope.parse(camera="cam1"))
    assert erased_rows(receipt) == {
        "videos": 2, "windows": 12, "events": 4, "segments": 2, "utterances": 2,
    }  # fmt: skip
    assert [entry["video_id"] for entry in receipt["videos"]] == ["v1", "v2"]
    assert left(writer, "events", "event_id") == ["other"]
    assert left(writer, "segments", "segment_id") == ["s3"]
    assert left(writer, "utterances", "utterance_id") == ["u3"]
    assert left(writer, "windows", "window_id") == [f"v3-{i}" for i in range(6)]
    videos = pi.open(writer.store.root).videos(camera="cam1").to_pylist()
    assert [(row["uri"], row["status"]) for row in videos] == [
        ("v1.mp4", "erased"), ("v2.mp4", "erased"),
    ]  # fmt: skip
    vacuum(writer.store, retention=timedelta(0))
    stored = everything_stored(tmp_path)
    assert f"{UMBRELLA} v3-0" in stored
    for gone in (f"{UMBRELLA} v1", f"{UMBRELLA} v2", "early", "through", "sequel"):
        assert gone not in stored
    assert left(writer, "events", "event_id") == ["other"]


def test_coverage_says_erased_and_not_that_nothing_was_seen(writer):
    erase(writer.store, Scope.parse(video="v1.mp4"))
    erase(writer.store, Scope.parse(camera="cam2", start=at(150), end=at(250)))
    found = pi.open(writer.store.root).coverage().to_pylist()
    seen = [
        (
            row["camera"],
            *(int((row[c] - T0).total_seconds()) for c in ("start", "end")),
            row["state"],
        )
        for row in found
    ]
    assert seen == [
        ("cam1", 0, 600, "erased"),
        ("cam1", 600, 1200, "analysed"),
        ("cam2", 0, 100, "analysed"),
        ("cam2", 100, 300, "erased"),  # windows go as a whole
        ("cam2", 300, 600, "analysed"),
    ]


def test_a_range_erases_rows_that_overlap_it_and_not_rows_that_touch_it(writer):
    receipt = erase(writer.store, Scope.parse(camera="cam*", start=at(20), end=at(250)))
    assert erased_rows(receipt) == {"windows": 6, "segments": 2}
    assert left(writer, "events", "event_id") == ["early", "late", "other", "sequel", "through"]
    windows = pi.open(writer.store.root).windows().to_pylist()
    blank = [row for row in windows if row["status"] == "erased"]
    assert sorted(row["window_id"] for row in blank) == [
        f"{v}-{i}" for v in ("v1", "v3") for i in range(3)
    ]
    assert {row["completion"] for row in blank} == {""}
    counts = pi.open(writer.store.root).videos(camera="cam1").to_pylist()
    assert [row["num_windows_analysed"] for row in counts] == [3, 6]
    assert counts[0]["num_events"] == 3
    assert [row["status"] for row in counts] == ["done", "done"]


def test_an_event_ends_before_the_later_file_that_is_erased(writer):
    receipt = erase(writer.store, Scope.parse(video="v2"))
    assert receipt["events_cut"] == 1
    [cut] = [r for r in writer.index.events().to_pylist() if r["event_id"] == "through"]
    assert (cut["start"], cut["end"]) == (at(590), at(600))
    assert [p["video_id"] for p in cut["parts"]] == ["v1"]
    assert [box["at"] for box in cut["boxes"]] == [at(595)]
    # What its text was made from was the first file: with that it goes as a whole.
    erase(writer.store, Scope.parse(video="v1"))
    assert left(writer, "events", "event_id") == ["other"]


def test_videos_cameras_and_range_must_all_hold(writer):
    scope = Scope.parse(video="v*.mp4", camera="cam2", start=at(0), end=at(100))
    assert would_erase(writer.store, scope)["rows"]["windows"] == 1
    assert left(writer, "events", "event_id") == ["early", "late", "other", "sequel", "through"]
    erase(writer.store, scope)
    assert left(writer, "events", "event_id") == ["early", "late", "sequel", "through"]


def test_rows_made_from_erased_rows_are_removed_too(writer):
    def summary(name, camera, video_id, start, end):
        text = {"video_id": video_id, "text": UMBRELLA, "title": UMBRELLA}
        level = "video" if video_id else "day"
        return {
            "summary_id": name, "level": level, "camera": camera,
            "start": at(start), "end": at(end), **text,
        }  # fmt: skip

    summaries = (
        summary("of v1", "cam1", "v1", 0, 600),
        summary("of v2", "cam1", "v2", 600, 1200),
        summary("day 1", "cam1", "", 0, 1200),
        summary("day 2", "cam2", "", 0, 600),
    )
    writer.write_summaries(rows("summaries", *summaries), [T0.date()])
    vectors = (
        {"vector_id": name, "video_id": name, "vector": b"00", "start": at(0), "end": at(600)}
        for name in ("v1", "v3")
    )
    writer.store.create_table("vectors")
    replace(writer.store, "vectors", conform("vectors", rows("vectors", *vectors)), "true")
    receipt = erase(writer.store, Scope.parse(video="v1"))
    assert (receipt["rows"]["summaries"], receipt["rows"]["vectors"]) == (2, 1)
    assert left(writer, "summaries", "summary_id") == ["day 2", "of v2"]
    assert left(writer, "vectors", "vector_id") == ["v3"]


def test_windows_of_a_job_that_was_killed_are_erased_too(writer):
    unfinished = window("v9", 0, 0, 100, video_id="v9", camera="cam9", completion=UMBRELLA)
    writer.write_windows(rows("windows", unfinished))
    erase(writer.store, Scope.parse(camera="cam9"))
    [row] = writer.index.windows(camera="cam9").to_pylist()
    assert (row["status"], row["completion"]) == ("erased", "")


def test_erased_marks_stay_until_they_are_cleared(writer):
    erase(writer.store, Scope.parse(video="v1"))
    erase(writer.store, Scope.parse(camera="cam1", start=at(650), end=at(660)))
    index = pi.open(writer.store.root)
    assert ids(pi.erased_videos(index), "video_id") == ["v1"]
    assert pi.partly_erased_ids(index) == {"v2"}
    known = pi.erased_ranges(index, ["cam1", "cam2"], at(0), at(1200))
    assert known == {"cam1": [(at(0), at(600), "v1"), (at(600), at(700), "v2")]}
    assert pi.erased_ranges(index, ["cam1"], at(700), at(1200)) == {}
    pi.clear_erased(writer.store, "cam1", at(0), at(600))
    assert pi.erased_ranges(index, ["cam1"], at(0), at(1200)) == {
        "cam1": [(at(600), at(700), "v2")]
    }


def test_retention_erases_by_age_and_by_the_first_glob_that_matches(writer):
    keep = {"cam2": None, "cam*": 1.0}.get
    now = at(86_400 + 700)
    receipts = erase_older(writer.store, lambda camera: keep(camera, keep("cam*")), now=now)
    assert [receipt["cameras"] for receipt in receipts] == [["cam1"]]
    assert left(writer, "events", "event_id") == ["other", "sequel"]
    windows = writer.index.windows(camera="cam1").to_pylist()
    assert [row["status"] for row in windows] == ["erased"] + ["analysed"] * 5
    num_orders = writer.index.select_all("erasures", Where(), order="").num_rows
    again = erase_older(writer.store, {"cam1": 1.0}.get, now=now)
    assert [receipt["rows"]["windows"] for receipt in again] == [0]
    # A night on which nothing has become too old leaves no order.
    assert writer.index.select_all("erasures", Where(), order="").num_rows == num_orders


def test_compaction_after_erasing_keeps_it_erased(writer):
    erase(writer.store, Scope.parse(video="v1"))
    compact(writer.store, min_age=timedelta(0))
    assert left(writer, "events", "event_id") == ["other", "sequel"]


def test_the_command_reports_that_it_erased_nothing(writer, cli):
    writer.finish_videos(rows("videos", video("v1")))
    for name, is_there in (("v1.mp", False), ("*1.mp4", True)):
        receipt = cli.json("erase", "--index", writer.store.root, "--video", name)
        assert len(receipt["videos"]) == is_there
        assert ("nothing matches" in cli.err) != is_there


@pytest.fixture
def bracketed(writer):
    """Recorders of one make write names such as these."""
    for camera, uri in (("gate[1]", "/gate[1]/a.mp4"), ("gate1", "/gate1/a.mp4")):
        writer.finish_videos(
            rows("videos", video(f"of {camera}", 0, 600, camera=camera, uri=uri)),
            rows("events", event(camera, at(1), at(2), camera=camera, video_id=f"of {camera}")),
        )
    return writer


@pytest.mark.parametrize("name", ["gate[1]", "gate1"])
def test_a_camera_that_exists_is_that_camera_and_no_other(bracketed, name):
    index = bracketed.index
    assert index.events(camera=name)["event_id"].to_pylist() == [name]
    assert set(index.coverage(at(0), at(600), camera=name)["camera"].to_pylist()) == {name}
    erase(bracketed.store, Scope.parse(camera=name))
    assert name not in index.events()["camera"].to_pylist()
    assert index.events(camera={"gate[1]": "gate1", "gate1": "gate[1]"}[name]).num_rows == 1


def test_retention_of_a_camera_that_exists_is_of_that_camera_and_no_other(bracketed, cli, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text('retention_days: {"gate[1]": 1}')
    receipt = cli.json("maintain", "--index", bracketed.store.root, "--config", config)
    assert [(entry["keep_days"], entry["cameras"]) for entry in receipt["erased"]] == [
        (1, ["gate[1]"])
    ]
    assert bracketed.index.events(camera=["gate[1]", "gate1"])["camera"].to_pylist() == ["gate1"]


def test_a_name_that_no_camera_has_is_a_glob(bracketed):
    found = bracketed.index.events(camera=["gate[[]1]", "gate[0-9]"])
    assert set(found["camera"].to_pylist()) >= {"gate[1]", "gate1"}


@pytest.mark.parametrize("name", ["/gate[1]/a.mp4", "/gate1/a.mp4"])
def test_a_file_that_exists_is_that_file_and_no_other(bracketed, name):
    receipt = erase(bracketed.store, Scope.parse(video=name))
    assert [entry["uri"] for entry in receipt["videos"]] == [name]


def test_erasing_rows_of_one_fingerprint_leaves_those_of_another(tmp_path):
    writer = pi.Writer(tmp_path)
    # The same event of the first file for both; under f2 it goes on in the second.
    parts = [part("v1", 590, 600), part("v2", 600, 620)]
    writer.finish_videos(
        rows("videos", video("v1", 0, 600)), rows("events", event("e", at(590), at(600)))
    )
    writer.finish_videos(
        rows(
            "videos",
            video("v1", 0, 600, fingerprint="f2"),
            video("v2", 600, 1200, fingerprint="f2"),
        ),
        rows("events", event("e", at(590), at(620), parts=parts, fingerprint="f2")),
        keep=True,
    )
    erase(writer.store, Scope.parse(start=at(610), end=at(620)))
    events = writer.index.select_all("events", Where()).to_pylist()
    assert {row["fingerprint"]: row["end"] for row in events} == {"f1": at(600), "f2": at(600)}


@pytest.mark.parametrize("named", ["old.mp4", "old", "ol*.mp4"])
def test_a_named_video_takes_its_copies_at_other_times_with_it(tmp_path, named):
    """As after a renaming: the index still has the rows of the first name."""
    writer = pi.Writer(tmp_path / "index")
    writer.finish_videos(
        rows(
            "videos",
            video("old", 0, 10, content_id="c"),
            video("new", 50, 60, content_id="c"),
            video("other", 100, 110, content_id="d"),
            video("elsewhere", 0, 10, content_id="c", camera="cam2"),
        ),
        rows("events", *(one(f"e-{n}", n, s, s + 1) for n, s in (("new", 51), ("other", 101)))),
    )
    receipt = erase(writer.store, Scope.parse(video=named))
    assert receipt["rows"]["videos"] == 2
    status = {row["uri"]: row["status"] for row in writer.index.videos().to_pylist()}
    assert status == {
        "old.mp4": "erased", "new.mp4": "erased", "other.mp4": "done", "elsewhere.mp4": "done",
    }  # fmt: skip
    assert ids(writer.index.events(), "event_id") == ["e-other"]


def test_a_time_of_a_named_video_is_erased_in_that_video_alone(tmp_path):
    writer = pi.Writer(tmp_path / "index")
    videos = (video(n, s, s + 10, content_id="c") for n, s in (("old", 0), ("new", 50)))
    writer.finish_videos(rows("videos", *videos))
    assert (
        would_erase(writer.store, Scope.parse("old.mp4", start=at(0), end=at(70)))["rows"]["videos"]
        == 1
    )
