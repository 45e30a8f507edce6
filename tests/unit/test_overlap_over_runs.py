"""Which file owns a moment does not depend on which file was indexed first, nor on when."""

import itertools
import os
import shutil
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config import Config
from pipeline.flow.driver import archive as driver
from pipeline.index import Writer, open_index
from pipeline.index.erase import erase
from pipeline.index.scope import Scope
from pipeline.records import Source
from pipeline.timebase import datetime_to_ns
from tests.hard.without_ray import leave_out_ray
from tests.index_rows import at
from tests.videos import make_video

SIZES = {"small": (96, 64), "large": (128, 96)}
SECONDS = {"short": 5, "long": 12}
CONFIG = {"sample": {"fps": 2}, "plan": {"max_window_frames": 4, "shard_cost_s": 0.001}}
# Columns that differ between two runs with the same result: when they ran, and what they spent.
SPENT = ("indexed_at", "decode_cpu_s", "engine_s", "config")


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """A video of each size and length, and two of each that differ in their bytes."""
    folder = tmp_path_factory.mktemp("footage")
    return {
        (size, length, which): make_video(
            folder / f"{size}_{length}_{which}.mp4", num_frames=4 * seconds, rate=4,
            gop=4 + which, bframes=0, width=width, height=height,
        )
        for size, (width, height) in SIZES.items()
        for length, seconds in SECONDS.items()
        for which in range(2)
    }  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _here():
    ours = ("running_ray", "probe_graph", "answer_graph")
    with mock.patch.multiple(driver, **{name: getattr(driver, name) for name in ours}):
        leave_out_ray()
        yield


def listed(path, start_s, name=None) -> Source:
    return Source(
        uri=name or str(path), num_bytes=os.path.getsize(path), etag="", camera="cam1",
        clock="path", start_ns=datetime_to_ns(at(start_s)),
    )  # fmt: skip


def run(where, sources, batch_videos=None, **more):
    config = Config.model_validate({**CONFIG, "commit": {"batch_videos": batch_videos}, **more})
    ordered = sorted(sources, key=lambda source: (source.start_ns, source.uri))
    return driver.index_archive(ordered, config, str(where), on_progress=lambda _: None)


def rows_of(where):
    """All rows of an index without the columns ``SPENT``, and its coverage."""
    index = open_index(where)
    tables = {}
    for table, key in (("videos", "uri"), ("windows", "window_id"), ("events", "event_id")):
        rows = index.rows(table).drop_columns(
            [name for name in SPENT if name in index.rows(table).column_names]
        )
        tables[table] = sorted(rows.to_pylist(), key=lambda row, key=key: row[key])
    return tables | {"coverage": index.coverage().to_pylist()}


def owned(where):
    """The seconds that each file owns, by its name."""
    return {
        Path(row["uri"]).stem: [
            tuple((span[end] - at(0)).total_seconds() for end in ("start", "end"))
            for span in row["footage"]
        ]
        for row in open_index(where).videos().to_pylist()
        if row["status"] != "failed"
    }


