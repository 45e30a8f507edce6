"""Columns of files say what the records said from which they were made."""

import random
from dataclasses import fields

import pytest

from pipeline.config import SourcesConfig
from pipeline.records import Source
from pipeline.sources import Listed, SourceTable, columns, survey


def a_source(number: int, **changes: object) -> Source:
    facts = {
        "uri": f"s3://archive/é{number:03}.mp4", "num_bytes": number, "etag": f'"{number}"',
        "camera": f"cam{number % 3}", "start_ns": None if number % 5 == 0 else -number * 10**17,
        "clock": "path", "mtime_ns": None if number % 2 else number,
        "warnings": ("a", "b") if number % 7 == 0 else (),
        "problem": "broken" if number % 4 == 0 else "",
    }  # fmt: skip
    return Source(**facts | changes)


@pytest.fixture
def sources(monkeypatch):
    """More than one chunk of them, in no order."""
    monkeypatch.setattr(columns, "_ROWS", 8)
    monkeypatch.setattr(columns, "_BATCHES", 2)
    made = [a_source(number) for number in range(50)]
    random.Random(1).shuffle(made)
    return made


def test_a_table_is_the_sequence_of_records_that_it_was_made_of(sources):
    table = SourceTable.of(iter(sources))
    assert [*table] == sources
    assert (table[3], table[-1], [*table[5:40:7]]) == (sources[3], sources[-1], sources[5:40:7])
    with pytest.raises(IndexError):
        table[50]
    assert not SourceTable.of(())


def test_every_field_of_a_record_has_a_column():
    assert {*SourceTable.schema.names} == {field.name for field in fields(Source)}
    of_listed = {*columns.ListedTable.schema.names} - {*SourceTable.schema.names}
    assert {"source", *of_listed} == {field.name for field in fields(Listed)}


def test_they_are_put_in_order_as_python_does(sources):
    by_start = sorted(sources, key=lambda s: (s.camera, s.start_ns or 0, s.uri))
    table = SourceTable.of(sources)
    table.sort()
    assert [*table] == by_start


def test_they_are_chosen_by_camera_and_by_uri(sources):
    table = SourceTable.of(sources)
    assert table.cameras == {"cam0", "cam1", "cam2"}
    assert [*table.of_cameras(["cam1", "x"])] == [s for s in sources if s.camera == "cam1"]
    assert [*table.of_cameras([])] == []
    uris = {sources[8].uri, sources[30].uri, "x"}
    assert [*table.named(uris)] == [sources[8], sources[30]]
    others, found = table.without(uris)
    assert ([*others], found) == ([s for s in sources if s.uri not in uris], uris - {"x"})


def test_a_file_is_found_by_its_uri_and_of_two_the_last(sources):
    again = a_source(7, num_bytes=70)
    found = SourceTable.of([*sources, again]).by_uri()
    assert all(found[source.uri] == source for source in sources if source.uri != again.uri)
    assert found[again.uri] == again
    assert "" not in found
    assert "z" not in found
    assert (len(found), {*found}) == (len(sources), {source.uri for source in sources})


def test_a_file_that_two_locations_name_is_listed_once_and_one_that_is_named_is_not_passed_over(
    tmp_path,
):
    (tmp_path / "in").mkdir()
    for name in ("gate_20260301T080000Z.mp4", "in/yard_20260301T080000Z.mp4", "in/talk.zip"):
        (tmp_path / name).write_bytes(b"x")
    zipped = tmp_path / "in" / "talk.zip"
    listing = survey(
        [str(tmp_path), str(tmp_path / "in"), str(zipped), str(tmp_path)], SourcesConfig()
    )
    uris = [source.uri.removeprefix(f"{tmp_path}/") for source in listing.sources]
    assert sorted(uris) == [
        "gate_20260301T080000Z.mp4", "in/talk.zip", "in/yard_20260301T080000Z.mp4",
    ]  # fmt: skip
    assert listing.passed_over == ()
