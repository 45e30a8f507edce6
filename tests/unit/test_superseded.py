"""A file whose time lies inside that of another: several runs, new settings, corrections."""

import json
import os
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from pipeline.cli.index import _summary
from pipeline.config import load_config
from pipeline.flow.driver import archive as driver
from pipeline.flow.driver.report import Report
from pipeline.index import Writer, open_index
from pipeline.index.erase import erase
from pipeline.index.erased_state import erased_ranges, erased_videos
from pipeline.index.scope import Scope
from pipeline.sources import list_sources
from pipeline.tables.schema import VIDEOS
from tests.hard import without_ray
from tests.index_rows import at, rows, video
from tests.videos import make_video

LONG, INSIDE = "cam1_20260301T080000Z.mp4", "cam1_20260301T080020Z.mp4"


@pytest.fixture
def archive(tmp_path):
    """60 s of a camera, and a second file with 20 s from the twentieth second on."""
    folder = tmp_path / "archive"
    folder.mkdir()
    make_video(folder / LONG, num_frames=120, rate=2, gop=2, bframes=0)
    make_video(folder / INSIDE, num_frames=40, rate=2, gop=2, bframes=0)
    return folder


@pytest.fixture
def index(tmp_path, archive):
    """Runs the job as the command does, in this process."""

    def run(*overrides, **more) -> Report:
        config = load_config(None, overrides)
        return driver.index_archive(
            list_sources([str(archive)], config.sources), config, run.uri,
            on_progress=lambda _report: None, **more,
        )  # fmt: skip

    run.uri = str(tmp_path / "index")
    with mock.patch.multiple(
        driver, running_ray=mock.DEFAULT, probe_graph=mock.DEFAULT, answer_graph=mock.DEFAULT
    ):
        without_ray.leave_out_ray()
        yield run


def statuses(index) -> dict[str, str]:
    rows = open_index(index.uri).videos().to_pylist()
    return {os.path.basename(row["uri"]): row["status"] for row in rows}


def covered(index) -> list[tuple[float, float, str]]:
    return [
        ((row["start"] - at(0)).total_seconds(), (row["end"] - at(0)).total_seconds(), row["state"])
        for row in open_index(index.uri).coverage().to_pylist()
    ]


def test_a_superseded_file_takes_no_time_from_the_other_file_under_new_settings(index):
    first = index()
    assert (first.videos_done, first.videos_superseded, first.failures) == (1, 1, [])
    assert statuses(index) == {LONG: "done", INSIDE: "superseded"}
    before = covered(index)
    assert {state for _, _, state in before} == {"analysed"}
    then = index("sample.fps=1")
    assert (then.videos_done, then.videos_superseded) == (1, 1)
    assert statuses(index) == {LONG: "done", INSIDE: "superseded"}
    assert covered(index) == before


def test_a_superseded_file_is_skipped_as_long_as_nothing_changes(index):
    index()
    again = index()
    assert (again.videos_skipped, again.videos_superseded) == (2, 0)


def test_a_superseded_file_with_a_corrected_name_is_indexed_at_its_time(index, archive):
    index()
    (archive / INSIDE).rename(archive / "cam1_20260301T080100Z.mp4")
    moved = index()
    assert (moved.videos_done, moved.videos_skipped) == (1, 1)
    assert [(start, end) for start, end, _ in covered(index)] == [(0, 80)]
    assert statuses(index)["cam1_20260301T080100Z.mp4"] == "done"


def test_a_superseded_file_with_a_corrected_sidecar_is_indexed_at_its_time(index, archive):
    (archive / INSIDE).rename(archive / "inside.mp4")

    def state_start(start):
        (archive / "inside.json").write_text(json.dumps({"camera": "cam1", "start": start}))

    state_start("2026-03-01T08:00:20Z")
    assert index().videos_superseded == 1
    state_start("2026-03-01T08:01:00Z")
    assert index().videos_done == 1
    assert statuses(index) == {LONG: "done", "inside.mp4": "done"}
    assert [(start, end) for start, end, _ in covered(index)] == [(0, 80)]


def test_the_report_and_the_terminal_count_superseded_files(index):
    report = index()
    counts = {"done": 1, "skipped": 0, "superseded": 1, "waiting": 0, "failed": 0}
    assert report.to_json()["videos"] == counts
    line = "videos: 1 done, 0 skipped, 1 superseded, 0 failed, 20.0 s yielded; "
    assert _summary(report).startswith(line)


def test_the_report_and_the_terminal_say_how_much_was_left_out_as_too_old(index):
    report = index('retention_days={"*": 1}')
    assert report.to_json()["erased_hours"] == pytest.approx(60 / 3600, abs=1e-6)
    assert "60.0 s left out as erased or too old to keep" in _summary(report)
    assert {state for _, _, state in covered(index)} == {"erased"}


