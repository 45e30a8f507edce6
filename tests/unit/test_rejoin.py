"""Events over file borders: the same rows in whatever order files come, are killed or repeated."""

import random
import subprocess
import sys
from contextlib import ExitStack
from datetime import timedelta
from fractions import Fraction
from functools import partial

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.index as pi
from pipeline.config import Config
from pipeline.flow.driver.finish import finish_videos, join_events
from pipeline.records import Box, Observation, WindowResult
from pipeline.stitch import events_of_video, join_files
from pipeline.tables.events import events_of_table, events_table
from pipeline.tables.schema import EVENTS
from pipeline.tables.windows import window_results, windows_table
from pipeline.timebase import NS_PER_S, TimeRange
from tests.made import a_video
from tests.unit.test_finish import answered, provenance
from tests.unit.test_stitch import make_video

CONFIG = Config()
REACH = timedelta(seconds=CONFIG.stitch.max_gap_s)

# Files of a minute each; every third event runs over a border, some over several files.
ANSWERS = [((10, 20), (55, 60)), ((0, 60),), ((0, 5), (59, 60)), ((0, 60),), ((0, 3), (30, 31))]
FILES = [answered(make_video(f"v{n}", start_s=60 * n), *events) for n, events in enumerate(ANSWERS)]


def commit(writer, *whole, fingerprint="now"):
    made = finish_videos(whole, config=CONFIG, provenance=provenance(fingerprint))
    join = partial(
        join_events, video_events=made.events, config=CONFIG, provenance=provenance(fingerprint)
    )
    writer.finish_videos(made.videos, segments=made.segments, join=join, reach=REACH)


