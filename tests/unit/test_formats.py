import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError
from pipeline.export.formats import write_rows
from pipeline.tables.schema import EVENTS

AT = datetime(2026, 3, 14, 9, 0, 6, 100_000, tzinfo=UTC)


@pytest.fixture
def events():
    row = {
        "date": AT.date(), "camera": "lobby", "start": AT, "end": AT.replace(second=20),
        "label": "motion", "video_id": "v", "uri": "/a/b.mp4", "media_start": 6.1,
        "media_end": 20.0, "event_id": "e", "text": 'says "价格"\nand more', "confidence": None,
        "boxes": [{"at": AT, "x0": 0, "y0": 1, "x1": 2, "y1": 3}], "fields": [("color", "red")],
        "parts": [], "window_ids": ["w"], "task": "t", "model": "m", "prompt_id": "p",
        "fingerprint": "f",
    }  # fmt: skip
    return pa.Table.from_pylist([row], schema=EVENTS)


def written(table, form):
    out = io.BytesIO()
    write_rows(table, form, out)
    return out.getvalue()


def test_json_lines_hold_every_column_with_times_in_utc(events):
    row = json.loads(written(events, "jsonl"))
    assert list(row) == EVENTS.names
    assert row["start"] == "2026-03-14T09:00:06.100000Z"
    assert row["fields"] == {"color": "red"}
    assert row["boxes"][0]["at"] == "2026-03-14T09:00:06.100000Z"
    assert row["confidence"] is None


def test_csv_keeps_quotes_line_breaks_and_other_scripts(events):
    [row] = csv.DictReader(io.StringIO(written(events, "csv").decode()))
    assert row["text"] == 'says "价格"\nand more'
    assert row["start"] == "2026-03-14T09:00:06.100000Z"
    assert json.loads(row["window_ids"]) == ["w"]


def test_parquet_keeps_the_declared_schema(events):
    assert pq.read_table(io.BytesIO(written(events, "parquet"))).equals(events)


def test_a_table_shows_wall_clock_times_and_the_number_of_rows(events):
    text = written(events, "table").decode()
    assert "2026-03-14 09:00:06.100Z" in text
    assert "1 row" in text


@pytest.mark.parametrize("form", ["table", "jsonl", "csv", "parquet", "webvtt"])
def test_an_empty_table_can_be_written(form):
    data = written(EVENTS.empty_table(), form)
    assert form == "jsonl" or data


def test_no_format_imports_pandas():
    code = (
        "import sys, duckdb, io\n"
        "from pipeline.export.formats import write_rows\n"
        "rows = duckdb.sql(\"select now() as a, [{'b': now(), 'c': map {'d': now()}}] as e\")\n"
        "for form in ('jsonl', 'csv', 'table', 'parquet'):\n"
        "    write_rows(rows.to_arrow_table(), form, io.BytesIO())\n"
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_whole_decimals_from_sql_are_json_numbers():
    table = pa.table({"n": pa.array([Decimal(12)], pa.decimal128(38, 0))})
    assert json.loads(written(table, "jsonl")) == {"n": 12}


def test_the_result_of_a_select_is_shown_with_every_column():
    counts = pa.table({"label": ["dog"], "n": [12345], "text": ["seen"]})
    text = written(counts, "table").decode()
    for shown in ("label", "n", "12345", "seen"):
        assert shown in text


@pytest.mark.parametrize("form", ["jsonl", "csv", "table"])
@pytest.mark.parametrize("at", [2**63 - 1, -(2**62)])
def test_a_time_outside_the_years_of_python_is_refused_with_a_remedy(form, at):
    column = pa.array([at]).cast(pa.timestamp("us", tz="UTC"))
    with pytest.raises(ConfigError, match="at holds a time outside the years 1 to 9999"):
        written(pa.table({"at": column}), form)
    with pytest.raises(ConfigError, match="at::VARCHAR"):
        written(pa.table({"at": pa.ListArray.from_arrays([0, 1], column)}), form)


def test_nanosecond_times_from_sql_are_cut_to_microseconds():
    table = pa.table({"at": pa.array([1_999], pa.timestamp("ns"))})
    assert json.loads(written(table, "jsonl")) == {"at": "1970-01-01T00:00:00.000001Z"}
