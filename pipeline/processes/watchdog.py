"""A time limit on calls that nothing can interrupt: when it runs out, the kernel ends the process.

While a decoder or a disk hangs inside one C call, Python can neither raise an exception nor run a
signal handler. The default action of SIGALRM needs neither a thread nor the interpreter. Its only
cost is to set the timer again: two system calls per packet.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


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
