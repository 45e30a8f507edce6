"""What a question finds: borders, filters, types, SQL."""

# ruff: noqa: S608

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

import pipeline.index as pi
from pipeline.errors import ConfigError, IndexFormatError
from pipeline.index import lockdown
from pipeline.index.filters import Span
from pipeline.index.snapshot import TableReader
from pipeline.index.store import VERSION_PROPERTY
from pipeline.schema import TABLES
from tests.index_rows import T0, US, at, event, rows, video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two videos on two cameras; events at known places."""
    folder = tmp_path_factory.mktemp("an index") / "it's 100% 監視 *"
    writer = pi.Writer(folder)
    writer.finish_videos(
        rows("videos", video("v1"), video("v2", camera="cam2")),
        rows(
            "events",
            event("late", at(500), at(501), label="black", text="Power CUT"),
            event("long", at(100), at(200), label="motion", text="一个人在门口放下包裹"),
            event("short", at(150.0001), at(150.000999), label="motion", text="a flicker"),
            event("other", at(100), at(110), label="motion", camera="cam2", video_id="v2"),
        ),
        rows("segments", {"segment_id": "s", "video_id": "v1", "start": at(0), "end": at(600)}),
    )
    return folder


@pytest.fixture(scope="module")
def index(folder):
    return pi.open(folder)


def ids(table):
    return table["event_id"].to_pylist()


def test_rows_come_by_start_then_camera_with_the_declared_schema(index):
    found = index.events()
    assert ids(found) == ["long", "other", "short", "late"]
    assert found.schema == TABLES["events"]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (at(200), at(300), []),  # ends exactly at the start
        (at(200) - US, at(300), ["long"]),
        (at(0), at(100), []),  # starts exactly at the end
        (at(0), at(100) + US, ["long", "other"]),
        (at(150), at(150) + US, ["long"]),  # began before
        (at(150.000998), at(150.1), ["long", "short"]),  # a file's logged end is cut to ms
        (at(150.000999), at(150.1), ["long"]),
        (at(500.5), None, ["late"]),
        (None, at(100) + US, ["long", "other"]),
    ],
)
def test_a_range_finds_what_shares_an_instant_with_it(index, start, end, expected):
    assert ids(index.events(start, end)) == expected


def test_the_last_microsecond_of_a_file_is_found(tmp_path):
    writer = pi.Writer(tmp_path)
    end = at(10) + timedelta(microseconds=999)
    alone = rows("events", event("only", at(9), end))
    writer.finish_videos(rows("videos", video()), alone)
    index = pi.open(tmp_path)
    assert ids(index.events(end - US, at(20))) == ["only"]
    assert ids(index.events(end, at(20))) == []


def test_times_are_iso_texts_or_datetimes_in_any_zone(index):
    for start in ("2026-03-01T08:08:20", "2026-03-01T08:08:20Z", "2026-03-01T16:08:20+08:00"):
        assert ids(index.events(start)) == ["late"]
    assert ids(index.events(at(500).replace(tzinfo=None))) == ["late"]
    assert len(index.events("2026-03-01", "2026-03-02")) == 4


def test_cameras_are_names_lists_or_globs(index):
    assert ids(index.events(camera="cam2")) == ["other"]
    assert len(index.events(camera=["cam1", "cam2"])) == 4
    assert len(index.events(camera="cam*")) == 4
    assert ids(index.events(camera="cam[2-9]")) == ["other"]
    assert ids(index.events(camera="am2")) == []
    assert ids(index.events(camera=["?am2", "nobody"])) == ["other"]


def test_labels_and_texts_filter_in_any_case_and_language(index):
    assert ids(index.events(label="black")) == ["late"]
    assert len(index.events(label=["black", "motion"])) == 4
    assert ids(index.events(text="power cut")) == ["late"]
    assert ids(index.events(text="包裹")) == ["long"]
    assert ids(index.events(text="%")) == []


def test_confidence_and_duration_filter_on_their_very_borders(tmp_path):
    writer = pi.Writer(tmp_path)
    writer.finish_videos(
        rows("videos", video()),
        rows(
            "events",
            event("sure", at(1), at(3.5), confidence=0.9),
            event("unsure", at(2), at(2.5) - US, confidence=0.2),
            event("unknown", at(3), at(13), confidence=None),
        ),
    )
    index = pi.open(tmp_path)
    assert ids(index.events(min_confidence=0.9)) == ["sure"]  # stored as float32, below 0.9
    assert ids(index.events(min_confidence=0)) == ["sure", "unsure"]
    assert ids(index.events(min_duration_s=2.5)) == ["sure", "unknown"]
    assert ids(index.events(min_duration_s=0.5)) == ["sure", "unknown"]
    assert ids(index.events(max_duration_s=2.5)) == ["sure", "unsure"]
    assert ids(index.events(max_duration_s=2.499999)) == ["unsure"]
    assert ids(index.events(descending=True)) == ["unknown", "unsure", "sure"]
    assert ids(index.events(order_by="duration")) == ["unsure", "sure", "unknown"]
    assert ids(index.events(order_by="duration", descending=True, limit=1)) == ["unknown"]
    assert ids(index.events(order_by="confidence")) == ["unsure", "sure", "unknown"]
    assert ids(index.events(order_by="confidence", descending=True))[0] == "sure"
    for asked in ({"min_confidence": 0.5}, {"order_by": "confidence"}):
        with pytest.raises(ConfigError, match="no confidence"):
            index.segments(**asked)


def test_a_video_is_named_by_id_uri_or_file_name_and_holds_parts_of_events(tmp_path):
    writer = pi.Writer(tmp_path)
    parts = [
        {"video_id": v, "uri": f"/rec/{v}.mp4", "start": at(i), "end": at(i + 1),
         "media_start": 0.0, "media_end": 1.0}
        for i, v in enumerate(("v1", "v2"))
    ]  # fmt: skip
    writer.finish_videos(
        rows("videos", video("v1", uri="/rec/v1.mp4"), video("v2", uri="/rec/v2.mp4")),
        rows(
            "events",
            event("over", at(0), at(2), uri="/rec/v1.mp4", parts=parts),
            event("alone", at(5), at(6), uri="/rec/v2.mp4", video_id="v2"),
        ),
    )
    index = pi.open(tmp_path)
    for name in ("v2", "/rec/v2.mp4", "v2.mp4"):
        assert ids(index.events(video=name)) == ["over", "alone"]
    assert ids(index.events(video="v1.mp4")) == ["over"]
    assert ids(index.events(video="1.mp4")) == []
    assert index.videos(video="v2.mp4")["video_id"].to_pylist() == ["v2"]


def test_limit_columns_and_task(index):
    assert ids(index.events(limit=2)) == ["long", "other"]
    assert index.events(columns=["end", "event_id"]).column_names == ["end", "event_id"]
    assert len(index.events(task="another")) == 0
    assert len(index.events(limit=0)) == 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"start": "yesterday"}, "ISO 8601"),
        ({"start": at(2), "end": at(2)}, "empty"),
        ({"columns": ["colour"]}, "colour"),
        ({"limit": -1}, "limit"),
    ],
)
def test_a_question_that_makes_no_sense_says_why(index, asked, message):
    with pytest.raises(ConfigError, match=message):
        index.events(**asked)


def test_only_events_have_labels(index):
    with pytest.raises(ConfigError, match="no label"):
        index.segments(label="motion")


def test_an_empty_index_answers_with_the_declared_schemas(tmp_path):
    pi.Writer(tmp_path)
    index = pi.open(tmp_path)
    for name, schema in TABLES.items():
        assert index.rows(name).schema == schema
        assert index.rows(name).num_rows == 0
        assert index.files(name) == []
    assert index.sql("SELECT * FROM windows").num_rows == 0
    assert index.coverage().num_rows == 0


def test_folders_that_look_like_partitions_do_not_win_over_columns(tmp_path):
    folder = tmp_path / "camera=zz" / "date=1999-01-01"
    pi.Writer(folder).finish_videos(
        rows("videos", video()), rows("events", event("a", at(1), at(2)))
    )
    (found,) = pi.open(folder).events().to_pylist()
    assert (found["camera"], found["date"]) == ("cam1", T0.date())


def test_files_are_the_current_ones_pruned_by_time_and_camera(tmp_path):
    writer = pi.Writer(tmp_path)
    day = 86_400.0
    for i in range(3):
        writer.finish_videos(
            rows("videos", video(f"v{i}", i * day, i * day + 600, camera=f"cam{i}")),
            rows(
                "events",
                event(f"e{i}", at(i * day), at(i * day + 5), video_id=f"v{i}", camera=f"cam{i}"),
            ),
        )
    index = pi.open(tmp_path)
    assert len(index.files("events")) == 3
    assert len(index.files("events", at(day), at(2 * day))) == 1
    assert len(index.files("events", camera="cam2")) == 1
    assert len(index.files("events", camera="c*")) == 3
    writer.finish_videos(rows("videos", video("v1", day, day + 600, camera="cam1")))
    assert len(index.files("events")) == 2


def test_a_folder_that_is_no_index_is_refused(tmp_path):
    with pytest.raises(IndexFormatError, match="run timereel index"):
        pi.open(tmp_path / "nothing")
    DeltaTable.create(tmp_path / "videos", pa.schema([("a", pa.int32())]))
    with pytest.raises(IndexFormatError, match="no index at"):
        pi.open(tmp_path)


def test_an_index_of_a_newer_version_is_refused(tmp_path):
    pi.Writer(tmp_path)
    DeltaTable(tmp_path / "videos").alter.set_table_properties(
        {VERSION_PROPERTY: "2"}, raise_if_not_exists=False
    )
    for refused in (pi.open, pi.Writer):
        with pytest.raises(IndexFormatError, match="newer timereel"):
            refused(tmp_path)


def test_a_folder_name_that_the_table_library_cannot_store_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="another folder"):
        pi.Writer(tmp_path / "cam[1]")


def test_a_folder_that_cannot_be_made_and_a_store_that_does_not_answer_say_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/index: cannot be made: .*Not a directory"):
        pi.Writer(tmp_path / "file" / "index")
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ALLOW_HTTP": "true"}
    account = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "hidden", "max_retries": "0"}
    for use in (pi.open, pi.Writer):
        with pytest.raises(ConfigError, match=r"cannot be read: .*onnection refused") as told:
            use("s3://bucket/index", {**nobody, **account})
        assert "hidden" not in str(told.value)
        assert "\x1b" not in str(told.value)


def test_sql_sees_the_views(index):
    counts = index.sql(
        "SELECT camera, count(*) AS n FROM events WHERE date = '2026-03-01' GROUP BY 1 ORDER BY 1"
    )
    assert counts.to_pylist() == [{"camera": "cam1", "n": 3}, {"camera": "cam2", "n": 1}]
    joined = "SELECT event_id FROM events JOIN videos v USING (video_id) WHERE v.camera = 'cam2'"
    assert ids(index.sql(joined)) == ["other"]


def test_sql_reaches_nothing_else(index, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    own_file = index.files("events")[0].replace("'", "''")
    before = sorted(p.name for p in tmp_path.rglob("*"))
    for query in (
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM '{secret}'",
        f"SELECT * FROM read_text('{secret}'), events",
        f"SELECT * FROM glob('{tmp_path}/*')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"COPY (SELECT 1 AS a FROM events) TO '{own_file}'",
        f"EXPLAIN ANALYZE COPY (SELECT 1 AS a FROM events) TO '{own_file}'",
        f"WITH x AS (COPY (SELECT 1) TO '{own_file}' (USE_TMP_FILE false)) SELECT * FROM x",
        "WITH x AS (DELETE FROM events) SELECT 1",
        f"ATTACH '{tmp_path}/x.db'",
        f"EXPORT DATABASE '{tmp_path}/x'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_parquet('https://example.org/a.parquet')",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA enable_profiling",
        "CALL enable_logging()",
        "SELECT * FROM enable_logging()",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_json('http://127.0.0.1:1/x')",
        "SELECT * FROM parquet_metadata('s3://bucket/x.parquet')",
        "SELECT * FROM query('COPY (SELECT 1) TO ''x.csv''')",
        "SELECT * FROM query_table('/etc/passwd')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM arrow_scan(1, 2, 3)",
        "SELECT * FROM sqlite_scan('a', 'b')",
        "SELECT getenv('HOME')",
        "UPDATE events SET label = 'x'",
        "DELETE FROM events",
        "DROP VIEW events",
        "CREATE MACRO f(a) AS a",
        "SET VARIABLE x = 1",
        "BEGIN",
        "CHECKPOINT",
        "USE memory",
        "SELECT 1; SELECT 2",
        "CREATE TABLE x AS SELECT 1",
        "SELECT * FROM secret",
        "SELECT nonsense FROM events",
        "not sql",
        "",
    ):
        with pytest.raises(ConfigError, match="sql"):
            index.sql(query)
    assert sorted(p.name for p in tmp_path.rglob("*")) == before
    assert len(index.events()) == 4


def test_sql_reads_one_version_while_others_replace_it(tmp_path, monkeypatch):
    writer, latest = pi.Writer(tmp_path), TableReader.latest
    finished = rows("videos", video()), rows("events", event("e", at(1), at(2)))

    def outdated(reader):
        seen = latest(reader)
        with monkeypatch.context() as writing:
            writing.setattr(TableReader, "latest", latest)
            writer.finish_videos(*finished)
        return seen

    writer.finish_videos(*finished)
    index = pi.open(tmp_path)
    monkeypatch.setattr(TableReader, "latest", outdated)
    assert index.sql("SELECT event_id FROM events")["event_id"].to_pylist() == ["e"]


def test_sql_that_fails_after_its_first_rows_says_why(index):
    with pytest.raises(ConfigError, match=r"sql: .*late"):
        index.sql("SELECT if(range = 900000, error('late'), range) FROM range(1000000)")


def test_two_columns_of_one_name_are_told_apart(index):
    assert index.sql("SELECT label, label FROM events").column_names == ["label", "label_1"]


def test_sql_may_take_so_long_and_return_so_much(index, monkeypatch):
    forever = "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a FROM r) SELECT sum(a) FROM r"
    with pytest.raises(ConfigError, match="not done after"):
        index.sql(forever, timeout_s=0.2)
    with pytest.raises(ConfigError, match="not done after"):  # rows were given out by then
        index.sql("SELECT * FROM range(100000000000)", timeout_s=0.5)
    monkeypatch.setattr(lockdown, "_MAX_RESULT_BYTES", 2**20)
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        index.sql("SELECT * FROM range(10000000)")


def test_importing_the_index_imports_nothing_heavy():
    code = (
        "import sys, pipeline.index; "
        "print(sorted({'ray', 'av', 'torch', 'pandas', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


MIDNIGHT = Span.parse("2026-03-01T00:00:00Z", None)
EIGHT = Span.parse("2026-03-01T08:00:00.000001Z", None)


@pytest.mark.parametrize(
    ("start", "span"),
    [
        (date(2026, 3, 1), MIDNIGHT),
        (np.datetime64("2026-03-01"), MIDNIGHT),
        (np.datetime64("2026-03"), MIDNIGHT),
        (np.datetime64("2026-03-01T08:00:00.000001"), EIGHT),
        (np.datetime64("2026-03-01T08:00:00.000001999"), EIGHT),
        (pd.Timestamp("2026-03-01T08:00:00.000001999"), EIGHT),
        (pd.Timestamp("2026-03-01T09:00:00.000001", tz="Europe/Berlin"), EIGHT),
    ],
)
def test_a_date_and_the_times_of_numpy_and_pandas_are_times(start, span):
    assert Span.parse(start, None) == span


@pytest.mark.parametrize("no_time", [pd.NaT, np.datetime64("NaT"), np.datetime64("NaT", "ns")])
def test_what_is_no_time_is_refused_with_the_way_out(index, no_time):
    with pytest.raises(ConfigError, match="NaT is no time; leave that end of the range open"):
        index.coverage(None, no_time)


@pytest.mark.parametrize(
    "end",
    [
        "9999-12-31T23:59:59.999999-00:01",
        "0001-01-01T00:00:00+00:01",
        pd.Timestamp("9999-12-31T23:59:59.999999-00:01"),
        np.datetime64("10000-01-01"),
        np.datetime64("0000-12-31"),
        np.datetime64("300000-01-01"),  # wraps around in microseconds
        np.datetime64(10**9, "Y"),
        np.datetime64(2**63 - 1, "Y"),
    ],
)
def test_a_time_outside_of_the_years_that_python_has_is_refused(index, end):
    with pytest.raises(ConfigError, match="is not in the years 1 to 9999 of UTC"):
        index.coverage(None, end)


@pytest.mark.parametrize("end", ["10000-01-01", "2026-13-01", "NaT"])
def test_a_text_that_is_no_time_is_refused(index, end):
    with pytest.raises(ConfigError, match="is no ISO 8601 time"):
        index.coverage(None, end)


@pytest.mark.parametrize("as_given", [str, datetime.fromisoformat, np.datetime64])
def test_the_first_and_the_last_microsecond_that_python_has_are_times(index, as_given):
    first, last = as_given("0001-01-01T00:00:00"), as_given("9999-12-31T23:59:59.999999")
    assert index.events(first, last).num_rows == 4
    states = index.coverage(first, last)
    assert states["start"][0].as_py() == datetime.min.replace(tzinfo=UTC)
    assert states["end"][-1].as_py() == datetime.max.replace(tzinfo=UTC)
