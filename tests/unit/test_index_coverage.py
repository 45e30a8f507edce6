"""The state of each moment, compared with an oracle that computes every moment alone."""

import itertools
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.index as pi
from pipeline.index.coverage import SCHEMA, STATES, sweep
from tests.index_rows import T0, US, at, rows, video, window


def states(table, camera="cam1"):
    """``(start, end, state)`` in seconds since T0."""
    return [
        ((row["start"] - T0).total_seconds(), (row["end"] - T0).total_seconds(), row["state"])
        for row in table.to_pylist()
        if row["camera"] == camera
    ]


def assert_tiles(table, start, end):
    """Per camera the rows run from start to end without gap, overlap or equal neighbours."""
    assert table.schema == SCHEMA
    found = table.to_pylist()
    for camera in {row["camera"] for row in found}:
        mine = [row for row in found if row["camera"] == camera]
        assert mine[0]["start"] == start
        assert mine[-1]["end"] == end
        for one, after in itertools.pairwise(mine):
            assert one["end"] == after["start"]
            assert one["state"] != after["state"]
        assert sum((row["end"] - row["start"] for row in mine), timedelta(0)) == end - start


@pytest.fixture
def writer(tmp_path):
    return pi.Writer(tmp_path)


@pytest.fixture
def index(writer):
    """One file of cam1 with a gap in its stream, one without windows, one unreadable."""
    writer.write_windows(
        rows(
            "windows",
            window("a", 0, 0, 100),
            window("a", 1, 100, 200, status="quiet"),
            window("a", 2, 200, 300, status="failed"),
            window("a", 3, 300, 600),
        )
    )
    shown = [{"start": at(0), "end": at(400)}, {"start": at(450), "end": at(600)}]
    unknown = {"video_id": "x", "uri": "x", "status": "failed"}
    writer.finish_videos(
        rows(
            "videos",
            video(footage=shown),
            video("v2", 700, 800),
            video("v3", 800, 900) | {"status": "failed", "footage": []},
            unknown | {"start": at(-9e6), "end": at(-9e6) + US},
        )
    )
    return writer.index


EVERYTHING = [
    (0, 100, "analysed"),
    (100, 200, "quiet"),
    (200, 300, "failed"),
    (300, 400, "analysed"),
    (400, 450, "no_footage"),
    (450, 600, "analysed"),
    (600, 700, "no_footage"),
    (700, 800, "not_analysed"),
    (800, 900, "failed"),
]


def test_without_a_range_it_goes_from_first_to_last_footage(index):
    found = index.coverage()
    assert states(found) == EVERYTHING
    assert_tiles(found, at(0), at(900))


def test_a_range_is_summed_to_exactly_and_what_is_outside_is_no_footage(index):
    start, end = at(-5) - US, at(1000) + US
    found = index.coverage(start, end)
    assert_tiles(found, start, end)
    assert [s for _, _, s in states(found)] == [
        "no_footage",
        *(s for *_, s in EVERYTHING),
        "no_footage",
    ]
    assert states(index.coverage(at(99.5), at(100.5))) == [
        (99.5, 100, "analysed"),
        (100, 100.5, "quiet"),
    ]
    assert states(index.coverage(at(100), at(100) + US)) == [(100, 100.000001, "quiet")]


def test_an_open_end_is_the_first_or_last_footage(index):
    assert states(index.coverage(at(750))) == [(750, 800, "not_analysed"), (800, 900, "failed")]
    assert states(index.coverage(None, at(50))) == [(0, 50, "analysed")]
    assert index.coverage(at(2000)).num_rows == 0


def test_a_camera_without_footage_in_the_range_has_no_footage(index):
    assert states(index.coverage(at(5000), at(6000))) == [(5000, 6000, "no_footage")]
    asked = index.coverage(at(0), at(10), camera=["cam1", "never-seen"])
    assert states(asked, "never-seen") == [(0, 10, "no_footage")]
    assert index.coverage(at(0), at(10), camera="zz*").num_rows == 0


def test_where_files_overlap_the_highest_state_applies(writer):
    writer.write_windows(
        rows(
            "windows",
            window("a", 0, 0, 300, status="failed"),
            window("b", 0, 100, 200, video_id="v2", status="quiet"),
            window("c", 0, 150, 160, video_id="v3"),
        )
    )
    writer.finish_videos(
        rows("videos", video("v1", 0, 300), video("v2", 100, 350), video("v3", 150, 160))
    )
    assert states(writer.index.coverage()) == [
        (0, 100, "failed"),
        (100, 150, "quiet"),
        (150, 160, "analysed"),
        (160, 200, "quiet"),
        (200, 300, "failed"),
        (300, 350, "not_analysed"),
    ]


def test_a_file_of_which_all_windows_failed_says_nothing_of_what_it_does_not_show(writer):
    """As a pause of the recorder, or what another file speaks for."""
    shown = [{"start": at(0), "end": at(100)}, {"start": at(150), "end": at(200)}]
    windows = (window("a", 0, 0, 200, status="failed"),)
    writer.write_windows(rows("windows", *windows))
    writer.finish_videos(rows("videos", video("v1", 0, 300, footage=shown) | {"status": "failed"}))
    assert states(writer.index.coverage()) == [
        (0, 100, "failed"),
        (100, 150, "no_footage"),
        (150, 200, "failed"),
    ]


