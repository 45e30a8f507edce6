import contextlib
import os
import signal
import threading

import pytest
from structlog.testing import capture_logs

from pipeline.errors import EXIT_INCOMPLETE, StalledError
from pipeline.flow.driver.interrupt import Interruption


def test_a_signal_while_waiting_is_raised_at_once():
    def results():
        yield 1
        os.kill(os.getpid(), signal.SIGTERM)
        yield 2

    seen = []
    with Interruption() as interruption, pytest.raises(KeyboardInterrupt):
        seen.extend(interruption.each(results()))
    assert seen == [1]


def test_a_signal_during_a_commit_waits_for_its_end():
    seen = []

    def commit(result):
        os.kill(os.getpid(), signal.SIGINT)
        seen.append(result)

    with Interruption() as interruption, pytest.raises(KeyboardInterrupt):
        list(map(commit, interruption.each(iter([1, 2, 3]))))
    assert seen == [1]


def test_a_signal_that_a_library_swallows_is_not_lost():
    def results():
        for number in range(3):
            with contextlib.suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
            yield number

    seen = []
    with Interruption() as interruption, pytest.raises(KeyboardInterrupt):
        seen.extend(interruption.each(results()))
    assert seen == [0]


def test_previous_signal_handlers_are_restored():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interruption():
        assert signal.getsignal(signal.SIGINT) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_wait_without_a_result_ends_by_itself_and_says_what_it_waited_for():
    def results():
        yield 1
        threading.Event().wait()  # for ever

    seen = []
    with (
        Interruption(waits_for=lambda: "0 of 2 CPUs are free", stall_s=0.2) as interruption,
        pytest.raises(StalledError, match="0 of 2 CPUs are free") as raised,
    ):
        seen.extend(interruption.each(results()))
    assert (seen, raised.value.exit_code) == ([1], EXIT_INCOMPLETE)


def test_a_long_wait_is_told_each_time_that_it_has_doubled():
    def results():
        threading.Event().wait(0.7)
        yield 1

    with (
        capture_logs() as logs,
        Interruption(waits_for=lambda: "the model loads", silent_for_s=0.1) as interruption,
    ):
        assert list(interruption.each(results())) == [1]
    told = [entry for entry in logs if entry["event"] == "no result"]
    assert 2 <= len(told) <= 3
    assert {entry["waits_for"] for entry in told} == {"the model loads"}


def test_time_in_which_the_driver_works_itself_is_no_wait():
    results = iter([1, 2])
    with capture_logs() as logs, Interruption(stall_s=0.1, silent_for_s=0.05) as interruption:
        for _ in interruption.each(results):
            threading.Event().wait(0.3)
    assert not logs


def test_in_another_thread_than_the_main_one_a_long_wait_is_told_and_not_ended():
    def wait():
        def results():
            threading.Event().wait(0.4)
            yield 1

        with Interruption(stall_s=0.1, silent_for_s=0.05) as interruption:
            seen.append(next(interruption.each(results())))

    seen = []
    with capture_logs() as logs:
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    assert seen == [1]
    assert logs
