"""A timeline counts what queries of its bins would find, and shows the state with most time."""

import json
import shutil
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.index as pi
from pipeline.errors import ConfigError, InterruptedQueryError
from pipeline.index import maintain
from pipeline.index.coverage import NO_FOOTAGE, STATES
from pipeline.index.erase import erase
from pipeline.index.filters import Where
from pipeline.index.lanes import DAY_US, HOUR_US, Bins, dominant
from pipeline.index.scope import Scope
from tests.index_rows import DAY, T0, US, at, event, open_with_four_events, rows, video, window


def borders(bins):
    return [datetime.fromtimestamp(us / 1e6, UTC) for us in bins.edges_us]


@pytest.mark.parametrize(
    ("length_s", "max_bins", "step_us"),
    [
        (100, 100, 1_000_000),
        (100, 3, 33_333_334),
        (1800 * 10, 10, 1_800_000_000),  # half an hour stays
        (1801 * 10, 10, HOUR_US),
        (3601 * 10, 10, 2 * HOUR_US),
        (12 * 3600 * 10, 10, 12 * HOUR_US),
        (12 * 3600 * 10 + 1, 10, DAY_US),
        (365 * 86_400, 300, 2 * DAY_US),
    ],
)
def test_bins_are_whole_hours_and_days_where_they_are_long(length_s, max_bins, step_us):
    assert Bins.of(at(0), at(length_s), max_bins).step_us == step_us


@given(start_us=st.integers(0, 10**15), length_us=st.integers(1, 10**14), num=st.integers(1, 500))
@settings(max_examples=200, deadline=None)
def test_bins_enclose_the_range_and_stay_where_they_are(start_us, length_us, num):
    first = datetime(1970, 1, 1, tzinfo=UTC) + start_us * US
    bins = Bins.of(first, first + length_us * US, num)
    edges = bins.edges_us.tolist()
    assert edges[0] <= start_us < edges[1]
    assert edges[-2] < start_us + length_us <= edges[-1]
    assert bins.num <= num + 1
    assert {after - before for before, after in pairwise(edges)} == {bins.step_us}
    assert not any(edge % bins.step_us for edge in edges)


def test_a_timeline_without_an_end_or_bins_is_refused():
    with pytest.raises(ConfigError, match="needs a start and an end"):
        Bins.of(at(0), None, 10)
    with pytest.raises(ConfigError, match="0 bins: must be from 1 to 10000"):
        Bins.of(at(0), at(1), 0)


@pytest.fixture
def index(tmp_path):
    return open_with_four_events(tmp_path)


def test_each_bin_counts_the_events_that_overlap_it(index):
    # Bins of 50 s: `long` is at 100-200, `other` at 100-110, `short` inside, `late` at 500-501.
    lanes = pi.density(index, at(0), at(600), max_bins=12, max_labels=5)
    assert (lanes.cameras, lanes.labels) == (("cam1", "cam2"), ("motion", "black"))
    motion, black, others = lanes.counts[0].tolist()
    assert motion == [0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0]
    assert black == [0] * 10 + [1, 0]
    assert others == [0] * 12
    assert lanes.counts[1, 0].tolist() == [0, 0, 1] + [0] * 9


def test_labels_beyond_the_most_frequent_are_counted_together(index):
    lanes = pi.density(index, at(0), at(600), max_bins=1, max_labels=1)
    assert lanes.labels == ("motion",)
    assert lanes.counts[:, :, 0].tolist() == [[2, 1], [1, 0]]
    assert pi.density(index, at(0), at(600), max_bins=1, max_labels=0).labels == ()


def test_all_cameras_together_add_up_to_one_lane(index):
    lanes = pi.density(index, at(0), at(600), max_bins=12, max_labels=5, by_camera=False)
    assert lanes.cameras == ("",)
    assert lanes.counts[0, 0].tolist() == [0, 0, 2, 2] + [0] * 8