def test_windows_of_an_unfinished_video_count_and_stale_ones_do_not(writer):
    writer.write_windows(rows("windows", window("a", 0, 0, 100)))
    assert states(writer.index.coverage()) == [(0, 100, "analysed")]
    writer.finish_videos(rows("videos", video("v1", 0, 300)))
    writer.write_windows(rows("windows", window("b", 0, 100, 300, fingerprint="f2")))
    assert states(writer.index.coverage()) == [(0, 100, "analysed"), (100, 300, "not_analysed")]


def test_coverage_can_be_limited_to_a_task(writer):
    writer.write_windows(rows("windows", window("a", 0, 0, 300)))
    writer.finish_videos(rows("videos", video("v1", 0, 300)))
    writer.finish_videos(rows("videos", video("v1", 0, 300, task="u")))
    assert states(writer.index.coverage()) == [(0, 300, "analysed")]
    assert states(writer.index.coverage(task="u")) == [(0, 300, "not_analysed")]


ranges = st.lists(
    st.tuples(st.integers(-20, 60), st.integers(1, 30), st.integers(1, 4)), max_size=12
)


@given(st.integers(-10, 30), st.integers(1, 40), ranges)
@settings(max_examples=300, deadline=None)
def test_sweep_gives_each_moment_its_highest_level(start, length, given_ranges):
    starts, lengths, levels = np.array(given_ranges, dtype=np.int64).reshape(-1, 3).T
    end = start + length
    borders, found = sweep(start, end, starts, starts + lengths, levels.astype(np.int8))
    assert (borders[0], borders[-1]) == (start, end)
    assert np.all(np.diff(borders) > 0)
    assert np.all(np.diff(found) != 0)
    for moment in range(start, end):
        expected = max((v for s, n, v in given_ranges if s <= moment < s + n), default=0)
        assert found[np.searchsorted(borders, moment, side="right") - 1] == expected


moments = st.integers(0, 40)
spans = st.tuples(moments, st.integers(1, 12)).map(lambda t: (t[0], t[0] + t[1]))
files = st.lists(
    st.tuples(
        spans,
        st.sampled_from(["done", "unanswered", "failed", "unfinished"]),
        st.lists(st.tuples(spans, st.sampled_from(["analysed", "quiet", "failed"])), max_size=3),
        st.lists(spans, max_size=2),
    ),
    min_size=1,
    max_size=4,
)


def _moment(us):
    return T0 + us * US


def _moment(us):
    return T0 + us * US


def _cut(inner, outer):
    """The part of a range that lies in another, if any."""
    start, end = max(inner[0], outer[0]), min(inner[1], outer[1])
    return [(start, end)] if start < end else []


def _file(n, span, status, looked, footage):
    """Windows rows, videos rows, and what they say: ``(start, end, state)``."""
    between = {"start": _moment(span[0]), "end": _moment(span[1])}
    is_known = status in {"done", "unanswered"}
    shown = [part for one in footage for part in _cut(one, span)] if is_known else []
    told = [{"start": _moment(a), "end": _moment(b)} for a, b in shown or [span]]
    mine = video(f"v{n}") | between | {"status": "failed" if status == "unanswered" else status}
    if status == "failed":
        lasts = span[1] - span[0] > 1
        return [], [mine | {"footage": []}], [(*span, "failed")] if lasts else []
    seen = [(part, state) for one, state in looked for part in _cut(one, span)]
    windows = [
        window(f"v{n}", i, 0, 1, video_id=f"v{n}", status=state)
        | {"start": _moment(a), "end": _moment(b)}
        for i, ((a, b), state) in enumerate(seen)
    ]
    known = [(*p, state) for one, state in seen for s in shown or [span] for p in _cut(one, s)]
    if status == "unfinished":
        return windows, [], known
    level = "failed" if status == "unanswered" else "not_analysed"
    footage_known = [(a, b, level) for a, b in shown or [span]]
    return windows, [mine | {"footage": told}], known + footage_known


@given(files, st.tuples(moments, moments))
@settings(max_examples=25, deadline=None)
def test_coverage_equals_an_oracle_at_each_microsecond(tmp_path_factory, archive, asked):
    parts = [_file(n, *one) for n, one in enumerate(archive)]
    windows, videos, known = ([row for part in parts for row in part[i]] for i in range(3))
    writer = pi.Writer(tmp_path_factory.mktemp("index"))
    writer.write_windows(rows("windows", *windows))
    writer.finish_videos(rows("videos", *videos))
    first, last = min(asked), max(asked) + 1
    found = writer.index.coverage(_moment(first), _moment(last), camera="cam1")
    assert_tiles(found, _moment(first), _moment(last))
    for us in range(first, last):
        states_there = [state for a, b, state in known if a <= us < b]
        (state,) = (r["state"] for r in found.to_pylist() if r["start"] <= _moment(us) < r["end"])
        assert state == max(states_there, key=STATES.index, default="no_footage")


@pytest.mark.parametrize("status", ["superseded", "erased"])
def test_a_file_without_a_known_time_gives_no_moment_a_state(writer, status):
    inside = video("b", 100, 300, status=status, footage=[], overlap_s=200.0, config="{}")
    writer.finish_videos(rows("videos", video("a", 0, 400), inside))
    assert states(writer.index.coverage(start=at(0), end=at(500))) == [
        (0, 400, "not_analysed"),
        (400, 500, "no_footage"),
    ]
