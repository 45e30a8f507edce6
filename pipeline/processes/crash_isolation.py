"""A function in a process of its own, for work that may end its process.

    isolated        the items that a generator function makes, received as they come

A decoder may crash; it may hang inside one C call, until its alarm rings and the kernel ends the
process (``pipeline.processes.watchdog``). Here that is an exception.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class ProcessDiedError(Exception):
    """The process of a stage was ended by a signal; the message says which and why that may be."""


def in_child_process(stage: Callable[..., Iterable[Any]], *args: object) -> Iterator[Any]:
    """The items of ``stage(*args)``, made in a process of their own and received as they come.

    Raises:
        ProcessDiedError: a signal ended it; the items before that have been given out.
        KeyboardInterrupt: it was Ctrl-C, which a terminal sends to the children as well.
        RuntimeError: the stage raised, which is a bug; its traceback is on stderr.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    child = subprocess.Popen(  # noqa: S603 - this interpreter, this module
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    with child:
        try:
            yield from _exchange(child, (stage, args))
            ended = child.wait()
        finally:
            child.kill()
    if ended == -signal.SIGINT:
        raise KeyboardInterrupt
    if ended < 0:
        raise ProcessDiedError(_explain(signal.Signals(-ended)))
    if ended:
        raise RuntimeError(f"{stage.__name__} ended with {ended} in a process of its own")


def _exchange(child: "subprocess.Popen[bytes]", work: object) -> Iterator[Any]:
    if child.stdin is None or child.stdout is None:
        raise AssertionError("the child has pipes")
    try:
        pickle.dump(work, child.stdin, protocol=5)
        child.stdin.close()
    except BrokenPipeError:
        return
    while True:
        try:
            item = pickle.load(child.stdout)  # noqa: S301 - our own child
        except (EOFError, pickle.UnpicklingError):  # the end, or an end in mid-item
            return
        yield item


def _explain(by: signal.Signals) -> str:
    if by is signal.SIGALRM:
        return (
            "reading or decoding it hung, twice; check the storage and that the file plays, or"
            " raise decode.max_stall_s"
        )
    return (
        f"decoding it ended the process ({by.name}), twice; check that the file plays and that"
        " there is memory enough"
    )


def _serve() -> None:
    """The child: read one piece of work, write its items."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What a library prints must not fall between the items.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    stage, args = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent
    for item in stage(*args):
        pickle.dump(item, out, protocol=5)
        out.flush()


if __name__ == "__main__":
    _serve()
