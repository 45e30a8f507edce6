"""One replica of a model: what an actor does with its engine, without Ray."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Generic, TypeVar

import structlog

from pipeline.config import Config
from pipeline.engine import ModelEngine, TextEngine
from pipeline.errors import EngineDiedError, EngineStartError, UnreachableError, WindowError
from pipeline.flow.task.answer import DecodeAgain, answer_window
from pipeline.flow.task.stages import ShardOutcome, left_open
from pipeline.records import Completion, Window

log = structlog.get_logger()

Engine = TypeVar("Engine", bound=ModelEngine | TextEngine)
OpenEngine = Callable[[Config], ModelEngine]


class EngineSupervisor(Generic[Engine]):
    """An engine, and the next one when its process dies.

    All that was in the dead one is then asked again, one request at a time. What is in an engine
    that dies for the second time is what kills them.
    """

    def __init__(self, config: Config, open_engine: Callable[[Config], Engine]) -> None:
        self._config = config
        self._open_engine = open_engine
        self._suspects = asyncio.Lock()
        self.engine = open_engine(config)
        """The one that lives."""

    async def ask(
        self, request: Callable[[Engine], Awaitable[Completion]], fatal: type[Exception]
    ) -> Completion:
        """The answer to ``request``; ``fatal`` is raised if two engines die of it."""
        engine = self.engine
        try:
            return await request(engine)
        except EngineDiedError as exc:
            self._replace(engine, exc)
        async with self._suspects:
            engine = self.engine
            try:
                return await request(engine)
            except EngineDiedError as exc:
                self._replace(engine, exc)
                raise fatal(f"the engine died of this request, twice: {exc}") from exc

    def _replace(self, dead: Engine, exc: EngineDiedError) -> None:
        """Open another engine, unless that has been done; nothing else could go on meanwhile."""
        if self.engine is not dead:
            return
        log.error("the engine died, another is opened", error=str(exc))
        dead.shutdown()
        try:
            self.engine = self._open_engine(self._config)
        except EngineStartError:
            # Not in this process, perhaps not on this GPU: Ray starts an actor that exits anew,
            # gives it the same windows, and gives up after a few deaths in a row.
            log.critical("no other engine can be opened here", exc_info=True)
            os._exit(1)


class Replica:
    """Settles windows, many at once; a bad one fails alone, whatever it does to the engine."""

    def __init__(
        self, config: Config, open_engine: OpenEngine, decode_again: DecodeAgain | None = None
    ) -> None:
        self._config = config
        self._decode_again = decode_again
        self._engines = EngineSupervisor(config, open_engine)
        self._busy = _Busy()

    async def answer_item(self, item: Window | ShardOutcome) -> list[ShardOutcome]:
        """The results of a window, or of its parts; what is settled already stays as it is."""
        if not isinstance(item, Window):
            return [item]
        began_s = self._busy.enter()
        try:
            first, *others = await answer_window(item, self, self._config, self._decode_again)
        except UnreachableError as exc:  # by a second look, without which the answer is another
            self._busy.leave(began_s)
            return [left_open(item.shard_id, item.video, exc)]
        return [replace(first, engine_s=self._busy.leave(began_s)), *others]

    async def answer(self, window: Window) -> Completion:
        """Answer one window, by another engine if the first dies of it or of another.

        Raises:
            WindowError: the engine refused the window, or two died of it.
        """
        return await self._engines.ask(lambda engine: engine.answer(window), WindowError)

    def shutdown(self) -> None:
        """Stop the engine."""
        self._engines.engine.shutdown()


class _Busy:
    """Shares the seconds in which the engine has work among the windows it then has.

    The shares of all windows add up to the time in which there was at least one.
    """

    def __init__(self) -> None:
        self._num_windows = 0
        self._share_s = 0.0
        self._at_s = 0.0

    def enter(self) -> float:
        """Count a window in; returns what ``leave`` needs."""
        self._advance()
        self._num_windows += 1
        return self._share_s

    def leave(self, began_s: float) -> float:
        """Count it out; returns its share in seconds."""
        self._advance()
        self._num_windows -= 1
        return self._share_s - began_s

    def _advance(self) -> None:
        now_s = time.monotonic()
        if self._num_windows:
            self._share_s += (now_s - self._at_s) / self._num_windows
        self._at_s = now_s
