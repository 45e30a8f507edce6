"""Stages that end their process in every way, for tests; a module of its own, quick to import."""

import ctypes
import os
import signal

from pipeline.processes.watchdog import extend_limit, watchdog


def counts(number):
    yield from range(number)


def prints(number):
    os.write(1, b"a library that talks")
    yield number


def crashes(number):
    yield from range(number)
    ctypes.string_at(0)


def hangs(number, limit_s):
    """As a C call does that keeps the interpreter for itself: no thread, no handler gets a turn."""
    with watchdog(limit_s):
        for item in range(number):
            extend_limit()
            yield item
        ctypes.PyDLL(None).pause()


def is_interrupted(number):
    yield number
    os.kill(os.getpid(), signal.SIGINT)


def has_a_bug(number):
    yield number
    raise KeyError("a bug")
