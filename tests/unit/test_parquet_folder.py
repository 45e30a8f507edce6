import json
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError
from pipeline.export.parquet_folder import write_parquet_folder
from pipeline.index import Writer
from pipeline.tables.schema import READ, AskedTable
from tests.conftest import LOBBY
from tests.index_rows import DAY, at, event, rows, video


def table(*values):
    return pa.table({"a": list(values)})


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_second_export_replaces_the_first_completely(tmp_path):
    target = tmp_path / "out"
    write_parquet_folder(
        target, [("events/a.parquet", table(1)), ("events/b.parquet", table(2))], {}
    )
    assert write_parquet_folder(target, [("events/b.parquet", table(3, 4))], {"index": "i"}) == 2
    assert files(target) == ["_timereel_export.json", "events/b.parquet"]
    assert pq.read_table(target / "events")["a"].to_pylist() == [3, 4]
    assert json.loads((target / "_timereel_export.json").read_text())["index"] == "i"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_failed_export_leaves_the_former_one(tmp_path):
    target = tmp_path / "out"
    write_parquet_folder(target, [("a.parquet", table(1))], {})

    def failing():
        yield "a.parquet", table(2)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        write_parquet_folder(target, failing(), {})
    assert pq.read_table(target / "a.parquet")["a"].to_pylist() == [1]
    write_parquet_folder(target, [("a.parquet", table(3))], {})
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["mine.txt", "events/mine.parquet"])
def test_a_folder_with_a_foreign_file_is_refused_and_unchanged(tmp_path, name):
    target = tmp_path / "out"
    write_parquet_folder(target, [("events/a.parquet", table(1))], {})
    (target / name).write_text("mine")
    before = files(target)
    with pytest.raises(ConfigError, match="mine"):
        write_parquet_folder(target, [("events/a.parquet", table(2))], {})
    assert files(target) == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / name.rpartition("/")[2]).write_text("mine")
    with pytest.raises(ConfigError, match="no earlier export wrote"):
        write_parquet_folder(tmp_path / "other", [], {})
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match="not a folder"):
        write_parquet_folder(file, [], {})


def test_a_folder_that_cannot_be_made_is_refused_with_the_reason(cli, tmp_path):
    file = tmp_path / "file"
    file.write_text("no folder")
    with pytest.raises(ConfigError, match=r"cannot be made \(Not a directory\)"):
        write_parquet_folder(file / "out", [], {})
    for out in (file, file / "out"):
        cli.run("frames", LOBBY, "--fps", "0.01", "--out", out, code=2)
        assert f"{out}: cannot be made" in cli.err


def test_export_writes_current_rows_by_table_and_date(cli, tmp_path):
    writer = Writer(tmp_path / "index")
    old = rows("events", event("old", at(0), at(1)))
    new = rows("events", event("a", at(0), at(1)), event("b", at(DAY), at(DAY + 1)))
    for events in (old, new):
        writer.finish_videos(rows("videos", video()), events)
    out = tmp_path / "out"
    export = ("export", "--index", tmp_path / "index", "--format", "parquet")
    cli.run(*export, out)
    assert files(out) == [
        "_timereel_export.json",
        "events/2026-03-01.parquet",
        "events/2026-03-02.parquet",
        "feedback/none.parquet",
        "segments/none.parquet",
        "slides/none.parquet",
        "summaries/none.parquet",
        "tracks/none.parquet",
        "utterances/none.parquet",
        "videos/2026-03-01.parquet",
        "windows/none.parquet",
    ]
    for name in get_args(AskedTable):
        read = pq.ParquetDataset(sorted(map(str, (out / name).glob("*.parquet")))).read()
        assert read.schema.remove_metadata().equals(READ[name])
    assert pq.read_table(out / "events" / "2026-03-02.parquet")["event_id"].to_pylist() == ["b"]
    cli.run(*export, "--from", "2026-03-02", out)
    assert pq.read_table(out / "events")["event_id"].to_pylist() == ["b"]
    cli.run(*export, tmp_path / "index", code=2)
    assert "no earlier export wrote" in cli.err
