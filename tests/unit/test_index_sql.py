"""SQL over an index: it sees the views, reaches nothing else, and is bounded."""

# ruff: noqa: S608

import io
import resource
from contextlib import suppress

import pytest

import pipeline.index as pi
from pipeline.errors import ConfigError
from pipeline.export.formats import write_rows
from pipeline.index import sql_sandbox
from pipeline.index.snapshot import TableReader
from pipeline.processes.crash_isolation import in_child_process
from tests.index_rows import at, event, open_with_four_events, rows, video


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return open_with_four_events(tmp_path_factory.mktemp("an index"))


def test_sql_sees_the_views(index):
    counts = index.sql(
        "SELECT camera, count(*) AS n FROM events WHERE date = '2026-03-01' GROUP BY 1 ORDER BY 1"
    )
    assert counts.to_pylist() == [{"camera": "cam1", "n": 3}, {"camera": "cam2", "n": 1}]
    joined = "SELECT event_id FROM events JOIN videos v USING (video_id) WHERE v.camera = 'cam2'"
    assert index.sql(joined)["event_id"].to_pylist() == ["other"]


def test_sql_can_access_nothing_else(index, tmp_path):
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


@pytest.mark.parametrize(
    "query",
    [
        "SELECT Current_Setting('allowed_paths')",
        "SELECT 'allowed_paths'.current_setting()",
        "FROM duckdb_settings()",
        "SELECT (SELECT max(sql) FROM duckdb_views()) FROM events",
        "WITH a AS (FROM sqlite_master) FROM a",
        "FROM information_schema.views",
        "FROM system.information_schema.views",
        "SELECT pg_get_viewdef(1)",
        "FROM pg_views",
        "FROM query('FROM duckdb_' || 'settings()')",
        "FROM json_execute_serialized_sql('{}')",
    ],
)
def test_sql_does_not_tell_where_the_index_lies(index, query):
    with pytest.raises(ConfigError, match="could show settings of this machine"):
        index.sql(query)


def test_sql_may_hold_such_a_name_as_a_text_and_as_a_name_of_its_own(index):
    text = 'current_setting "function_name":"query"'
    rows = index.sql(f"WITH query AS (SELECT '{text}' AS pg_x FROM events) SELECT pg_x FROM query")
    assert rows["pg_x"].to_pylist() == [text] * 4


@pytest.mark.parametrize("form", ["table", "jsonl", "csv", "parquet"])
def test_every_type_of_sql_is_shown_or_refused_with_a_remedy(index, form):
    no_dates = "'^(?!date|time).*'"
    for query in ("FROM test_all_types()", f"SELECT COLUMNS({no_dates}) FROM test_all_types()"):
        with suppress(ConfigError):
            write_rows(index.sql(query), form, io.BytesIO())


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


def test_two_columns_of_one_name_get_different_names(index):
    assert index.sql("SELECT label, label FROM events").column_names == ["label", "label_1"]


def test_sql_is_limited_in_time_and_size_of_its_result(index, monkeypatch):
    forever = "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a FROM r) SELECT sum(a) FROM r"
    with pytest.raises(ConfigError, match="not finished after"):
        index.sql(forever, timeout_s=0.2)
    with pytest.raises(ConfigError, match="not finished after"):  # rows were given out by then
        index.sql("SELECT * FROM range(100000000000)", timeout_s=0.5)
    monkeypatch.setattr(sql_sandbox, "_MAX_RESULT_BYTES", 2**20)
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        index.sql("SELECT * FROM range(10000000)")


GREEDY = (
    "SELECT length(repeat('x', 4000000000))",
    "SELECT list_sum(range(500000000))",
    "SELECT max(length(s)) FROM (SELECT string_agg(repeat('x', 1000000)) s FROM range(9000))",
    "SELECT count(*) FROM range(1000000) a, range(1000000) b",
)


def asks(folder, queries):
    """In a process of its own, since the kernel tells the largest child that a process ever had."""
    index = open_with_four_events(folder)
    counted = index.sql("SELECT count(*) AS n FROM events")["n"].to_pylist()
    yield _peak_bytes_of_children()
    for query in queries:
        with pytest.raises(ConfigError, match=r"sql: (needs more than|not finished after)"):
            index.sql(query, timeout_s=1)
    yield _peak_bytes_of_children()
    assert index.sql("SELECT count(*) AS n FROM events")["n"].to_pylist() == counted == [4]


def _peak_bytes_of_children():
    return 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def test_one_function_call_takes_no_more_time_or_memory_than_a_query_may(tmp_path):
    idle_bytes, peak_bytes = in_child_process(asks, tmp_path, GREEDY)
    assert 0 < idle_bytes <= peak_bytes <= idle_bytes + 1_000_000_000
