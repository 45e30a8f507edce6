"""Stages that end their process in each way, for tests; in a small module that imports fast."""

import ctypes
import os
import signal
from pathlib import Path

from pipeline.processes.watchdog import extend_limit, watchdog


def counts(number):
    yield from range(number)


def prints(number):
    os.write(1, b"output of a library")
    yield number


def is_known():
    yield dict(os.environ), Path("/proc/self/cmdline").read_text()


def crashes(number):
    yield from range(number)
    ctypes.string_at(0)


def hangs(number, limit_s):
    """Hang as in a C call that keeps the GIL: no thread and no signal handler can run."""
    with watchdog(limit_s):
        for item in range(number):
            extend_limit()
            yield item
        ctypes.PyDLL(None).pause()


def is_stopped(number, limit_s):
    """Be stopped by somebody, within the time limit."""
    with watchdog(limit_s):
        yield from range(number)
        os.kill(os.getpid(), signal.SIGSTOP)


def is_interrupted(number):
    yield number
    os.kill(os.getpid(), signal.SIGINT)


def has_a_bug(number):
    yield number
    raise KeyError("a bug")
