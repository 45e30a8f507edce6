"""A time limit on calls that nothing can interrupt: when it runs out, the kernel ends the process.

While a decoder or a disk hangs inside one C call, Python can neither raise an exception nor run a
signal handler. The default action of SIGALRM needs neither a thread nor the interpreter. Its only
cost is to set the timer again: two system calls per packet.

A process that somebody has stopped, or that a file system does not let go of, does not get the
signal. Another process must see that it waits, and end it.
"""

import os
import re
import signal
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Event, Thread

_AT_ONCE = 4
"""Neighbours that each looks at in a round: of a node with N workers 4 N looks, not N squared."""

_SIGNALS = re.compile(r"^(ShdPnd|SigBlk|SigIgn|SigCgt):\s*([0-9a-f]+)", re.MULTILINE)


@contextmanager
def watchdog(limit_s: float) -> Iterator[None]:
    """End this process if ``limit_s`` seconds pass inside without an ``extend_limit``."""
    # The kernel keeps the interval of the timer; `extend_limit` reads the limit from it.
    former = signal.setitimer(signal.ITIMER_REAL, limit_s, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *former)


def extend_limit() -> None:
    """Report progress: the limit, if there is one, starts again."""
    if seconds := limit_s():
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)


def limit_s() -> float:
    """The time limit of the enclosing watchdog in seconds; 0 if there is none."""
    return signal.getitimer(signal.ITIMER_REAL)[1]


def is_overdue(pid: int) -> bool:
    """Whether the time limit of another process is over, and the kernel could not end it."""
    try:
        masks = dict(_SIGNALS.findall(Path(f"/proc/{pid}/status").read_text()))
    except OSError:  # it has just ended, or this is no Linux
        return False
    having_it = {name for name, mask in masks.items() if int(mask, 16) >> (signal.SIGALRM - 1) & 1}
    return having_it == {"ShdPnd"}  # it waits, and whoever gets it is ended by it


def end_overdue_neighbours(every_s: float) -> None:
    """From now on, in a thread, end overdue processes that have the same parent as this one.

    A round looks at the few that follow by process id, and the next one goes on after them. So
    where all do this, all are looked at in each round, and one that is alone comes to all in time.
    """
    parents = [os.getppid()]
    work = (lambda: parents, every_s, Event(), _AT_ONCE)
    Thread(target=_end_overdue, args=work, daemon=True).start()


@contextmanager
def ending_overdue_grandchildren(every_s: float) -> Iterator[None]:
    """Inside, in a thread, end overdue processes that a child process of this one has started."""
    own, left = partial(_children, os.getpid()), Event()
    Thread(target=_end_overdue, args=(own, every_s, left), daemon=True).start()
    try:
        yield
    finally:
        left.set()


def _end_overdue(
    parents: Callable[[], Iterable[int]], every_s: float, left: Event, at_once: int | None = None
) -> None:
    last = os.getpid()
    while not left.wait(every_s):
        pids = set(chain.from_iterable(map(_children, parents())))
        for pid in following(pids, last)[:at_once]:
            last = pid
            if is_overdue(pid):
                with suppress(OSError):  # it has just ended
                    os.kill(pid, signal.SIGKILL)


def following(pids: Iterable[int], last: int) -> list[int]:
    """All process ids in the order of a ring: those above ``last``, then from the lowest on."""
    ring = sorted(pids)
    first = bisect_right(ring, last)
    return ring[first:] + ring[:first]


def _children(parent: int) -> list[int]:
    texts = []
    for thread in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(OSError):  # the thread has just ended
            texts.append(thread.read_text())
    return [int(pid) for text in texts for pid in text.split()]
