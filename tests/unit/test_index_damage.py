"""A damaged index never reads as an empty one: readers and writers name the fault."""

import os
import shutil
from pathlib import Path

import pytest
from deltalake import DeltaTable

import pipeline.index as pi
from pipeline import cli
from pipeline.errors import EXIT_DAMAGED, IndexDamagedError
from pipeline.index import maintain
from pipeline.index.check import check
from pipeline.index.erase import erase
from pipeline.index.scope import Scope
from pipeline.index.store import Store
from tests.damage import DAMAGE, cut_in_two, empty, entries
from tests.golden import make
from tests.index_rows import at, event, rows, segment, video, window

TABLES = ("videos", "windows", "events", "segments")


def fill(folder: Path, *numbers: int) -> None:
    writer = pi.Writer(folder)
    for n in numbers:
        made = {"video_id": f"v{n}", "uri": f"v{n}.mp4"}
        start, end = 600 * n, 600 * n + 600
        writer.write_windows(rows("windows", window(f"s{n}", 0, start, end, **made)))
        writer.finish_videos(
            rows("videos", video(f"v{n}", start, end)),
            rows("events", event(f"e{n}", at(start), at(start + 5), video_id=f"v{n}")),
            rows("segments", segment(f"g{n}", video_id=f"v{n}")),
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "index"
    fill(folder, 0, 1, 2)
    return folder


@pytest.fixture
def index(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "index")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", DAMAGE)
def test_every_reader_and_writer_names_the_damage(index, kind, table, capsys):
    DAMAGE[kind](index, table)
    with pytest.raises(IndexDamagedError, match=f"{table}.*timereel check --index"):
        pi.open(index).rows(table)
    with pytest.raises(IndexDamagedError, match=table):
        pi.open(index).sql(f"SELECT count(DISTINCT task) FROM {table}")  # noqa: S608
    with pytest.raises(IndexDamagedError, match=table):
        fill(index, 0, 1, 2)
    with pytest.raises(SystemExit) as ended:
        cli.main(["query", "--index", str(index), "--table", table])
    assert ended.value.code == EXIT_DAMAGED
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: index at")


@pytest.mark.parametrize("kind", DAMAGE)
def test_coverage_erase_and_compaction_name_the_damage_too(index, kind):
    DAMAGE[kind](index, "windows")
    works = (
        lambda: pi.open(index).coverage(),
        lambda: erase(Store.at(index), Scope.parse(None, ["cam1"], None, None)),
    )
    for work in works:
        with pytest.raises(IndexDamagedError, match="windows"):
            work()
    if not kind.startswith("file"):
        with pytest.raises(IndexDamagedError, match="windows"):
            maintain.vacuum(Store.at(index))


def test_a_reader_that_is_open_sees_an_entry_that_is_empty(index):
    held = pi.open(index)
    assert held.events().num_rows == 3
    newest = entries(index, "events")[-1]
    empty(newest.with_name(f"{int(newest.stem) + 1:020}.json"))
    with pytest.raises(IndexDamagedError, match="events: log entry 4 is empty"):
        held.events()


def test_a_checkpoint_that_is_cut_is_named(index):
    DeltaTable(index / "events").create_checkpoint()
    [checkpoint] = (index / "events" / "_delta_log").glob("*.checkpoint.parquet")
    cut_in_two(checkpoint)
    with pytest.raises(IndexDamagedError, match="events: checkpoint 3 cannot be read"):
        pi.open(index).events()


@pytest.mark.parametrize("missing", [[4], [4, 5], [5], [0, 1, 2, 3, 4]])
def test_an_entry_that_is_missing_after_a_checkpoint_is_named(index, missing):
    DeltaTable(index / "events").create_checkpoint()
    fill(index, 3, 4, 5)
    for version in missing:
        entries(index, "events")[0].with_name(f"{version:020}.json").unlink()
    first = f"log entry {5 if missing == [5] else 4} is missing"
    with pytest.raises(IndexDamagedError, match=f"events: {first}"):
        pi.open(index).events()
    assert any(first in finding.what for finding in check(Store.at(index)))


def test_a_reader_that_is_open_misses_the_newest_entry_when_it_is_gone(index):
    held = pi.open(index)
    assert held.events().num_rows == 3
    entries(index, "events")[-1].unlink()
    for _ in range(2):
        with pytest.raises(IndexDamagedError, match="events: log entry 3 is missing"):
            held.events()


def test_a_reader_that_is_open_reads_an_index_that_was_made_anew_in_its_place(index):
    held = pi.open(index)
    assert held.events().num_rows == 3
    shutil.rmtree(index)
    fill(index, 0)
    assert held.events().num_rows == 1


def test_a_shortened_log_is_not_damaged(index):
    maintain.vacuum(Store.at(index), retention=maintain.timedelta(0))
    assert len(entries(index, "events")) < 4
    assert pi.open(index).events().num_rows == 3


def test_a_table_that_an_older_index_never_had_reads_as_empty(tmp_path):
    index = shutil.copytree(make.FOLDER, tmp_path / "index")
    shutil.rmtree(index / "summaries")
    assert pi.open(index).summaries().num_rows == 0


def test_a_table_that_was_added_to_an_older_index_is_missed_from_then_on(tmp_path):
    index = shutil.copytree(make.FOLDER, tmp_path / "index")
    shutil.rmtree(index / "summaries")
    pi.Writer(index)
    shutil.rmtree(index / "summaries")
    with pytest.raises(IndexDamagedError, match="the table summaries is gone"):
        pi.open(index).summaries()
    with pytest.raises(IndexDamagedError, match="the table summaries is gone"):
        pi.Writer(index)


def test_an_index_of_a_killed_first_run_is_completed(tmp_path):
    store = Store.at(tmp_path / "index")
    for name in ("events", "segments"):
        store.create_table(name)
    fill(tmp_path / "index", 0)
    assert pi.open(tmp_path / "index").events().num_rows == 1


def test_a_table_that_two_first_runs_have_made_in_two_commits_is_no_damage(tmp_path):
    store = Store.at(tmp_path / "index")
    store.create_table("events")
    DeltaTable(store.table_uri("events")).alter.set_table_properties(
        {"timereel.twice": "true"}, raise_if_not_exists=False
    )
    fill(tmp_path / "index", 0)
    assert pi.open(tmp_path / "index").events().num_rows == 1


def test_a_commit_is_synced_with_all_that_it_names(tmp_path, monkeypatch):
    synced = set()
    sync = os.fsync

    def noted(opened):
        synced.add(os.readlink(f"/proc/self/fd/{opened}"))
        sync(opened)

    monkeypatch.setattr(os, "fsync", noted)
    index = tmp_path / "an index"
    fill(index, 0, 1)
    maintain.compact(Store.at(index), min_age=maintain.timedelta(0))
    written = {str(path) for path in index.rglob("*")}
    assert written <= synced
