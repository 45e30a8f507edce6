"""Indexes of other versions: the older are read and go on, the newer are refused."""

import json
import shutil
from datetime import timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import pipeline.index as pi
from pipeline.errors import IndexFormatError
from pipeline.index import maintain, store
from pipeline.index.check import check
from pipeline.index.erase_orders import Erasure, write_order
from pipeline.index.filters import Where
from pipeline.index.scope import Scope
from pipeline.index.store import VERSION_PROPERTY
from pipeline.tables import schema
from tests.golden import make
from tests.index_rows import at, event, ids, rows, video

GOLDEN = sorted(make.FOLDER.parent.glob("v*"))
MORE = pa.field("more", pa.list_(pa.string()))


def rows_of(folder):
    """All rows of the tables that the golden indexes have."""
    index = pi.open(folder)
    tables = ("videos", "windows", "events", "segments")
    rows = {name: index.rows(name, fingerprint="all").to_pylist() for name in tables}
    return json.loads(json.dumps(rows, default=str, sort_keys=True))


@pytest.fixture(params=GOLDEN, ids=lambda path: path.name)
def golden(request, tmp_path):
    return shutil.copytree(request.param, tmp_path / "index")


@pytest.fixture
def newer(monkeypatch):
    """A timereel whose events have one column more."""
    wider = pa.schema([*schema.EVENTS, MORE])
    with monkeypatch.context() as patched:
        for tables in (schema.TABLES, schema.READ):
            patched.setitem(tables, "events", wider)
        yield patched


def test_every_golden_index_is_read_as_it_was_written(golden):
    found = rows_of(golden)
    assert {name: len(rows) for name, rows in found.items()} == {
        "videos": 3, "windows": 3, "events": 1, "segments": 1,
    }  # fmt: skip
    [happened] = found["events"]
    assert happened["text"] == "一个人 with a bag"
    assert happened["confidence"] == 0.5
    assert happened["fields"] == [["bag", "red"]]
    assert [part["video_id"] for part in happened["parts"]] == ["v1", "v2"]
    assert happened["boxes"][0]["y1"] == 4.0
    assert [row["status"] for row in found["windows"]] == ["analysed", "quiet", "failed"]
    assert found["windows"][0]["frame_pts"] == [0, 90000]
    states = pi.open(golden).coverage()["state"].to_pylist()
    assert states == ["analysed", "quiet", "failed"]


def test_a_golden_index_is_small_enough_to_be_kept_for_good():
    for folder in GOLDEN:
        assert sum(path.stat().st_size for path in folder.rglob("*.*")) < 100_000


def test_columns_added_since_the_first_version_may_be_null():
    for folder in GOLDEN:
        for name, fields in schema.TABLES.items():
            if not (folder / name).exists():
                continue
            stored = {f.name for f in DeltaTable(folder / name).schema().fields}
            added = [f for f in fields if f.name not in stored]
            assert all(f.nullable for f in added), f"{name}: {added} must be nullable"


def test_a_golden_index_goes_on_being_written_and_compacted(golden):
    before = rows_of(golden)
    writer = pi.Writer(golden)
    writer.finish_videos(rows("videos", video("v9", 2000, 2600)))
    maintain.compact(writer.store, min_age=timedelta(0))
    after = rows_of(golden)
    assert [row for row in after["videos"] if row["video_id"] != "v9"] == before["videos"]
    assert after["events"] == before["events"]


def test_an_open_order_is_carried_out_in_an_older_index(golden):
    """As by the first command after an upgrade, which may be one that makes no tables."""
    older = pi.open(golden).store
    for name in ("erasures", "runs"):
        older.create_table(name)
    scope = Scope.parse(video="v1").with_known_names(pi.open(golden))
    write_order(older, Erasure.of(scope, "command", {}))
    pi.apply_orders(pi.open(golden))
    states = {row["video_id"]: row["status"] for row in rows_of(golden)["videos"]}
    assert states.pop("v1") == "erased"
    assert states
    assert "erased" not in states.values()


def test_an_older_index_is_compacted_though_nothing_else_was_written(golden, monkeypatch):
    before = rows_of(golden)
    monkeypatch.setattr(maintain, "_is_scattered", lambda *_: True)
    assert any(maintain.compact(pi.open(golden).store, min_age=timedelta(0)).values())
    assert rows_of(golden) == before


@pytest.mark.usefixtures("newer")
def test_an_added_column_reads_as_null_until_a_row_has_it(golden):
    assert pi.open(golden).events()["more"].to_pylist() == [None]
    writer = pi.Writer(golden)
    happened = event("e9", at(2000), at(2001), video_id="v9", more=["new"])
    writer.finish_videos(rows("videos", video("v9", 2000, 2600)), rows("events", happened))
    found = pi.open(golden).events()
    assert found["more"].to_pylist() == [None, ["new"]]
    assert pi.open(golden).events(at(0), at(1000))["more"].to_pylist() == [None]
    assert pi.open(golden).sql("SELECT max(len(more)) AS n FROM events").to_pylist() == [{"n": 1}]
    maintain.compact(writer.store, min_age=timedelta(0))
    assert pi.open(golden).events() == found


def test_this_version_reads_and_writes_what_has_columns_of_a_newer_one(golden, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setitem(schema.TABLES, "events", pa.schema([*schema.EVENTS, MORE]))
        pi.Writer(golden).store.writable("events")
    before = rows_of(golden)
    writer = pi.Writer(golden)
    assert rows_of(golden) == before
    happened = event("e9", at(2000), at(2001), video_id="v9")
    writer.finish_videos(rows("videos", video("v9", 2000, 2600)), rows("events", happened))
    assert ids(writer.index.events(), "event_id") == ["e1", "e9"]
    with pytest.raises(IndexFormatError, match="more"):
        maintain.compact(writer.store, min_age=timedelta(0))


def test_an_index_older_than_a_table_is_read_as_if_it_were_empty_and_gets_it(golden):
    shutil.rmtree(golden / "summaries")
    assert pi.open(golden).summaries().num_rows == 0
    assert pi.open(golden).events().num_rows == 1
    pi.Writer(golden)
    assert (golden / "summaries" / "_delta_log").is_dir()
    assert pi.open(golden).summaries().num_rows == 0


def test_a_newer_schema_version_is_refused_with_a_remedy(golden):
    table = DeltaTable(golden / "events")
    version = str(schema.SCHEMA_VERSION + 1)
    table.alter.set_table_properties({VERSION_PROPERTY: version}, raise_if_not_exists=False)
    with pytest.raises(IndexFormatError, match="install a newer timereel"):
        pi.open(golden).events()
    with pytest.raises(IndexFormatError, match="install a newer timereel"):
        store.Store.at(golden).handle("events")


def test_orders_about_no_time_are_read_from_a_table_that_lacks_a_column(tmp_path, monkeypatch):
    """Their date is the day on which they were given, and not that of a start that they lack."""
    with monkeypatch.context() as patched:
        older = [field for field in schema.TABLES["erasures"] if field.name != "speakers"]
        patched.setitem(schema.TABLES, "erasures", pa.schema(older))
        pi.Writer(tmp_path)
    writer = pi.Writer(tmp_path)
    write_order(writer.store, Erasure.of(Scope.parse(camera="cam1"), "command", {}))
    [order] = writer.index.select_all("erasures", Where(), order="").to_pylist()
    assert order["date"] == order["asked_at"].date()
    assert check(writer.store) == []