def test_filters_and_an_empty_range_are_as_in_a_query(index):
    lanes = pi.density(index, at(0), at(600), max_bins=6, max_labels=2, text="flicker")
    assert lanes.counts.sum() == 1
    empty = pi.density(index, at(2000), at(2600), max_bins=6, max_labels=2)
    assert (empty.cameras, empty.labels, empty.counts.shape) == ((), (), (0, 1, 6))


def test_every_bin_counts_as_a_query_of_it_does(tmp_path):
    chance = np.random.default_rng(7)
    made = [
        event(f"e{i}", at(start), at(start + length), label="abc"[i % 3], video_id=f"v{i % 2}",
              camera=f"cam{i % 2}")
        for i, (start, length) in enumerate(
            zip(chance.uniform(0, 3 * DAY, 120), chance.exponential(9000, 120) + 1e-6, strict=True)
        )
    ]  # fmt: skip
    files = (video(f"v{i}", 0, 3 * DAY, camera=f"cam{i}") for i in range(2))
    writer = pi.Writer(tmp_path)
    writer.finish_videos(rows("videos", *files), rows("events", *made))
    index = writer.open()
    for max_bins in (3, 20):
        lanes = pi.density(index, at(0), at(3 * DAY), max_bins=max_bins, max_labels=3)
        for bin_number, (start, end) in enumerate(pairwise(borders(lanes.bins))):
            found = Counter(
                (row["camera"], row["label"]) for row in index.events(start, end).to_pylist()
            )
            counted = {
                (camera, label): lanes.counts[i, j, bin_number]
                for i, camera in enumerate(lanes.cameras)
                for j, label in enumerate(lanes.labels)
            }
            assert counted == {key: found[key] for key in counted}


@given(
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=12, unique=True),
    levels=st.lists(st.integers(0, 6), min_size=13, max_size=13),
    num=st.integers(1, 12),
)
@settings(max_examples=150, deadline=None)
def test_the_dominant_state_has_the_most_moments_of_its_bin_with_footage(cuts, levels, num):
    borders_us = np.array([0, *sorted(cuts), 61])
    levels = np.array(levels[: len(borders_us) - 1], dtype=np.int8)
    edges_us = np.unique(np.linspace(0, 61, num + 1).astype(np.int64))
    of_moment = np.repeat(levels, np.diff(borders_us))
    expected = [
        max(
            Counter(of_moment[a:b].tolist()).items(),
            key=lambda item: (item[0] != NO_FOOTAGE, item[1], item[0]),
        )[0]
        for a, b in pairwise(edges_us.tolist())
    ]
    assert dominant(edges_us, borders_us, levels).tolist() == expected


def test_coverage_lanes_show_the_state_that_lasts_longest(tmp_path):
    writer = pi.Writer(tmp_path)
    shard = (
        window("a", 0, 0, 40),
        window("a", 1, 40, 110, status="quiet"),
        window("a", 2, 110, 200, status="failed"),
    )
    writer.write_windows(rows("windows", *shard))
    writer.finish_videos(rows("videos", video("v1", 0, 200), video("v2", 0, 100, camera="cam2")))
    lanes = pi.coverage_lanes(writer.open(), at(0), at(400), max_bins=4)
    assert lanes.cameras == ("cam1", "cam2")
    named = [[STATES[state] for state in lane] for lane in lanes.states]
    assert named[0] == ["quiet", "failed", "no_footage", "no_footage"]
    assert named[1] == ["not_analysed", "no_footage", "no_footage", "no_footage"]
    only = pi.coverage_lanes(writer.open(), at(0), at(400), max_bins=4, camera="cam2")
    assert only.cameras == ("cam2",)


def test_the_figures_of_a_camera_count_a_video_once(tmp_path):
    writer = pi.Writer(tmp_path)
    unknown = {"status": "failed", "footage": [], "uri": "x"}
    for task in ("t", "u"):
        files = (
            video("v1", 0, 600, video_s=600.0, num_events=3, task=task, indexed_at=at(9)),
            video("x", 0, 1, task=task, **unknown),
        )
        writer.finish_videos(rows("videos", *files))
    [found] = pi.camera_figures(writer.open()).to_pylist()
    assert found == {
        "camera": "cam1", "first_start": T0, "last_end": at(600), "num_videos": 2,
        "num_failed": 1, "num_partial": 0, "num_pending": 0, "footage_s": 600.0,
        "num_events": 6, "indexed_at": at(9),
    }  # fmt: skip


