"""A limit on calls that nothing can interrupt: when it runs out, the kernel ends the process.

A decoder or a disk that hangs inside one C call hears no exception, and no signal handler of
Python's. The default action of SIGALRM needs neither a thread nor the interpreter; setting the
timer anew, two system calls per packet, is all it costs.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def watchdog(limit_s: float) -> Iterator[None]:
    """End this process if, inside, ``limit_s`` seconds pass without a ``extend_limit``."""
    # The interval is where the kernel keeps the limit for `extend_limit`.
    former = signal.setitimer(signal.ITIMER_REAL, limit_s, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *former)


def extend_limit() -> None:
    """Work goes on: the limit starts anew, if there is one."""
    if seconds := limit_s():
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)


def limit_s() -> float:
    """The limit that work goes on under here; 0 if there is none."""
    return signal.getitimer(signal.ITIMER_REAL)[1]
