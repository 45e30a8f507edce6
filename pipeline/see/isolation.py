"""Decoding in child processes, of which few run at a time and none for long.

A file may crash or hang a decoder; then only that child ends. A client that goes away ends its
child as well.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any

from pipeline.errors import SourceError, TimereelError, UnreachableError
from pipeline.processes.crash_isolation import ProcessDiedError, in_child_process
from pipeline.processes.watchdog import watchdog

STALL_S = 30.0
LIMIT_S = 180.0
_WAIT_S = 60.0
_QUEUED_PIECES = 32


class BusyError(TimereelError):
    """All children work, and none became free in time."""


class Children:
    """Runs generator functions in at most ``max_children`` processes at once."""

    def __init__(self, max_children: int) -> None:
        self._free = threading.BoundedSemaphore(max_children)
        self.max_children = max_children
        self.num_running = 0

    def run(self, stage: Callable[..., Iterable[Any]], *args: object) -> Generator[Any, None, None]:
        """What ``stage(*args)`` yields, from a child of its own.

        Raises:
            BusyError: no child became free in time.
            SourceError: as the stage raised it, or its child ended or took too long.
            UnreachableError: as the stage raised it.
        """
        if not self._free.acquire(timeout=_WAIT_S):
            raise BusyError(f"{self.max_children} videos are being decoded; try again later")
        self.num_running += 1
        try:
            ends_at = time.monotonic() + LIMIT_S
            for item in in_child_process(_isolated, stage, *args):
                if isinstance(item, Exception):
                    raise item
                yield item
                if time.monotonic() > ends_at:
                    raise SourceError(f"decoding took longer than {LIMIT_S:g} s; ask for less")
        except ProcessDiedError as exc:
            raise SourceError("decoding this recording ended or hung the decoder") from exc
        finally:
            self.num_running -= 1
            self._free.release()

    async def stream(self, items: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
        """The items of ``run`` as they come; whoever stops reading ends the child."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(_QUEUED_PIECES)
        is_over = threading.Event()

        def put(item: bytes | Exception | None) -> None:
            waiting = asyncio.run_coroutine_threadsafe(queue.put(item), loop)
            while not is_over.is_set():
                try:
                    return waiting.result(timeout=0.2)
                except TimeoutError:
                    continue
            waiting.cancel()
            return None

        def work() -> None:
            last: Exception | None = None
            try:
                for item in items:
                    put(item)
                    if is_over.is_set():
                        break
            except TimereelError as exc:
                last = exc
            finally:
                items.close()
                put(last)

        threading.Thread(target=work, daemon=True).start()
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            is_over.set()


def _isolated(stage: Callable[..., Iterable[Any]], *args: object) -> Iterator[Any]:
    """In the child: the items, and an error of the input as the last of them."""
    with watchdog(STALL_S):
        try:
            yield from stage(*args)
        except (SourceError, UnreachableError) as exc:
            yield exc