def test_one_event_is_found_by_its_id_with_and_without_its_time(index):
    assert index.event("long")["text"] == "一个人在门口放下包裹"
    assert index.event("long", at=at(199))["event_id"] == "long"
    assert index.event("long", at=at(200)) is None
    assert index.event("unknown") is None


def test_a_running_query_ends_when_nobody_waits_for_it(index):
    hours = "SELECT sum(sqrt(a.range * b.range)) FROM range(10000000) a, range(10000000) b"
    with pytest.raises(InterruptedQueryError), index.interruptible() as interrupt:  # noqa: PT012
        threading.Timer(0.2, interrupt).start()
        index.fetch(hours, Where())
    assert index.events().num_rows == 4  # and afterwards it answers again


def test_a_query_after_the_interruption_does_not_begin(index):
    with pytest.raises(InterruptedQueryError, match="ask again"), index.interruptible() as stop:  # noqa: PT012
        stop()
        index.events()
    assert index.events(at(0), at(0) + timedelta(days=1)).num_rows == 4


@pytest.fixture
def month(tmp_path):
    """Forty days of two cameras: more files than a rollup leaves out; events over midnight."""
    writer = pi.Writer(tmp_path)
    chance = np.random.default_rng(3)
    for i in range(2):
        made = [
            event(f"e{i}-{number}", at(start), at(start + length), label="abc"[number % 3],
                  video_id=f"v{i}", camera=f"cam{i}")
            for number, (start, length) in enumerate(
                zip(chance.uniform(0, 40 * DAY, 200), chance.exponential(20_000, 200), strict=True)
            )
        ]  # fmt: skip
        files = video(f"v{i}", 0, 40 * DAY, camera=f"cam{i}")
        writer.finish_videos(rows("videos", files), rows("events", *made))
    return writer


ASKED = [
    {"max_bins": 40},
    {"max_bins": 7, "camera": "cam1"},
    {"max_bins": 20, "camera": "cam*"},
    {"max_bins": 40, "by_camera": False},
    {"max_bins": 480, "by_camera": False},  # bins of two hours
    {"max_bins": 40, "by_camera": False, "camera": ["cam0", "none"]},
]


def answers(index, **more):
    """Answers to every question, in a form that compares."""
    for options in ASKED:
        found = pi.density(index, at(0), at(40 * DAY), max_labels=2, **options, **more)
        yield found.cameras, found.labels, found.bins, found.counts.tolist()


def rolled_up(index):
    return len(list(Path(index.store.root, "rollup").glob("*.parquet")))


def test_a_long_timeline_is_the_same_out_of_the_rollup_and_out_of_the_events(month):
    index = month.open()
    rolled = list(answers(index))
    assert rolled_up(index) == 1
    assert rolled == list(answers(index, min_duration_s=0))  # a filter, which the rollup has not
    assert list(answers(pi.open(index.store.root))) == rolled


def test_the_rollup_knows_new_rewritten_and_erased_files(month):
    index = month.open()
    list(answers(index))
    late = event("late", at(5 * DAY), at(5 * DAY + 9), label="c", video_id="v2", camera="cam2")
    month.finish_videos(
        rows("videos", video("v2", 5 * DAY, 6 * DAY, camera="cam2")), rows("events", late)
    )
    assert list(answers(index)) == list(answers(index, min_duration_s=0))
    maintain.compact(index.store, min_age=timedelta(0))
    assert list(answers(index)) == list(answers(index, min_duration_s=0))
    erase(index.store, Scope.parse(camera="cam0"))
    assert rolled_up(index) == 0  # it held counts of what is erased
    assert list(answers(index)) == list(answers(index, min_duration_s=0))


