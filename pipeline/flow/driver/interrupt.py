"""What ends a wait for results: Ctrl-C, SIGTERM, or no result for too long. No Ray here.

A run ends between two results, never inside a commit.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Self, TypeVar

import structlog

from pipeline.errors import StalledError

Item = TypeVar("Item")

SILENT_FOR_S = 60.0
"""A wait this long is told, then one twice as long, and so on."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = structlog.get_logger()


def _nothing_known() -> str:
    return "what it waits for is not known"


class Interruption:
    """A context in which a signal raises KeyboardInterrupt while the driver waits for a result.

    A signal that comes at another time raises it before the driver waits again. The same holds when
    a library swallows the exception, as some do: the request is remembered. `ray job stop` and
    schedulers send SIGTERM.

    A wait of more than ``silent_for_s`` is logged, with the words of ``waits_for``. One of
    ``stall_s`` raises StalledError, until ``wait_anew``.
    """

    def __init__(
        self,
        *,
        waits_for: Callable[[], str] = _nothing_known,
        stall_s: float = float("inf"),
        silent_for_s: float = SILENT_FOR_S,
    ) -> None:
        self._is_requested = False
        self._waits_since_s: float | None = None
        self._previous_handlers: dict[int, Any] = {}
        self._waits_for = waits_for
        self._stall_s = stall_s
        self._silent_for_s = silent_for_s
        self._stalled = ""
        self._is_own_signal = False
        self._left = threading.Event()
        self._watch = threading.Thread(target=self._tell_silence, name="silence", daemon=True)

    def __enter__(self) -> Self:
        # Only the main thread may set signal handlers; in others the caller's handlers stay, and a
        # long wait is only told.
        if threading.current_thread() is threading.main_thread():
            self._previous_handlers = {
                number: signal.signal(number, self._request) for number in _SIGNALS
            }
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._watch.join()
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def each(self, results: Iterator[Item]) -> Iterator[Item]:
        """Yield the results; a signal, or a wait that is too long, ends the wait for the next one.

        Raises:
            StalledError: no result came for ``stall_s``.
        """
        while True:
            self.check()
            self._waits_since_s = time.monotonic()
            try:
                item = next(results)
            except StopIteration:
                return
            except KeyboardInterrupt:
                self.check()
                raise
            finally:
                self._waits_since_s = None
            yield item

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has come, StalledError if a wait was too long."""
        if self._stalled:
            raise StalledError(self._stall_s, self._stalled)
        if self._is_requested:
            raise KeyboardInterrupt

    def wait_anew(self) -> None:
        """Forget that a wait was too long; what was waited for is asked for again."""
        self._stalled = ""

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        self._is_requested |= not self._is_own_signal
        self._is_own_signal = False
        if self._waits_since_s is not None:
            raise KeyboardInterrupt

    def _tell_silence(self) -> None:
        told_since_s, told = None, 0.0
        while not self._left.wait(min(1.0, self._silent_for_s / 4)):
            since_s = self._waits_since_s
            if since_s is None:
                continue
            if since_s != told_since_s:
                told_since_s, told = since_s, 0.0
            silent_s = time.monotonic() - since_s
            if silent_s >= self._stall_s and not self._stalled:
                self._stalled = self._waits_for()
                if self._previous_handlers:
                    # The main thread waits in a call that only a signal ends.
                    self._is_own_signal = True
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            elif silent_s >= max(self._silent_for_s, 2 * told):
                told = silent_s
                log.warning("no result", silent_s=round(silent_s), waits_for=self._waits_for())
