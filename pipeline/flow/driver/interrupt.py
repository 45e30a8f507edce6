"""Ctrl-C and SIGTERM end a run between two results, never inside a commit. No Ray here."""

import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self, TypeVar

Item = TypeVar("Item")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context in which a signal raises KeyboardInterrupt while the driver waits for a result.

    A signal that comes at another time raises it before the driver waits again. The same holds when
    a library swallows the exception, as some do: the request is remembered. `ray job stop` and
    schedulers send SIGTERM.
    """

    def __init__(self) -> None:
        self._is_requested = False
        self._is_waiting = False
        self._previous_handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread may set signal handlers; in others the caller's handlers stay.
        if threading.current_thread() is threading.main_thread():
            self._previous_handlers = {
                number: signal.signal(number, self._request) for number in _SIGNALS
            }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def each(self, results: Iterator[Item]) -> Iterator[Item]:
        """Yield the results; a signal interrupts the wait for the next one."""
        while True:
            self.check()
            self._is_waiting = True
            try:
                item = next(results)
            except StopIteration:
                return
            finally:
                self._is_waiting = False
            yield item

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has come."""
        if self._is_requested:
            raise KeyboardInterrupt

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        self._is_requested = True
        if self._is_waiting:
            raise KeyboardInterrupt