def test_include_erased_restores_time_that_older_versions_took_from_the_good_file(index, archive):
    index()
    erase(Writer(index.uri).store, Scope.parse(video=str(archive / LONG), start=at(20), end=at(40)))
    assert "erased" in {state for _, _, state in covered(index)}
    index(include_erased=True)
    assert {state for _, _, state in covered(index)} == {"analysed"}
    assert statuses(index) == {LONG: "done", INSIDE: "superseded"}


def test_a_log_line_names_the_superseded_file_and_the_owners_of_its_time(index):
    with capture_logs() as logs:
        index()
    [entry] = [entry for entry in logs if entry["event"] == "superseded"]
    assert (Path(entry["uri"]).name, [Path(uri).name for uri in entry["by"]]) == (INSIDE, [LONG])


def test_erasing_a_superseded_file_is_an_erase_order(index, archive):
    index()
    erase(Writer(index.uri).store, Scope.parse(video=str(archive / INSIDE)))
    assert statuses(index)[INSIDE] == "erased"
    assert erased_videos(open_index(index.uri)).num_rows == 1
    index("sample.fps=1")  # what the other file shows of that time is not erased, nor is it later
    assert [(start, end, state) for start, end, state in covered(index)] == [(0, 60, "analysed")]


def test_rows_that_older_versions_marked_erased_by_mistake_are_not_erase_orders(tmp_path):
    writer = Writer(tmp_path)
    inside = {"status": "erased", "footage": [], "overlap_s": 20.0, "num_bytes": 9}
    mistaken = video("inside", 20, 40, **inside, config="{}")
    ordered = video("superseded and then erased", 60, 80, **inside)
    whole = video("whole", 100, 120, status="erased", config="{}")
    own = {"footage": [{"start": at(140), "end": at(145)}], "overlap_s": 15.0}
    rest = video("others show the rest", 140, 160, status="erased", config="{}", **own)
    parts = [{"start": at(180), "end": at(185)}, {"start": at(190), "end": at(200)}]
    gap = video("with a gap", 180, 200, status="erased", config="{}", footage=parts)
    writer.finish_videos(rows("videos", mistaken, ordered, whole, rest, gap))
    assert set(erased_videos(writer.index)["video_id"].to_pylist()) == {
        "superseded and then erased",
        "whole",
        "with a gap",
    }
    ranges = erased_ranges(writer.index, ["cam1"], at(0), at(200))
    assert ranges == {
        "cam1": [
            (at(100), at(120), "whole"),
            (at(180), at(185), "with a gap"),
            (at(190), at(200), "with a gap"),
        ]
    }


def test_the_next_run_corrects_a_mistaken_row_of_an_older_version(index):
    index()
    writer = Writer(index.uri)
    videos = open_index(index.uri).videos().to_pylist()
    [mistaken] = [
        row | {"status": "erased", "erased": None}
        for row in videos
        if row["status"] == "superseded"
    ]
    writer.finish_videos(pa.Table.from_pylist([mistaken], schema=VIDEOS))
    assert statuses(index)[INSIDE] == "erased"
    then = index()
    assert (then.videos_skipped, then.videos_superseded) == (1, 1)
    assert statuses(index) == {LONG: "done", INSIDE: "superseded"}
    assert {state for _, _, state in covered(index)} == {"analysed"}


def test_the_file_with_more_pixels_owns_the_overlap_and_the_other_owns_the_rest(index, archive):
    make_video(archive / INSIDE, num_frames=40, rate=2, gop=2, bframes=0, width=320, height=192)
    index()
    owned = {
        os.path.basename(row["uri"]): [
            ((span["start"] - at(0)).total_seconds(), (span["end"] - at(0)).total_seconds())
            for span in row["footage"]
        ]
        for row in open_index(index.uri).videos().to_pylist()
    }
    assert owned == {LONG: [(0, 20), (40, 60)], INSIDE: [(20, 40)]}


def test_files_that_all_state_the_start_of_the_first_take_no_time_from_it(index, archive):
    for number, name in enumerate(("b", "a", "c")):
        (archive / "chapters").mkdir(exist_ok=True)
        path = archive / "chapters" / f"{name}.mp4"
        make_video(path, num_frames=16, rate=2, gop=2 + number, bframes=0)
        sidecar = {"camera": "cam2", "start": "2026-03-01T08:00:00Z"}
        path.with_suffix(".json").write_text(json.dumps(sidecar))
    for overrides in ((), ("sample.fps=1",)):
        index(*overrides)
        by_name = statuses(index)
        assert [by_name[f"{name}.mp4"] for name in "abc"] == ["done", "superseded", "superseded"]
        states = open_index(index.uri).coverage(camera="cam2")["state"].to_pylist()
        assert states == ["analysed"]
