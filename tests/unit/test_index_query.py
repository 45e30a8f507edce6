"""Which rows a query finds: borders, filters, types."""

import subprocess
import sys
from datetime import timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import pipeline.index as pi
from pipeline.errors import ConfigError, IndexFormatError
from pipeline.index.store import VERSION_PROPERTY
from pipeline.tables.schema import TABLES
from tests.index_rows import T0, US, at, event, open_with_four_events, rows, video


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return open_with_four_events(tmp_path_factory.mktemp("an index"))


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
    for options in ({"min_confidence": 0.5}, {"order_by": "confidence"}):
        with pytest.raises(ConfigError, match="no confidence"):
            index.segments(**options)


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
    ("options", "message"),
    [
        ({"start": "yesterday"}, "ISO 8601"),
        ({"start": at(2), "end": at(2)}, "empty"),
        ({"columns": ["colour"]}, "colour"),
        ({"limit": -1}, "limit"),
        ({"limit": 2**31}, "limit"),
        ({"min_duration_s": -1e-6}, "min_duration_s"),
        ({"min_duration_s": float("nan")}, "min_duration_s"),
        ({"max_duration_s": float("inf")}, "max_duration_s"),
        ({"max_duration_s": 1e300}, "max_duration_s"),
    ],
)
def test_an_invalid_query_is_refused_with_the_reason(index, options, message):
    with pytest.raises(ConfigError, match=message):
        index.events(**options)


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


@pytest.mark.parametrize("name", ["cam[1]", "a%41b", "a%25b", "file:///a%2541b"])
def test_a_folder_name_that_the_table_library_cannot_store_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="another folder"):
        pi.Writer(name if "://" in name else tmp_path / name)


def test_an_index_can_lie_in_a_folder_with_another_percent_sign(tmp_path):
    pi.Writer(tmp_path / "100% of a%zz")
    assert pi.open(tmp_path / "100% of a%zz").events().num_rows == 0


def test_a_folder_that_cannot_be_made_and_a_store_that_does_not_answer_say_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/index: cannot be made: .*Not a directory"):
        pi.Writer(tmp_path / "file" / "index")
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ALLOW_HTTP": "true"}
    account = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "hidden", "max_retries": "0"}
    for use in (pi.open, pi.Writer):
        with pytest.raises(ConfigError, match=r"cannot be read: .*onnection refused") as error:
            use("s3://bucket/index", {**nobody, **account})
        assert "hidden" not in str(error.value)
        assert "\x1b" not in str(error.value)


def test_importing_the_index_imports_nothing_heavy():
    code = (
        "import sys, pipeline.index; "
        "print(sorted({'ray', 'av', 'torch', 'pandas', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