def test_a_rollup_that_cannot_be_read_or_written_costs_time_alone(month):
    index = month.open()
    expected = list(answers(index))
    [path] = Path(index.store.root, "rollup").glob("*.parquet")
    path.write_bytes(b"PAR1 broken")
    assert list(answers(index)) == expected
    shutil.rmtree(path.parent)
    path.parent.write_text("in the way")
    assert list(answers(index)) == expected


@pytest.fixture(scope="module")
def rolled(tmp_path_factory):
    """Forty days of few events, the files of its rollup, and answers; each test gets a copy."""
    root = tmp_path_factory.mktemp("rolled") / "index"
    made = [event(f"e{n}", at(n * DAY), at(n * DAY + 60), label="abc"[n % 3]) for n in range(40)]
    pi.Writer(root).finish_videos(rows("videos", video("v1", 0, 40 * DAY)), rows("events", *made))
    return root, answer(pi.open(root))


def answer(index):
    found = pi.density(index, at(0), at(40 * DAY), max_bins=40, max_labels=2)
    return found.cameras, found.labels, found.bins, found.counts.tolist()


@pytest.fixture
def foreign(rolled, tmp_path):
    """An index with a rollup of somebody else, its path, and what the index truly answers."""
    root, expected = rolled
    shutil.copytree(root, tmp_path / "index")
    index = pi.open(tmp_path / "index")
    [path] = Path(index.store.root, "rollup").glob("*.parquet")
    held = pq.read_table(path)
    files = held.schema.metadata[b"files"].decode().replace(str(root), index.store.root)
    pq.write_table(held.replace_schema_metadata({"files": files}), path)
    return index, path, expected


STEALS = "-1) UNION ALL SELECT 'cam1', content, 0, 99999, 1 FROM read_text('{secret}') WHERE (true"
FOREIGN = {
    "numbers that are SQL": lambda files: dict.fromkeys(files, STEALS) | {"gone": STEALS},
    "a number that is SQL": lambda files: files | {"gone": STEALS},
    "no number": lambda files: files | {"gone": None},
    "a truth": lambda files: files | {"gone": True},
    "a list": list,
    "a text": str,
}


@pytest.mark.parametrize("files_of", FOREIGN.values(), ids=FOREIGN)
def test_a_rollup_of_somebody_else_reads_no_file_into_a_timeline(foreign, tmp_path, files_of):
    secret = tmp_path / "secret.txt"
    secret.write_text("hunter2")
    index, path, expected = foreign
    held = pq.read_table(path)
    files = files_of(json.loads(held.schema.metadata[b"files"]))
    text = json.dumps(files).replace("{secret}", str(secret))
    pq.write_table(held.replace_schema_metadata({"files": text}), path)
    assert answer(index) == expected


ODD = {
    "other columns": lambda rows: rows.rename_columns(["camera", "label", "a", "b", "num", "file"]),
    "texts": lambda rows: rows.set_column(4, "num", rows["num"].cast(pa.string())),
    "no labels": lambda rows: rows.set_column(1, "label", pa.nulls(rows.num_rows, pa.string())),
    "ends before it begins": lambda rows: rows.set_column(2, "first", pc.add(rows["last"], 9)),
    "absurd": lambda rows: rows.set_column(4, "num", pc.add(rows["num"], 2**62)),
    "negative": lambda rows: rows.set_column(4, "num", pc.negate(rows["num"])),
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_a_rollup_with_odd_figures_ends_no_question(foreign, change):
    index, path, expected = foreign
    held = pq.read_table(path)
    pq.write_table(change(held).replace_schema_metadata(held.schema.metadata), path)
    assert answer(index)[2] == expected[2]


def test_a_rollup_that_is_damaged_inside_costs_time_alone(foreign):
    index, path, expected = foreign
    body = path.stat().st_size - pq.read_metadata(path).serialized_size - 12
    with path.open("r+b") as file:
        file.seek(4)
        file.write(b"\xff" * body)
    assert pq.read_schema(path)
    assert answer(index) == expected
