"""Runs a generator function in a child process, because it may end its process.

A decoder may crash. It may also hang inside one C call, until the watchdog's timer runs out and the
kernel ends the process (``pipeline.processes.watchdog``). The parent gets an exception for both.
It ends a child itself that the timer cannot end, because somebody has stopped it (SIGSTOP, a
freezer) or a file system does not let go of it.

What a child reads may take it over. So it knows no key of an endpoint, no token of Ray or of the
page, and no secret of alerts: of the environment it has only what stands in ``_PASSED_ON``.
"""

import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from pipeline.processes.plain_errors import print_plain_errors
from pipeline.processes.watchdog import is_overdue

# Not ``-m``: the path may begin with somebody else's folder named pipeline, which the package
# timereel passes over.
_CHILD = f"import timereel; from {__name__} import serve; serve()"

_LOOK_EVERY_S = 1.0
# Also the credentials of stores, as children read recordings and tables there.
_PASSED_ON = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|TERM|TZ|TMPDIR|TEMP|TMP|LANG|LANGUAGE|LC_.*|XDG_.*|PYTHON.*|LD_.*"
    r"|MALLOC_.*|OMP_.*|OPENBLAS_.*|MKL_.*|CUDA_.*|NVIDIA_.*"
    r"|AWS_.*|AZURE_.*|GOOGLE_.*|GCE_.*|STORAGE_EMULATOR_HOST|FSSPEC_.*"
    r"|SSL_CERT_.*|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(?:HTTP|HTTPS|ALL|NO)_PROXY",
    re.IGNORECASE,
)


class ProcessDiedError(Exception):
    """A signal ended the child process; the message names the signal and a likely cause."""


def in_child_process(
    stage: Callable[..., Iterable[Any]], *args: object
) -> Generator[Any, None, None]:
    """Run ``stage(*args)`` in a child process, and yield each item as soon as it arrives.

    Raises:
        ProcessDiedError: a signal ended the child; all earlier items were yielded before.
        KeyboardInterrupt: the signal was Ctrl-C, which a terminal sends to children too.
        RuntimeError: the stage raised an exception, which is a bug; its traceback is on stderr.
    """
    environment = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    child = subprocess.Popen(  # noqa: S603 - this interpreter, this module
        [sys.executable, "-P", "-c", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    with child, _ending_it_if_its_timer_cannot(child) as has_hung:
        try:
            yield from _exchange(child, (stage, args))
            exit_code = child.wait()
        finally:
            child.kill()
    if has_hung.is_set():
        raise ProcessDiedError(_explain(signal.SIGALRM))
    if exit_code == -signal.SIGINT:
        raise KeyboardInterrupt
    if exit_code < 0:
        raise ProcessDiedError(_explain(signal.Signals(-exit_code)))
    if exit_code:
        raise RuntimeError(f"{stage.__name__} ended with exit code {exit_code} in a child process")


@contextmanager
def _ending_it_if_its_timer_cannot(child: "subprocess.Popen[bytes]") -> Iterator[Event]:
    """Inside, kill the child and set the event once the signal of its timer waits to be handled."""
    left, has_hung = Event(), Event()

    def look() -> None:
        while not left.wait(_LOOK_EVERY_S):
            if is_overdue(child.pid):
                has_hung.set()
                child.kill()
                return

    Thread(target=look, daemon=True).start()
    try:
        yield has_hung
    finally:
        # Nobody waits for the thread: it may be the one in which a forgotten generator is closed.
        left.set()


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
        except (EOFError, pickle.UnpicklingError):  # the child ended, perhaps inside an item
            return
        yield item


def _explain(cause: signal.Signals) -> str:
    if cause is signal.SIGALRM:
        return (
            "reading or decoding it hung, twice; check the storage and that the file plays, or"
            " raise decode.max_stall_s"
        )
    return (
        f"decoding it ended the process ({cause.name}), twice; check that the file plays and that"
        " there is enough memory"
    )


def serve() -> None:
    """In the child: read the function and its arguments, write the items."""
    print_plain_errors()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Output that a library prints must not mix with the items.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    stage, args = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent
    for item in stage(*args):
        pickle.dump(item, out, protocol=5)
        out.flush()
