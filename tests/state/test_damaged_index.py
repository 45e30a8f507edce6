"""Any damage, once or twice, and a repair that is killed: nothing is told wrongly or lost for good.

make state-test EXAMPLES=500
"""

import contextlib
import json
import os
import shutil
from unittest.mock import patch

import hypothesis.strategies as st
import pytest
from deltalake.exceptions import DeltaError
from hypothesis import given
from hypothesis.stateful import invariant

import pipeline.index as pi
from pipeline.errors import IndexDamagedError
from pipeline.flow.driver.rederive import derive
from pipeline.index import repair as repairing
from pipeline.index.check import check
from pipeline.index.repair import repair
from pipeline.index.store import Store
from pipeline.timebase import NS_PER_S
from tests.damage import DAMAGE
from tests.hard.kill_driver import MEASURED
from tests.state import examples
from tests.state.scripted import (
    T0_NS,
    Archive,
    KilledError,
    Recording,
    at_write,
    config_of,
    kill,
)
from tests.state.test_archive_machine import ArchiveMachine

TABLES = ("videos", "windows", "events", "segments")
CONFIG = config_of(0, {"offset_s": 0.25})


class SoundMachine(ArchiveMachine):
    """Whatever happens to an archive, also a kill at any commit, is no damage."""

    @invariant()
    def what_the_index_says_is_true(self):
        if os.path.exists(self.uri):
            assert check(Store.at(self.uri)) == []


TestSound = SoundMachine.TestCase
TestSound.pytestmark = [pytest.mark.timeout(3600)]  # a busy machine must not fail it
TestSound.settings = examples(4, steps=10)


@pytest.fixture(scope="module")
def archive():
    """Three files of a camera follow each other with an event over both borders; two of another."""
    made = Archive()
    start_ns = T0_NS + 123_456_789
    for name, camera, showing in (
        ("a", "gate", ((0, 3), (9, 99))),
        ("b", "gate", ((0, 99),)),
        ("c", "gate", ((0, 1), (4, 6))),
        ("d", "yard", ((4, 99),)),
        ("e", "yard", ()),
    ):
        start_ns = start_ns if name != "d" else T0_NS + 3600 * NS_PER_S
        one = Recording(
            uri=f"{camera}/{name}.mp4", camera=camera, start_ns=start_ns, rate=2, num_frames=13,
            showing=showing,
        )  # fmt: skip
        made.recordings[one.uri] = one
        start_ns += one.video(config_of(0)).footage[-1].end_ns
    return made


@pytest.fixture(scope="module")
def whole(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "index"
    archive.index(str(folder), CONFIG)
    return folder


def rows_of(index, *tables):
    held = pi.open(index)
    return {
        table: sorted(
            json.dumps({k: v for k, v in row.items() if k not in MEASURED}, default=str)
            for row in held.rows(table).to_pylist()
        )
        for table in tables or TABLES
    }


def damage(index, damages):
    for kind, table in damages:
        # The first may have left nothing for the second, or nothing that can be opened.
        with contextlib.suppress(OSError, IndexError, DeltaError):
            DAMAGE[kind](index, table)


@contextlib.contextmanager
def at_step(number):
    """Killed before the so-many-th file is set aside or table is committed to."""
    left = [number]
    set_aside = repairing._move

    def hooked(*args):
        left[0] -= 1
        if not left[0]:
            kill()
        set_aside(*args)

    with (
        at_write(number, kill, before=True),
        patch.object(repairing, "_move", hooked),
    ):
        yield


def assert_no_reader_gives_less(index, expected):
    for table in TABLES:
        with contextlib.suppress(IndexDamagedError):
            assert set(rows_of(index, table)[table]) >= set(expected[table])


def test_the_archive_proves_something(whole):
    parts = [len(row["parts"]) for row in pi.open(whole).events().to_pylist()]
    assert sorted(parts) == [1, 1, 1, 3]
    assert check(Store.at(whole)) == []


@pytest.mark.timeout(3600)
@examples(4, steps=10)
@given(
    damages=st.lists(
        st.tuples(st.sampled_from(sorted(DAMAGE)), st.sampled_from((*TABLES, "summaries", "runs"))),
        min_size=1,
        max_size=2,
    ),
    killed_at=st.none() | st.integers(1, 6),
)
def test_after_a_repair_and_another_run_all_rows_are_those_of_an_undisturbed_one(
    whole, archive, tmp_path_factory, damages, killed_at
):
    expected = rows_of(whole)
    index = shutil.copytree(whole, tmp_path_factory.mktemp("torn") / "index")
    damage(index, damages)
    assert_no_reader_gives_less(index, expected)
    if killed_at:
        with contextlib.suppress(KilledError), at_step(killed_at):
            repair(Store.at(index), derive)
        if check(Store.at(index)):
            assert_no_reader_gives_less(index, expected)
    repair(Store.at(index), derive)
    assert check(Store.at(index)) == []
    assert repair(Store.at(index), derive) == []
    archive.index(str(index), CONFIG)
    assert rows_of(index) == expected
    assert check(Store.at(index)) == []
    shutil.rmtree(index)
