"""One or several indexes, each read by a few readers; who stops waiting stops the work."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from pipeline.errors import ConfigError, InterruptedQueryError, TimereelError
from pipeline.index import Index, open_index

_NUM_READERS = 4
_LIMIT_S = 30.0

T = TypeVar("T")


class GivenUpError(TimereelError):
    """The client has gone, so nobody waits for the answer."""


class TooSlowError(TimereelError):
    """The question was interrupted because it takes too long."""


class UnknownIndexError(TimereelError):
    """No index of this server has that name."""


class ServedIndex:
    """One index under the name by which the page knows it."""

    def __init__(self, name: str, uri: str) -> None:
        self.name = name
        self.uri = uri
        self._idle = [open_index(uri)]  # raises now if there is none
        self._turns = asyncio.Semaphore(_NUM_READERS)

    async def ask(self, request: Request, work: Callable[[Index], T]) -> T:
        """What ``work`` finds out with a reader of its own, in another thread.

        Raises:
            GivenUpError: the client went away; the work was interrupted.
            TooSlowError: the work took too long, and was interrupted.
        """
        async with self._turns:
            reader = self._idle.pop() if self._idle else open_index(self.uri)
            try:
                return await _unless_gone(request, reader, work)
            finally:
                self._idle.append(reader)


class Indexes:
    """All indexes of a server; the first one is meant where a request names none."""

    def __init__(self, uris: Sequence[str]) -> None:
        self.by_name: Mapping[str, ServedIndex] = {
            name: ServedIndex(name, uri) for name, uri in _named(uris).items()
        }

    def get(self, name: str) -> ServedIndex:
        """The index of this name.

        Raises:
            UnknownIndexError: there is none.
        """
        if not name:
            return next(iter(self.by_name.values()))
        if name not in self.by_name:
            raise UnknownIndexError(f"no index is called {name!r}")
        return self.by_name[name]


def _named(uris: Sequence[str]) -> dict[str, str]:
    """Each index under the name of its folder; equal names get a number."""
    if not uris:
        raise ConfigError("name at least one --index")
    named: dict[str, str] = {}
    for uri in dict.fromkeys(uris):
        folder = Path(uri.rstrip("/")).name or "index"
        name, number = folder, 1
        while name in named:
            number += 1
            name = f"{folder} {number}"
        named[name] = uri
    return named


async def _unless_gone(request: Request, reader: Index, work: Callable[[Index], T]) -> T:
    gone = asyncio.ensure_future(_gone(request))
    try:
        with suppress(InterruptedQueryError), reader.interruptible() as interrupt:
            task = asyncio.ensure_future(run_in_threadpool(work, reader))
            await asyncio.wait({task, gone}, timeout=_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                interrupt()
            return await task
        if gone.done():
            raise GivenUpError("the client has gone")
        raise TooSlowError(f"not answered after {_LIMIT_S:g} s; ask for a shorter time")
    finally:
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
