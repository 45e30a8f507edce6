import contextlib
import os
import signal

import pytest

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
