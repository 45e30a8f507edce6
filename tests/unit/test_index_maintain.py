"""Compaction and vacuum: the same rows in fewer files, whoever reads and writes meanwhile."""

import secrets
from datetime import timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest

import pipeline.index as pi
from pipeline.index import maintain, replace
from pipeline.tables.schema import TABLES
from tests.index_rows import ids, rows, window

NOTHING = dict.fromkeys(TABLES, 0)


@pytest.fixture
def writer(tmp_path):
    return pi.Writer(tmp_path)


def test_compaction_keeps_rows_and_sorts_them_and_vacuum_removes_what_is_left(writer):
    for n in range(4):
        writer.write_windows(
            rows("windows", *(window(f"s{n}", i, i, i + 1, camera=f"cam{i % 3}") for i in range(9)))
        )
    before = writer.index.windows()
    assert len(writer.index.files("windows")) == 4
    assert sum(maintain.compact(writer.store).values()) == 0  # too young
    assert maintain.compact(writer.store, min_age=timedelta(0)) == NOTHING | {"windows": 1}
    assert maintain.compact(writer.store, min_age=timedelta(0)) == NOTHING
    assert writer.index.windows() == before
    (path,) = writer.index.files("windows")
    stored = pi.open(writer.store.root).sql("SELECT camera, start FROM windows").to_pylist()
    assert stored == sorted(stored, key=lambda row: (row["camera"], row["start"]))
    assert maintain.vacuum(writer.store) == NOTHING  # a reader may still want them
    assert maintain.vacuum(writer.store, retention=timedelta(0)) == NOTHING | {"windows": 4}
    assert writer.index.windows() == before
    assert writer.index.files("windows") == [path]


def test_compaction_never_drops_or_revives_rows_written_meanwhile(writer, monkeypatch):
    for n in range(3):
        writer.write_windows(rows("windows", window(f"s{n}", 0, n, n + 1)))
    fetch = maintain.duck.fetch
    meanwhile = [
        rows("windows", window("s1", 7, 1, 2)),
        rows("windows", window("new", 0, 50, 51)),
    ]

    def slow(*args):
        found = fetch(*args)
        if meanwhile:
            pi.Writer(writer.store.root).write_windows(meanwhile.pop())
        return found

    monkeypatch.setattr(maintain.duck, "fetch", slow)
    maintain.compact(writer.store, min_age=timedelta(0))
    monkeypatch.undo()
    assert not meanwhile
    assert ids(writer.index.windows(), "window_id") == ["new-0", "s0-0", "s1-7", "s2-0"]


def test_a_date_of_several_full_files_is_rewritten_once_and_again_after_new_rows(
    writer, monkeypatch
):
    # A file ends with a row group, and a batch of the library's: some thousand rows are needed.
    monkeypatch.setitem(replace._ROW_GROUP, "windows", 500)
    num_rows = 7000
    table = rows(
        "windows",
        *(
            window(f"s{i % 2}", i, i, i + 1, camera=f"cam{i % 7}", completion=secrets.token_hex(50))
            for i in range(num_rows)
        ),
    )
    for shard in ("s0", "s1"):
        writer.write_windows(table.filter(pc.field("shard_id") == shard))
    small = {"min_age": timedelta(0), "target_file_bytes": 100_000}
    assert maintain.compact(writer.store, **small)["windows"] == 1
    assert len(writer.index.files("windows")) > 1
    assert maintain.compact(writer.store, **small)["windows"] == 0
    for camera in range(7):
        assert writer.index.windows(camera=f"cam{camera}").num_rows == num_rows / 7
        assert len(writer.index.files("windows", camera=f"cam{camera}")) <= 3
    writer.write_windows(rows("windows", window("later", 0, 80, 81, camera="cam3")))
    assert maintain.compact(writer.store, **small)["windows"] == 1
    assert writer.index.windows().num_rows == num_rows + 1


def test_vacuum_shortens_the_log_and_readers_that_are_behind_go_on(writer):
    behind = pi.open(writer.store.root)
    assert behind.windows().num_rows == 0
    for n in range(6):
        writer.write_windows(rows("windows", window(f"s{n}", 0, n, n + 1)))
    log = Path(writer.store.table_uri("windows")) / "_delta_log"
    maintain.vacuum(writer.store)
    assert len(list(log.glob("*.json"))) > 6
    maintain.vacuum(writer.store, retention=timedelta(0))
    assert len(list(log.glob("*.json"))) == 1
    assert behind.windows().num_rows == 6
    writer.write_windows(rows("windows", window("s9", 0, 9, 10)))
    assert pi.open(writer.store.root).windows().num_rows == 7
    assert behind.windows().num_rows == 7
