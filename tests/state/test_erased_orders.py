"""What was erased, while files of a camera take its time over from one another."""

from dataclasses import replace

import pytest

from pipeline.index.erase import Scope
from pipeline.timebase import NS_PER_S, ns_to_datetime
from tests.state.scripted import T0_NS, grown, recording


def begin_with_two(machine, first_s, better_s):
    """Index a file of 2 s, and a better one of 2.9 s, which begin then."""
    first = recording("gate/a.mp4", first_s, 14)
    better = replace(recording("gate/b.mp4", better_s, 20), width=128, content=1)
    machine.begin(first)
    machine.archive.recordings[better.uri] = better
    machine.index(setting=0)
    return first, better


def erase_file(machine, one):
    """The whole file."""
    order = machine.truth.erased_file(one, machine.config)
    machine._erase(Scope.parse(video=one.uri), order, 0)


def erase_time(machine, start_s, end_s):
    """Of the camera ``gate``, in seconds since the first recording."""
    asked = tuple(T0_NS // 1000 + round(at_s * 1_000_000) for at_s in (start_s, end_s))
    start, end = (ns_to_datetime(us * 1000) for us in asked)
    order = machine.truth.erased("gate", asked, machine.config)
    machine._erase(Scope.parse(camera="gate", start=start, end=end), order, 0)


def correct_start(machine, uri, start_s):
    """A sidecar or a name says that the file began then, and the next run reads it."""
    before = machine.archive.recordings[uri]
    after = replace(before, start_ns=T0_NS + round(start_s * NS_PER_S))
    machine.truth.start_was_corrected(before, after, machine.config)
    machine.index(setting=machine.setting)


@pytest.mark.parametrize("what", ["file", "time"])
@pytest.mark.parametrize("start_s", [9.0, 10.5, 11.0])
def test_erased_footage_stays_erased_after_another_file_has_spoken_for_it(machine, what, start_s):
    """Its start was corrected twice: under the other file nothing told of what was erased of it."""
    first, _ = begin_with_two(machine, 20, 10)
    if what == "file":
        erase_file(machine, first)
    else:
        erase_time(machine, 20, 20.9)
    said = machine.erased("gate")
    for at_s in (start_s, 20):
        correct_start(machine, first.uri, at_s)
        machine.what_the_index_says_is_true()
    assert machine.erased("gate") == said


@pytest.mark.parametrize("is_erased", [False, True])
@pytest.mark.parametrize("setting", [0, 1])
def test_a_file_that_was_erased_while_another_spoke_for_it_is_erased_when_that_one_goes(
    machine, is_erased, setting
):
    """Coverage said that there was no footage: the row of an erased file was never made anew."""
    first, better = begin_with_two(machine, 0, 0)
    for one in (first, better)[: 1 + is_erased]:
        erase_file(machine, one)
    machine.setting = setting
    correct_start(machine, better.uri, 9)
    machine.what_the_index_says_is_true()
    assert (T0_NS // 1000, T0_NS // 1000 + 2_000_000) in machine.erased("gate")


def test_time_is_erased_of_every_file_that_shows_it_whichever_speaks_for_it_later(machine):
    """Of a file only what it spoke for was erased, and the rest was shown at another time."""
    first, _ = begin_with_two(machine, 0, 1)
    erase_time(machine, 0.5, 1.5)
    correct_start(machine, first.uri, 30)
    machine.what_the_index_says_is_true()


def test_what_is_indexed_in_spite_of_its_order_is_forgotten_also_where_another_file_speaks_for_it(
    machine,
):
    _, better = begin_with_two(machine, 0, 0)
    erase_time(machine, 0, 1)
    machine.index_in_spite_of_orders()
    correct_start(machine, better.uri, 9)
    machine.what_the_index_says_is_true()
    assert not machine.erased("gate")


@pytest.mark.parametrize("what", ["file", "time"])
def test_a_file_that_grew_remembers_what_was_erased_while_another_spoke_for_it(machine, what):
    first, better = begin_with_two(machine, 0, 0)
    if what == "file":
        erase_file(machine, first)
    else:
        erase_time(machine, 0, 1)
    machine.archive.recordings[first.uri] = grown(first, 9)
    machine.index(setting=0)
    correct_start(machine, better.uri, 9)
    machine.what_the_index_says_is_true()
    low, high = machine.erased("gate")[0]
    assert low == T0_NS // 1000
    assert high >= low + (1_000_000 if what == "time" else 2_000_000)