@st.composite
def archives(draw):
    """The content, start and name of each file."""
    names = draw(st.permutations("abcd"))
    return [
        (
            (draw(st.sampled_from(sorted(SIZES))), draw(st.sampled_from(sorted(SECONDS))),
             draw(st.integers(0, 1))),
            draw(st.sampled_from([0, 1.3, 4, 5, 6.75, 9])),
            f"{name}.mp4",
        )
        for name in names[: draw(st.integers(2, 4))]
    ]  # fmt: skip


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=archives(), data=st.data())
def test_any_order_of_files_and_any_split_into_runs_gives_the_rows_of_a_new_index(
    files, data, footage, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("orders")
    sources = []
    for kind, start_s, name in files:
        path = folder / name
        shutil.copy(footage[kind], path)
        sources.append(listed(path, start_s))
    if len({(kind, start_s) for kind, start_s, _ in files}) < len(files):
        return  # two copies are one video
    run(folder / "fresh", sources, data.draw(st.sampled_from([None, 1, 2])))
    order = data.draw(st.permutations(sources))
    cuts = [data.draw(st.booleans()) for _ in order]
    listed_so_far = []
    for source, cut in zip(order, cuts, strict=True):
        listed_so_far.append(source)
        if cut:
            run(folder / "grown", listed_so_far, data.draw(st.sampled_from([None, 1, 2])))
    run(folder / "grown", sources)
    assert rows_of(folder / "grown") == rows_of(folder / "fresh")
    again = run(folder / "grown", sources)
    assert again.videos_skipped == len(sources)
    shutil.rmtree(folder)


@pytest.fixture
def archive(tmp_path, footage):
    """12 s of a camera with a small picture, and 5 s from the fifth second on with a large one."""
    small = Path(shutil.copy(footage["small", "long", 0], tmp_path / "small.mp4"))
    large = Path(shutil.copy(footage["large", "short", 0], tmp_path / "large.mp4"))
    return listed(small, 0), listed(large, 5)


def test_a_better_file_owns_time_that_an_indexed_file_owned_before(tmp_path, archive):
    small, large = archive
    run(tmp_path / "index", [small])
    assert owned(tmp_path / "index") == {"small": [(0, 12)]}
    then = run(tmp_path / "index", archive)
    assert owned(tmp_path / "index") == {"small": [(0, 5), (10, 12)], "large": [(5, 10)]}
    assert (then.videos_done, then.videos_skipped) == (2, 0)
    [row] = [row for row in open_index(tmp_path / "index").videos().to_pylist() if row["yielded"]]
    assert [
        (part["start"], part["end"], part["to_uri"]) for part in row["yielded"]
    ] == [(at(5), at(10), large.uri)]  # fmt: skip


def test_windows_of_time_that_a_file_still_owns_are_not_answered_again(tmp_path, archive):
    small, _ = archive
    run(tmp_path / "index", [small])
    before = {row["window_id"] for row in rows_of(tmp_path / "index")["windows"]}
    then = run(tmp_path / "index", archive)
    after = {row["window_id"] for row in rows_of(tmp_path / "index")["windows"]}
    reused = before & after
    assert reused
    assert sum(then.windows.values()) == len(after - reused)


def test_a_file_that_is_no_longer_listed_keeps_its_time(tmp_path, archive):
    small, large = archive
    run(tmp_path / "index", [small])
    run(tmp_path / "index", [large])
    assert owned(tmp_path / "index") == {"small": [(0, 12)], "large": []}


def test_files_of_two_folders_give_the_same_rows_once_both_are_listed(tmp_path, archive):
    small, large = archive
    run(tmp_path / "index", [small])
    run(tmp_path / "index", [large])
    run(tmp_path / "index", archive)
    run(tmp_path / "fresh", archive)
    assert rows_of(tmp_path / "index") == rows_of(tmp_path / "fresh")
    assert run(tmp_path / "index", archive).videos_skipped == 2


@pytest.mark.parametrize("moment", ["probe_graph", "answer_graph"])
def test_a_run_that_dies_while_the_owner_of_time_changes_is_completed_by_the_next(
    tmp_path, archive, moment
):
    small, _ = archive
    run(tmp_path / "index", [small])
    calls = itertools.count()
    original = getattr(driver, moment)

    def fail(*arguments):
        if moment == "answer_graph" or next(calls):
            raise KeyboardInterrupt
        return original(*arguments)

    with mock.patch.object(driver, moment, fail), pytest.raises(KeyboardInterrupt):
        run(tmp_path / "index", archive)
    assert "large" not in owned(tmp_path / "index")
    run(tmp_path / "index", archive)
    run(tmp_path / "fresh", archive)
    assert rows_of(tmp_path / "index") == rows_of(tmp_path / "fresh")


def test_a_file_owns_its_time_again_when_the_clock_of_the_better_file_is_corrected(
    tmp_path, archive
):
    small, large = archive
    inside = listed(small.uri, 5)
    whole = listed(large.uri, 5)
    run(tmp_path / "index", [inside, whole])
    assert owned(tmp_path / "index")["large"] == [(5, 10)]
    moved = listed(large.uri, 60)
    run(tmp_path / "index", [inside, moved])
    run(tmp_path / "fresh", [inside, moved])
    assert owned(tmp_path / "index") == {"small": [(5, 17)], "large": [(60, 65)]}
    assert rows_of(tmp_path / "index") == rows_of(tmp_path / "fresh")


def test_a_superseded_file_is_indexed_again_when_its_owner_is_replaced_by_another_file(
    tmp_path, footage
):
    inner = listed(shutil.copy(footage["small", "short", 0], tmp_path / "inner.mp4"), 2)
    outer = tmp_path / "outer.mp4"
    shutil.copy(footage["large", "long", 0], outer)
    run(tmp_path / "index", [inner, listed(outer, 0)])
    assert owned(tmp_path / "index") == {"inner": [], "outer": [(0, 12)]}
    shutil.copy(footage["large", "short", 0], outer)
    then = [inner, listed(outer, 0)]
    run(tmp_path / "index", then)
    assert owned(tmp_path / "index") == {"inner": [(5, 7)], "outer": [(0, 5)]}
    run(tmp_path / "fresh", then)
    assert rows_of(tmp_path / "index") == rows_of(tmp_path / "fresh")


def test_the_time_of_an_erased_owner_stays_erased_and_the_other_file_is_not_cut_anew(
    tmp_path, archive
):
    _, large = archive
    run(tmp_path / "index", archive)
    before = owned(tmp_path / "index")["small"]
    erase(Writer(tmp_path / "index").store, Scope.parse(video=large.uri))
    run(tmp_path / "index", archive)
    index = open_index(tmp_path / "index")
    states = {
        ((row["start"] - at(0)) / timedelta(seconds=1), row["state"])
        for row in index.coverage().to_pylist()
    }
    assert states == {(0, "analysed"), (5, "erased"), (10, "analysed")}
    assert owned(tmp_path / "index")["small"] == before == [(0, 5), (10, 12)]
    assert run(tmp_path / "index", archive).videos_skipped == 2


def test_overlaps_under_new_settings_are_resolved_as_in_a_new_index(tmp_path, archive):
    small, large = archive
    run(tmp_path / "index", [small])
    run(tmp_path / "index", [large])
    other = {"sample": {"fps": 1}}
    for batch_videos in (1, None):
        run(tmp_path / "index", archive, batch_videos, **other)
        run(tmp_path / f"fresh {batch_videos}", archive, batch_videos, **other)
        assert rows_of(tmp_path / "index") == rows_of(tmp_path / f"fresh {batch_videos}")
