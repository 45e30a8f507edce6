"""The rule of what may be written."""

from datetime import date

import pyarrow as pa
import pytest

from pipeline.index.validate import conform
from pipeline.tables.schema import EVENTS
from tests.index_rows import at, event, rows


def test_rows_of_the_declared_types_pass_and_come_sorted():
    table = rows(
        "events",
        event("b", at(5), at(6), camera="cam2"),
        event("c", at(9), at(10)),
        event("a", at(1), at(2)),
    )
    kept = conform("events", table)
    assert kept.schema == EVENTS
    assert kept["event_id"].to_pylist() == ["a", "c", "b"]
    assert kept["camera"].num_chunks == 1


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("camera", pa.large_string()),
        ("media_start", pa.float32()),
        ("start", pa.timestamp("ns", "UTC")),
    ],
)
def test_another_type_is_refused_and_never_cast(column, kind):
    table = rows("events", event("a", at(1), at(2)))
    i = table.schema.get_field_index(column)
    with pytest.raises(TypeError, match=column):
        conform("events", table.set_column(i, column, table[column].cast(kind)))


def test_a_missing_and_an_unknown_column_are_refused():
    table = rows("events", event("a", at(1), at(2)))
    with pytest.raises(TypeError, match="text"):
        conform("events", table.drop_columns(["text"]))
    with pytest.raises(TypeError, match="more"):
        conform("events", table.append_column("more", pa.array([1])))


def test_a_null_in_a_required_column_is_refused_and_in_an_optional_one_kept():
    table = rows("events", event("a", at(1), at(2), confidence=None))
    assert conform("events", table)["confidence"].to_pylist() == [None]
    loose = pa.schema([pa.field(f.name, f.type) for f in EVENTS])
    table = pa.Table.from_pylist([table.to_pylist()[0] | {"text": None}], schema=loose)
    with pytest.raises(ValueError, match="text"):
        conform("events", table)


def test_empty_ranges_wrong_dates_and_double_ids_are_refused():
    with pytest.raises(ValueError, match="empty"):
        conform("events", rows("events", event("a", at(1), at(1))))
    table = rows("events", event("a", at(1), at(2)))
    wrong = table.set_column(0, EVENTS.field("date"), pa.array([date(2026, 2, 1)]))
    with pytest.raises(ValueError, match="date"):
        conform("events", wrong)
    with pytest.raises(ValueError, match="twice"):
        conform("events", rows("events", event("a", at(1), at(2)), event("a", at(3), at(4))))
