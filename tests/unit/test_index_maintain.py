"""Compaction and vacuum: the same rows in fewer files, whoever reads and writes meanwhile."""

from datetime import timedelta

import pytest

import pipeline.index as pi
from pipeline.index import maintain
from tests.index_rows import ids, rows, window


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
    assert maintain.compact(writer.store) == 0  # too young
    assert maintain.compact(writer.store, settled=timedelta(0)) == 1
    assert writer.index.windows() == before
    (path,) = writer.index.files("windows")
    stored = pi.open(writer.store.root).sql("SELECT camera, start FROM windows").to_pylist()
    assert stored == sorted(stored, key=lambda row: (row["camera"], row["start"]))
    assert maintain.vacuum(writer.store, retention_hours=0) == 4
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
    maintain.compact(writer.store, settled=timedelta(0))
    monkeypatch.undo()
    assert not meanwhile
    assert ids(writer.index.windows(), "window_id") == ["new-0", "s0-0", "s1-7", "s2-0"]
