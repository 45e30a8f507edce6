"""Ctrl-C and SIGTERM end a run between two results, never inside a commit."""

import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self, TypeVar

Item = TypeVar("Item")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While entered, a signal raises KeyboardInterrupt where the driver waits, or else soon after.

    A KeyboardInterrupt at any point would do, were it not that libraries swallow some: what is
    asked for is remembered as well, and raised after the next result. `ray job stop` and
    schedulers send SIGTERM.
    """

    def __init__(self) -> None:
        self._is_asked = False
        self._is_waiting = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread may take signals; elsewhere the caller's rules stay.
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._ask) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)

    def each(self, results: Iterator[Item]) -> Iterator[Item]:
        """The results, each waited for interruptibly."""
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
        if self._is_asked:
            raise KeyboardInterrupt

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._is_asked = True
        if self._is_waiting:
            raise KeyboardInterrupt
