"""No file is left out that holds an answer, to the microsecond; and no other is opened in vain."""

from datetime import timedelta
from fnmatch import fnmatchcase

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.index as pi
from pipeline.errors import ConfigError
from pipeline.index.replace import equal, replace
from tests.index_rows import US, at, event, rows

_MS = timedelta(milliseconds=1)
_BEFORE_1970 = -2_000_000_000
# (start, end) in seconds and microseconds of each row; one commit, and so one file, for each.
_ROWS = [
    (10, 0, 999),
    (10, 1, 1000),
    (10, 999, 1001),
    (10, 1000, 1999),
    (20, 0, 500_000),
    (20, 499_999, 500_001),
    (86_400 - 8 * 3600, -1, 1),  # over midnight by a microsecond on either side
    (_BEFORE_1970, -999, -998),  # the log cuts towards zero or down, whichever: both are tried
    (_BEFORE_1970, -1, 0),
    (_BEFORE_1970, 1, 999),
]
_CAMERAS = ["cam1", "cam10", "cam2", "门口"]


def _range(second, first_us, last_us):
    return at(second) + first_us * US, at(second) + last_us * US


_BORDERS = sorted({border for row in _ROWS for border in _range(*row)})
_OFFSETS = [n * US for n in (-1001, -1000, -999, -1, 0, 1, 999, 1000, 1001)]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    writer = pi.Writer(tmp_path_factory.mktemp("pruning"))
    for i, row in enumerate(_ROWS):
        name = f"e{i}"
        one = event(name, *_range(*row), camera=_CAMERAS[i % len(_CAMERAS)])
        replace(writer.store, "events", rows("events", one), equal("event_id", name))
    return writer.open()


@pytest.fixture(scope="module")
def by_file(index):
    """File -> its only row."""
    held = {path: pq.read_table(path, partitioning=None) for path in index.files("events")}
    assert {table.num_rows for table in held.values()} == {1}
    return {path: table.to_pylist()[0] for path, table in held.items()}


@st.composite
def _spans(draw):
    """Ranges that begin and end on, or a little beside, what rows begin and end on."""
    near = st.builds(lambda border, by: border + by, *map(st.sampled_from, (_BORDERS, _OFFSETS)))
    start, end = sorted([draw(near), draw(near)])
    return start, max(end, start + US)


def test_every_border_is_pruned_exactly_from_both_sides(index, by_file):
    """Around each border, to the microsecond: an instant, all before it, all from it on."""
    for instant in sorted({border + by for border in _BORDERS for by in _OFFSETS}):
        for span in ((instant, instant + US), (None, instant), (instant, None)):
            opened = set(index.files("events", *span))
            start, end = span[0] or _BORDERS[0] - timedelta(1), span[1] or _BORDERS[-1] + _MS
            for path, row in by_file.items():
                if row["start"] < end and row["end"] > start:
                    assert path in opened, (span, row)
                if row["end"] + _MS <= start or row["start"] - _MS >= end:
                    assert path not in opened, (span, row)


@settings(max_examples=50, deadline=None)
@given(_spans(), st.sampled_from([None, *_CAMERAS, "cam1*", "*"]))
def test_pruning_loses_no_answer(index, by_file, span, camera):
    found = set(index.events(*span, camera=camera)["event_id"].to_pylist())
    assert found == {
        row["event_id"]
        for row in by_file.values()
        if row["start"] < span[1] and row["end"] > span[0] and _is_of(row["camera"], camera)
    }


def _is_of(camera, wanted):
    return fnmatchcase(camera, wanted or "*")


@settings(max_examples=25, deadline=None)
@given(_spans(), st.integers(1, 5))
def test_a_step_of_a_histogram_counts_what_a_query_of_that_step_finds(index, span, steps):
    start, end = span
    every = max((end - start) / steps, US)
    counted = index.histogram(start, end, every=every).to_pylist()
    assert counted[0]["start"] == start
    assert counted[-1]["end"] == end
    for step, following in zip(counted, [*counted[1:], None], strict=True):
        assert step["num_rows"] == index.events(step["start"], step["end"]).num_rows
        assert following is None or step["end"] == following["start"] == step["start"] + every


def test_a_histogram_is_of_the_cameras_and_labels_that_are_asked_for(index):
    one_hour = (at(0), at(3600))
    assert index.histogram(*one_hour)["num_rows"].to_pylist() == [6]
    assert index.histogram(*one_hour, camera="cam2")["num_rows"].to_pylist() == [1]
    assert index.histogram(*one_hour, label="nothing")["num_rows"].to_pylist() == [0]
    assert index.histogram(at(7200), at(9000))["num_rows"].to_pylist() == [0]


@pytest.mark.parametrize(
    ("start", "end", "every", "message"),
    [
        (None, at(0), timedelta(hours=1), "both ends"),
        (at(0), at(9), timedelta(0), "step"),
        (at(0), at(9), US, "step"),
    ],
)
def test_a_histogram_without_a_tiling_is_refused(index, start, end, every, message):
    with pytest.raises(ConfigError, match=message):
        index.histogram(start, end, every=every)
