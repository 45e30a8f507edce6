"""Orders of events that were wrong once, played by hand on the machine that found most of them."""

from dataclasses import replace

import pytest
from deltalake import DeltaTable

import pipeline.index as pi
from pipeline.index.erase import Scope
from pipeline.timebase import NS_PER_S, ns_to_datetime
from tests.state.scripted import RATES, T0_NS, config_of, grown, recording
from tests.state.truth import without


@pytest.mark.parametrize("number", range(1, 10))
def test_a_change_of_setting_that_is_killed_and_taken_back_loses_nothing(machine, number):
    """Half of what the old rows told of was gone, and they went on saying that it was done."""
    machine.begin(recording("gate/a.mp4", 0, 13))
    machine.index(setting=0)
    machine.index_and_be_killed(setting=1, number=number, before=True)
    machine.index(setting=0)
    machine.what_the_index_says_is_true()


@pytest.mark.parametrize("offset_s", [0.25, -1.5, 3600.0])
def test_a_time_that_was_erased_stays_erased_when_the_clock_is_set_right(machine, offset_s):
    machine.begin(recording("gate/a.mp4", 0, 60))
    machine.index(setting=0)
    order = machine.truth.erased("gate", (T0_NS // 1000, T0_NS // 1000 + 900_000), config_of(0))
    start, end = (ns_to_datetime(us * 1000) for us in order.asked)
    machine._erase(Scope.parse(camera="gate", start=start, end=end), order, 0)
    machine.correct_clock(offset_s=offset_s, rate_ppm=0.0)
    machine.what_the_index_says_is_true()


@pytest.mark.parametrize("offset_s", [0.25, -1.5, 3600.0])
@pytest.mark.parametrize("rate_ppm", [0.0, -3000.0])
def test_a_file_recorded_anew_leaves_no_rows_at_the_time_of_the_uncorrected_clock(
    machine, offset_s, rate_ppm
):
    machine.begin(recording("gate/a.mp4", 0, 20))
    machine.index(setting=0)
    before = machine.archive.recordings["gate/a.mp4"]
    machine.archive.recordings["gate/a.mp4"] = replace(before, content=1, showing=((4, 6),))
    machine.truth.clock = {"offset_s": offset_s, "rate_ppm": rate_ppm}
    machine.index(setting=0)
    machine.what_the_index_says_is_true()
    assert pi.open(machine.uri).videos().num_rows == 1


@pytest.mark.parametrize("what", ["clock", "start", "content"])
def test_a_file_that_is_not_what_it_was_leaves_no_rows_though_the_model_answers_nothing(
    machine, what
):
    """The old rows told of a time at which nothing was recorded, or of frames that are gone."""
    machine.begin(recording("gate/a.mp4", 0, 20))
    machine.index(setting=0)
    before = machine.archive.recordings["gate/a.mp4"]
    if what == "clock":
        machine.truth.clock = {"offset_s": 3600.0, "rate_ppm": 0.0}
    elif what == "start":
        later = replace(before, start_ns=before.start_ns + 3600 * NS_PER_S)
        machine.archive.recordings["gate/a.mp4"] = later
    else:
        anew = replace(before, content=1, showing=((4, 6),))
        machine.archive.recordings["gate/a.mp4"] = anew
    machine.archive.unanswered["gate/a.mp4"] = 1
    machine.truth.unanswered.add("gate/a.mp4")
    machine.index(setting=0)
    machine.what_the_index_says_is_true()
    index = pi.open(machine.uri)
    assert [row["status"] for row in index.videos().to_pylist()] == ["failed"]
    assert index.events().num_rows == 0


def test_what_is_indexed_in_spite_of_its_order_leaves_no_file_of_a_later_batch_with_a_hole(machine):
    """A batch has three files: the last one loses its erased part while the first are planned."""
    machine.begin(recording("gate/a.mp4", 0, 9))
    machine.add_file(recording("gate/b.mp4", 60, 9))
    machine.add_file(recording("gate/c.mp4", 120, 40))
    machine.add_file(recording("gate/d.mp4", 123.05, 60))
    machine.index(setting=0)
    erased = machine.archive.recordings["gate/c.mp4"]
    order = machine.truth.erased_file(erased, config_of(0))
    machine._erase(Scope.parse(video=erased.uri), order, 0)
    machine.index(setting=1)
    for uri in ("gate/a.mp4", "gate/b.mp4"):  # they are due as well, and come first
        machine.archive.recordings[uri] = grown(machine.archive.recordings[uri], 4)
    machine.index_in_spite_of_orders()
    machine.what_the_index_says_is_true()


@pytest.mark.parametrize("later_ns", [0, 1, 999, 1000])
def test_files_that_begin_in_one_microsecond_are_ordered_by_name_however_often_they_are_read(
    machine, later_ns
):
    """Tables hold microseconds: what is finer must not decide, or a later run decides otherwise."""
    machine.begin(replace(recording("gate/a.mp4", later_ns / NS_PER_S, 17), showing=((4, 6),)))
    machine.add_file(replace(recording("gate/d.mp4", 0, 9), showing=()))
    for setting in (0, 1, 0):
        machine.index(setting=setting)
        machine.what_the_index_says_is_true()


@pytest.mark.parametrize(("number", "before"), [(6, False), (7, True), (8, False)])
def test_a_run_that_lost_its_lease_between_two_of_its_commits_writes_no_more(
    machine, number, before
):
    """The second run found that a file yields time; the first had not, and would write so."""

    def add(uri, start_s, num_frames, rate, showing=(), width=64):
        file = recording(uri, start_s, num_frames)
        machine.add_file(replace(file, rate=rate, showing=showing, width=width))

    first = recording("yard[1]/a.mp4", 5, 6)
    machine.begin(replace(first, rate=3, showing=()))
    add("yard[1]/d.mp4", 1, 24, 2)
    add("gate/d.mp4", 3.623456789, 7, 1, ((1, 2), (5, 11)))
    add("gate/b.mp4", 2.500000499, 7, 3, ((4, 6),), width=128)
    machine.index(setting=1)
    machine.setting = 0
    yard = machine.archive.recordings[first.uri]
    machine.archive.recordings[first.uri] = replace(yard, content=1, showing=((4, 6),))
    machine.index_while_another_does(before=before, number=number)
    machine.what_the_index_says_is_true()


def test_an_erased_file_that_has_grown_since_is_not_looked_at_under_another_name(machine):
    """What was known of the erased content went with the row that the grown file replaced."""
    first = recording("gate/a.mp4", 0, 12)
    machine.begin(first)
    machine.index(setting=0)
    machine._erase(Scope.parse(video=first.uri), machine.truth.erased_file(first, config_of(0)), 0)
    machine.archive.recordings[first.uri] = grown(first, 9)
    machine.index(setting=0)
    machine.what_the_index_says_is_true()
    copy = replace(first, uri="gate/b.mp4", start_ns=first.start_ns + 20 * NS_PER_S)
    machine.archive.recordings[copy.uri] = copy
    machine.index(setting=0)
    machine.what_the_index_says_is_true()


def test_a_clock_may_move_an_erased_file_over_a_window_of_the_next_one(machine):
    """Which then goes as a whole, as does any that reaches into what was erased."""
    first = replace(recording("gate/a.mp4", 5.2, 11), rate=0)
    after = replace(recording("gate/b.mp4", 7.4, 10), rate=0)
    machine.begin(first)
    machine.archive.recordings[after.uri] = after
    machine.index(setting=0)
    machine._erase(Scope.parse(video=first.uri), machine.truth.erased_file(first, config_of(0)), 0)
    machine.correct_clock(offset_s=7.000001, rate_ppm=40.0)
    machine.what_the_index_says_is_true()


def test_a_copy_of_an_erased_file_stays_erased_up_to_there_when_it_grows(machine):
    first = recording("gate/a.mp4", 0, 8)
    machine.begin(first)
    machine.index(setting=0)
    order = machine.truth.erased_file(first, config_of(0))
    machine._erase(Scope.parse(video=first.uri), order, 0)
    copy = replace(first, uri="gate/b.mp4", start_ns=T0_NS + 60 * NS_PER_S)
    for at_that_time in (copy, grown(copy, 9)):
        machine.archive.recordings[copy.uri] = at_that_time
        machine.index(setting=0)
        machine.what_the_index_says_is_true()
    ranges = pi.open(machine.uri).coverage(start=ns_to_datetime(copy.start_ns)).to_pylist()
    assert [row["state"] for row in ranges] == ["erased", "analysed"]


def test_a_file_whose_own_part_is_erased_takes_no_time_from_the_file_that_shows_the_rest(machine):
    """Its row said that it was erased from its beginning to its end, and the next run obeyed."""
    machine.begin(recording("gate/a.mp4", 0, 21))
    machine.add_file(replace(recording("gate/b.mp4", 1, 21), width=128, content=1))
    machine.index(setting=0)
    order = machine.truth.erased("gate", (T0_NS // 1000, T0_NS // 1000 + 900_000), config_of(0))
    start, end = (ns_to_datetime(us * 1000) for us in order.asked)
    machine._erase(Scope.parse(camera="gate", start=start, end=end), order, 0)
    for setting in (1, 0, 1):
        machine.index(setting=setting)
        machine.what_the_index_says_is_true()


def test_files_that_yielded_time_to_an_erased_file_are_not_asked_again_one_run_after_the_other(
    machine,
):
    """Each run cut those anew that had yielded to the file of the run before, and lost a window."""
    first = replace(recording("gate/a.mp4", 0, 30), showing=())
    machine.begin(first)
    for uri, start_s, content in (("gate/b.mp4", 0.12, 1), ("gate/c.mp4", 0.5, 2)):
        machine.add_file(replace(recording(uri, start_s, 30), showing=(), content=content, rate=3))
    machine.index(setting=0)
    machine._erase(Scope.parse(video=first.uri), machine.truth.erased_file(first, config_of(0)), 0)
    said = pi.open(machine.uri).coverage().to_pylist()
    for _ in range(3):
        machine.index_what_is_indexed()
        assert pi.open(machine.uri).coverage().to_pylist() == said


@pytest.mark.parametrize("rate", range(len(RATES)))
@pytest.mark.parametrize("odd_ns", [0, 499])
def test_however_often_a_file_is_cut_anew_no_more_of_it_is_left_out_than_was_erased(
    machine, rate, odd_ns
):
    """One more frame was, each time: the border that the table had rounded down lay in it."""
    first = recording("gate/a.mp4", 0, 30)
    machine.begin(replace(first, rate=rate, start_ns=first.start_ns + odd_ns))
    machine.index(setting=0)
    asked = T0_NS // 1000 + 3_500_000, T0_NS // 1000 + 4_000_000
    start, end = (ns_to_datetime(us * 1000) for us in asked)
    order = machine.truth.erased("gate", asked, config_of(0))
    machine._erase(Scope.parse(camera="gate", start=start, end=end), order, 0)
    erased = machine.erased("gate")
    assert len(erased) == 1
    for setting in (1, 0):
        longer = grown(machine.archive.recordings["gate/a.mp4"], 3)
        machine.archive.recordings["gate/a.mp4"] = longer
        machine.index(setting=setting)
        assert machine.erased("gate") == erased


@pytest.mark.parametrize("is_camera", [False, True])
def test_however_often_a_clock_is_set_right_no_more_is_left_out_than_was_erased(machine, is_camera):
    """What was erased moves with its frames; where it once seemed to be is looked at."""
    first = recording("gate/a.mp4", 0, 30)
    machine.begin(first)
    machine.index(setting=0)
    asked = T0_NS // 1000 + 1_000_000, T0_NS // 1000 + 1_500_000
    order = machine.truth.erased("gate", asked, config_of(0))
    start, end = (ns_to_datetime(us * 1000) for us in asked)
    machine._erase(Scope.parse(camera="gate", start=start, end=end), order, 0)
    [(low, high)] = machine.erased("gate")
    for offset_s in (1.25, -1.5, 0.5):
        if is_camera:
            machine.is_settled = True
            machine.correct_clock(offset_s=offset_s, rate_ppm=0.0)
        else:
            start_ns = first.start_ns + round(offset_s * NS_PER_S)
            before = machine.archive.recordings["gate/a.mp4"]
            after = replace(first, start_ns=start_ns)
            machine.truth.start_was_corrected(before, after, machine.config)
            machine.index(setting=0)
        moved_us = round(offset_s * 1_000_000)
        assert machine.erased("gate") == [(low + moved_us, high + moved_us)]


@pytest.mark.parametrize("what", ["store", "recorder", *range(4, 9)])
def test_erased_time_stays_erased_while_a_better_file_takes_it_over(machine, what):
    """The rows that told of it went before the better file had any."""
    machine.begin(recording("gate/a.mp4", 0, 30))
    machine.index(setting=0)
    asked = T0_NS // 1000 + 600_000, T0_NS // 1000 + 3_900_000
    order = machine.truth.erased("gate", asked, config_of(0))
    start, end = (ns_to_datetime(us * 1000) for us in asked)
    machine._erase(Scope.parse(camera="gate", start=start, end=end), order, 0)
    better = replace(recording("gate/b.mp4", 0.3, 30), width=128)
    machine.archive.recordings[better.uri] = better
    if what == "store":
        machine.archive.num_readable[better.uri] = 26
        machine.run()
        machine.archive.num_readable.clear()
    elif what == "recorder":
        machine.archive.written.add(better.uri)
        machine.run()
        machine.archive.written.clear()
    else:
        machine.index_and_be_killed(setting=0, number=what, before=True)
    machine.index(setting=0)
    machine.what_the_index_says_is_true()
    assert not without(asked, machine.erased("gate"))


def test_the_time_that_an_erased_file_leaves_is_looked_at_in_the_same_run(machine):
    """Its start was corrected; what another file shows of that time belonged to nobody."""
    machine.begin(replace(recording("gate/a.mp4", 0, 14), width=128))
    machine.archive.recordings["gate/b.mp4"] = recording("gate/b.mp4", 0, 7)
    machine.index(setting=0)
    before = machine.archive.recordings["gate/a.mp4"]
    order = machine.truth.erased_file(before, machine.config)
    machine._erase(Scope.parse(video=before.uri), order, 0)
    machine.index(setting=0)
    after = replace(before, start_ns=before.start_ns + 4 * NS_PER_S)
    machine.truth.start_was_corrected(before, after, machine.config)
    machine.index(setting=0)
    machine.what_the_index_says_is_true()


@pytest.mark.parametrize("number", range(3, 10))
def test_the_time_that_a_better_file_leaves_is_looked_at_though_the_run_was_killed(machine, number):
    """Its old row was pending then, and what had yielded to it was thought to do so still."""
    better = replace(recording("gate/a.mp4", 0, 14), width=128)
    machine.begin(better)
    machine.archive.recordings["gate/b.mp4"] = recording("gate/b.mp4", 0, 7)
    machine.index(setting=0)
    after = replace(better, start_ns=better.start_ns + 4 * NS_PER_S)
    machine.truth.start_was_corrected(better, after, machine.config)
    machine.index_and_be_killed(setting=0, number=number, before=True)
    machine.index(setting=0)
    machine.what_the_index_says_is_true()


def test_a_file_is_erased_by_the_name_of_a_copy_that_came_with_it(machine):
    """The copy has no row, so that its name was unknown, and nothing was erased."""
    first = recording("gate/a.mp4", 0, 14)
    copy = replace(first, uri="gate/b.mp4")
    machine.begin(first)
    machine.archive.recordings[copy.uri] = copy
    machine.index(setting=0)
    machine._erase(Scope.parse(video=copy.uri), machine.truth.erased_file(copy, machine.config), 0)
    machine.index(setting=0)
    machine.what_the_index_says_is_true()
    assert machine.erased("gate") == [(T0_NS // 1000, T0_NS // 1000 + 2_000_000)]


@pytest.mark.parametrize("name", ["gate/b.mp4", "*/b.mp4"])
def test_a_file_that_was_a_copy_once_is_erased_without_what_it_was_a_copy_of(machine, name):
    first = recording("gate/a.mp4", 0, 14)
    machine.begin(first)
    machine.archive.recordings["gate/b.mp4"] = replace(first, uri="gate/b.mp4")
    machine.index(setting=0)
    then = replace(recording("gate/b.mp4", 9, 14), content=1)
    machine.archive.recordings[then.uri] = then
    machine.index(setting=0)
    machine._erase(Scope.parse(video=name), machine.truth.erased_file(then, machine.config), 0)
    machine.index(setting=0)
    machine.what_the_index_says_is_true()
    assert machine.erased("gate") == [(T0_NS // 1000 + 9_000_000, T0_NS // 1000 + 11_000_000)]


@pytest.mark.parametrize("keep", [False, True])
def test_a_copy_takes_no_time_from_itself_under_other_settings(machine, keep):
    first = recording("gate/a.mp4", 0, 14)
    machine.begin(first)
    machine.archive.recordings["gate/b.mp4"] = replace(first, uri="gate/b.mp4")
    machine.run(only="gate/a.mp4")
    machine.setting = 1
    machine.run(only="gate/b.mp4", keep=keep)
    for setting in (0, 1):
        machine.index(setting=setting, keep=keep)
        machine.what_the_index_says_is_true()


def test_stored_answers_that_break_a_rule_are_asked_again_and_end_no_run(machine):
    """An index may come from a stranger, or from a version that had fewer rules."""
    machine.begin(recording("gate/a.mp4", 0, 20))
    machine.archive.num_readable["gate/a.mp4"] = 13
    machine.run()
    machine.archive.num_readable.clear()
    DeltaTable(f"{machine.uri}/windows").update(
        new_values={"completion": '{"events": [], "events": []}'}, predicate="status = 'analysed'"
    )
    committed = machine._committed_shards().values()
    machine.archive.asked.clear()
    machine.index(setting=0)
    assert committed
    assert all(windows <= machine.archive.asked for windows in committed)
    machine.what_the_index_says_is_true()