def events_of(writer):
    return writer.index.events().to_pylist()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What one undisturbed commit of all files leaves."""
    writer = pi.Writer(tmp_path_factory.mktemp("expected"))
    commit(writer, *FILES)
    rows = events_of(writer)
    assert [[p["video_id"] for p in row["parts"]] for row in rows] == [
        ["v0"], ["v0", "v1", "v2"], ["v2", "v3", "v4"], ["v4"],
    ]  # fmt: skip
    return rows


@pytest.mark.parametrize("seed", range(6))
def test_events_do_not_depend_on_the_order_in_which_files_are_finished(tmp_path, expected, seed):
    order = random.Random(seed).sample(FILES, len(FILES))
    writer = pi.Writer(tmp_path)
    for whole in order:
        commit(writer, whole)
    assert events_of(writer) == expected


@pytest.mark.parametrize("number", range(len(FILES)))
def test_a_file_that_is_finished_again_changes_no_event(tmp_path, expected, number):
    # What a driver does that was killed after the events and before the row of the video.
    writer = pi.Writer(tmp_path)
    commit(writer, *FILES)
    version = writer.store.handle("events").version()
    commit(writer, FILES[number])
    assert events_of(writer) == expected
    assert writer.store.handle("events").version() == version  # nothing had to be written


def test_another_fingerprint_takes_its_files_out_of_the_events_of_the_former(tmp_path, expected):
    writer = pi.Writer(tmp_path)
    commit(writer, *FILES)
    commit(writer, FILES[2], fingerprint="new")
    parts = {
        (row["fingerprint"], tuple(part["video_id"] for part in row["parts"]))
        for row in events_of(writer)
    }
    assert parts == {
        ("now", ("v0",)), ("now", ("v0", "v1")), ("now", ("v3", "v4")), ("now", ("v4",)),
        ("new", ("v2",)),
    }  # fmt: skip
    for whole in FILES:
        commit(writer, whole, fingerprint="new")
    assert events_of(writer) == [row | {"fingerprint": "new"} for row in expected]


_PROCESS = """
import sys
import pipeline.index as pi
from tests.unit.test_rejoin import FILES, commit
writer = pi.Writer(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in sys.argv[2:]:
    commit(writer, FILES[int(number)])
"""


def test_two_processes_that_finish_neighbouring_files_at_once_join_them_once(tmp_path, expected):
    # Each finishes all files, in opposite orders, so that both join over every border.
    pi.Writer(tmp_path)
    numbers = [str(n) for n in range(len(FILES))]
    with ExitStack() as stack:
        jobs = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _PROCESS, str(tmp_path), *order],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )
            )
            for order in (numbers, numbers[::-1])
        ]  # fmt: skip
        for job in jobs:
            assert job.stdout.readline() == "ready\n"
        for job in jobs:
            job.stdin.write("go\n")
            job.stdin.flush()
        assert [job.wait(timeout=200) for job in jobs] == [0, 0]
    assert events_of(pi.Writer(tmp_path)) == expected


instants_ns = st.integers(0, 60 * NS_PER_S - 1)


@given(
    base=st.sampled_from([Fraction(1, 30), Fraction(1001, 30000), Fraction(1, 90000)]),
    start_ns=st.integers(0, 10**18),
    found=st.lists(st.tuples(instants_ns, instants_ns, st.floats(0, 1), instants_ns), max_size=4),
)
@settings(max_examples=200, deadline=None)
def test_events_that_were_stored_are_those_that_were_found(base, start_ns, found):
    """Any nanoseconds, boxes and confidences: joined before or after they were stored, the same."""
    observations = [
        Observation(
            window_id=f"w{number}", span=TimeRange(a, max(a + 1, b)), label="x", text=f"t{number}",
            confidence=confidence,
            boxes=(Box(at_ns=at, x0=confidence / 3, y0=0.1, x1=9.7, y1=at / 7),),
        )
        for number, (a, b, confidence, at) in enumerate(found)
    ]  # fmt: skip
    pieces = []
    for number in range(2):
        shown = TimeRange(0, 60 * NS_PER_S)
        video = a_video(
            video_id=f"v{number}", content_id="c", uri="u", camera="cam", time_base=base,
            start_ns=start_ns + number * 60 * NS_PER_S, footage=(shown,),
        )  # fmt: skip
        pieces += events_of_video(
            video, observations, task="t", identity_fields=(), max_gap_ns=NS_PER_S
        )
    joined = join_files(pieces, identity_fields=(), max_gap_ns=NS_PER_S)
    stored = events_of_table(events_table(joined, provenance()))
    assert [event.pieces for event in stored] == [event.pieces for event in joined]
    assert join_files(stored, identity_fields=(), max_gap_ns=NS_PER_S) == joined


@given(
    base=st.sampled_from(
        [Fraction(1, 25), Fraction(1, 30), Fraction(1001, 30000), Fraction(1, 90000)]
    ),
    ticks=st.lists(st.integers(0, 2**31), min_size=2, max_size=2, unique=True),
)
@settings(max_examples=200, deadline=None)
def test_windows_that_were_stored_keep_their_nanoseconds(base, ticks):
    """Else a shard's windows do not add up to what was planned, and it is asked again."""
    video = a_video(
        video_id="v", content_id="c", uri="u", camera="cam", time_base=base,
        footage=(TimeRange(0, 10**18),), origin_pts=0,
    )  # fmt: skip
    start_ns, end_ns = sorted(map(video.media_ns, ticks))
    span = TimeRange(start_ns, max(end_ns, start_ns + 1))
    result = WindowResult(
        window_id="w", shard_id="s", video_id="v", span=span,
        status="quiet", frame_pts=(min(ticks),),
    )  # fmt: skip
    assert window_results(windows_table([(video, result)], provenance())) == [result]


def test_events_of_an_older_index_are_split_and_joined_too(expected):
    # It did not write which file shows what.
    rows = [row | {"pieces": None} for row in expected]
    events = events_of_table(pa.Table.from_pylist(rows, schema=EVENTS))
    assert [[piece.parts for piece in event.pieces] for event in events] == [
        [(part,) for part in event.parts] for event in events
    ]
    again = events_table(join_files(events, identity_fields=(), max_gap_ns=NS_PER_S), provenance())
    assert [row | {"pieces": None} for row in again.to_pylist()] == rows
