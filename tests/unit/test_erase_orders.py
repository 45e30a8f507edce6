"""An order to erase stands from its first commit on, whatever dies; nothing else goes by it."""

import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

import pipeline.index as pi
from pipeline.flow.driver import archive as driver
from pipeline.index.erase import apply_orders, erase
from pipeline.index.filters import Where
from pipeline.index.scope import Scope
from pipeline.index.sidecars import search_folder
from pipeline.tables.schema import TABLES as ALL_TABLES
from pipeline.timebase import NS_PER_S, ns_to_datetime
from tests.state.scripted import T0_NS, Archive, KilledError, Recording, at_write, config_of, kill

CAMERAS = ("gate", "yard[1]")
NUM_FILES = 3
FILE_S = 4
OF_THE_MOMENT = {"indexed_at", "decode_cpu_s", "engine_s"}
TABLES = ("videos", "windows", "events", "segments")


def at(seconds):
    return ns_to_datetime(T0_NS + round(seconds * NS_PER_S))


def an_archive():
    """Three files of each camera, one after the other; what they show goes on in the next."""
    archive = Archive()
    for camera in CAMERAS:
        for number in range(NUM_FILES):
            one = Recording(
                uri=f"{camera}/{number}.mp4",
                camera=camera,
                start_ns=T0_NS + number * FILE_S * NS_PER_S,
                rate=0,
                num_frames=FILE_S * 5,
                content=number,  # no file is a copy of another
                showing=((0, 3), (8, 99)),
            )
            archive.recordings[one.uri] = one
    return archive


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """The folder of an index of the archive, to copy."""
    folder = tmp_path_factory.mktemp("indexed") / "index"
    an_archive().index(str(folder), config_of(0))
    return folder


@pytest.fixture
def store(indexed, tmp_path):
    return copy_of(indexed, tmp_path / "index")


def copy_of(indexed, folder):
    shutil.copytree(indexed, folder)
    return pi.Writer(folder).store


def rows_of(store, where=None):
    """Every row of every table that tells of footage, but for when and how fast it was made."""
    index = pi.open(store.root)
    return {
        name: [
            {column: value for column, value in row.items() if column not in OF_THE_MOMENT}
            for row in index.select_all(name, where or Where()).to_pylist()
        ]
        for name in TABLES
    }


def coverage_of(store):
    return pi.open(store.root).coverage().to_pylist()


def orders_of(store):
    return (
        pi.open(store.root).select_all("erasures", Where(), order="ORDER BY asked_at").to_pylist()
    )


def told_between(store, camera, start, end):
    """What is still said about a range: no row of a video, no window but a blank one, no event."""
    index = pi.open(store.root)
    asked = {"camera": camera}
    windows = index.windows(start, end, **asked).to_pylist()
    return [
        *(row for row in windows if row["status"] != "erased"),
        *index.events(start, end, **asked).to_pylist(),
        *index.segments(start, end, **asked).to_pylist(),
    ]


SCOPES = {
    "a camera": Scope.parse(camera="gate"),
    "a file": Scope.parse(video="gate/1.mp4"),
    "a range": Scope.parse(camera="gate", start=at(3.1), end=at(9.3)),
}


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
def test_from_its_first_commit_on_coverage_says_what_it_says_in_the_end(indexed, tmp_path, scope):
    done = copy_of(indexed, tmp_path / "done")
    erase(done, scope)
    expected, rows = coverage_of(done), rows_of(done)
    for number in range(2, 40):
        store = copy_of(indexed, tmp_path / f"killed {number}")
        with suppress(KilledError), at_write(number, kill, before=True):
            erase(store, scope)
            break
        assert coverage_of(store) == expected
        apply_orders(pi.open(store.root))  # as every command does that comes next
        assert rows_of(store) == rows
        assert [order["state"] for order in orders_of(store)] == ["applied"]
    assert number > 4


def test_before_the_order_is_written_nothing_has_happened(store):
    before = rows_of(store)
    with pytest.raises(KilledError), at_write(1, kill, before=True):
        erase(store, SCOPES["a camera"])
    assert rows_of(store) == before
    assert orders_of(store) == []


def test_the_next_run_carries_out_what_was_left_and_does_not_look_there(store):
    with suppress(KilledError), at_write(2, kill, before=True):
        erase(store, SCOPES["a camera"])
    archive = an_archive()
    archive.decode = None  # nothing is looked at
    archive.index(store.root, config_of(0))
    assert told_between(store, "gate", at(0), at(99)) == []
    assert {row["state"] for row in coverage_of(store) if row["camera"] == "gate"} == {"erased"}


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
@pytest.mark.parametrize("number", [3, 5, 8])
def test_a_running_job_does_not_restore_erased_rows(tmp_path, scope, number):
    """The order comes at some commit of a job that has planned to look there."""
    uri = str(tmp_path / "index")
    store = pi.Writer(uri).store
    with at_write(number, lambda: erase(store, scope), before=True):
        an_archive().index(uri, config_of(0))
    assert_is_erased(store, scope)
    assert [order["state"] for order in orders_of(store)] == ["applied"]
    # What was not ordered is there, as if the order had come after the job.
    after = pi.Writer(tmp_path / "after").store
    an_archive().index(after.root, config_of(0))
    assert rows_of(store, Where().add("camera = 'yard[1]'")) == rows_of(
        after, Where().add("camera = 'yard[1]'")
    )


@pytest.mark.parametrize("number", [3, 8])
def test_a_copy_that_a_running_job_commits_after_the_order_is_erased_too(tmp_path, number):
    """When the order is given, the index may not know yet that there is a copy at another time."""
    archive = an_archive()
    named = archive.recordings["gate/1.mp4"]
    copy = replace(named, uri="gate/2.mp4", start_ns=named.start_ns + 60 * NS_PER_S)
    archive.recordings[copy.uri] = copy
    uri = str(tmp_path / "index")
    store = pi.Writer(uri).store
    with at_write(number, lambda: erase(store, SCOPES["a file"]), before=True):
        archive.index(uri, config_of(0))
    assert told_between(store, "gate", at(4), at(8)) == []
    assert told_between(store, "gate", at(64), at(68)) == []


@pytest.mark.parametrize("number", [4, 8])
def test_a_job_killed_before_it_reads_the_order_restores_no_erased_rows(tmp_path, number):
    uri = str(tmp_path / "index")
    store = pi.Writer(uri).store
    scope = SCOPES["a range"]
    given = []

    def order():
        given.append(erase(store, scope))

    def hear(index):
        if given:
            kill()
        apply_orders(index)

    with (
        suppress(KilledError),
        patch.object(driver, "apply_orders", hear),
        at_write(number, order, before=True),
    ):
        an_archive().index(uri, config_of(0))
    assert given[0]["waits_for"]
    apply_orders(pi.open(uri))  # as every command does that comes next
    assert_is_erased(store, scope)
    assert [order["state"] for order in orders_of(store)] == ["applied"]


def assert_is_erased(store, scope):
    index = pi.open(store.root)
    scope = scope.with_known_names(index)
    for name in ("windows", "events", "segments"):
        rows = index.select_all(name, Where(), span=scope.span, cameras=scope.cameras).to_pylist()
        left = [row for row in rows if scope.names(row) and row.get("status") != "erased"]
        assert left == [], name


def test_maintenance_carries_out_an_open_order(store, cli):
    with suppress(KilledError), at_write(2, kill, before=True):
        erase(store, SCOPES["a range"])
    cli.json("maintain", "--index", store.root)
    assert_is_erased(store, SCOPES["a range"])
    assert [order["state"] for order in orders_of(store)] == ["applied"]


def test_the_search_index_in_the_cache_of_its_user_is_removed(store, tmp_path, monkeypatch):
    """There it lies where the index cannot be written, or is in a bucket."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda *_: False)
        assert search_folder(store).is_relative_to(tmp_path / "cache")
        search_folder(store).mkdir(parents=True)
        kept = search_folder(store)
    assert erase(store, SCOPES["a file"])["sidecars"]["search"] == 1
    assert not kept.exists()


def test_the_receipt_names_what_went_and_what_is_out_of_reach(store, cli):
    receipt = cli.json("erase", "--index", store.root, "--camera", "gate")
    [order] = orders_of(store)
    assert dict(order["rows"]) == receipt["rows"]
    assert set(receipt["rows"]) == {*ALL_TABLES} - {"runs", "erasures"}
    assert receipt["rows"]["videos"] == NUM_FILES
    assert any("export" in told for told in receipt["out_of_reach"])
    assert (order["reason"], order["cameras"]) == ("command", ["gate"])


seconds = st.integers(-2, 2 * NUM_FILES * FILE_S).map(lambda half: half / 2)
scopes = st.one_of(
    st.sampled_from(CAMERAS).map(lambda camera: Scope.parse(camera=camera)),
    st.builds(
        lambda camera, number: Scope.parse(video=f"{camera}/{number}.mp4"),
        st.sampled_from(CAMERAS),
        st.integers(0, NUM_FILES - 1),
    ),
    st.builds(
        lambda camera, start, length: Scope.parse(
            camera=camera, start=at(start), end=at(start + length)
        ),
        st.sampled_from((*CAMERAS, None)),
        seconds,
        st.sampled_from([0.2, 0.5, 3.0, 5.5]),
    ),
)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(asked=st.lists(st.tuples(scopes, st.integers(1, 14)), min_size=1, max_size=3))
def test_erasing_that_is_killed_and_asked_again_leaves_the_rows_of_erasing_undisturbed(
    indexed, asked
):
    with tempfile.TemporaryDirectory() as folder:
        undisturbed = copy_of(indexed, Path(folder) / "undisturbed")
        killed = copy_of(indexed, Path(folder) / "killed")
        for given_scope, number in asked:
            scope = given_scope.with_known_names(pi.open(undisturbed.root))
            before = rows_of(undisturbed)
            erase(undisturbed, scope)
            assert_is_erased(undisturbed, scope)
            assert_others_are_untouched(before, rows_of(undisturbed), scope)
            with suppress(KilledError), at_write(number, kill, before=True):
                erase(killed, scope)
            erase(killed, scope)
        assert rows_of(killed) == rows_of(undisturbed)


def assert_others_are_untouched(before, after, scope):
    """Whatever neither is in the scope nor shares a window, a piece or a count with it."""
    cameras = set(scope.cameras.exact) or set(CAMERAS)
    for name in TABLES:
        for row in before[name]:
            is_reached = row["camera"] in cameras and scope.names(row) and scope.overlaps(row)
            parts = [part for part in row.get("parts", ()) if scope.names(part)]
            is_reached |= row["camera"] in cameras and any(map(scope.overlaps, parts))
            assert is_reached or row in after[name]
