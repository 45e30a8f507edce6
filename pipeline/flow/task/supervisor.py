"""One replica of a model: what an actor does with its engine. No Ray here."""

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
    """Runs an engine, and opens another when its process dies.

    All requests that were in the dead engine are then sent again, one at a time. If an engine dies
    again, the request that it had at that time is the cause.
    """

    def __init__(self, config: Config, open_engine: Callable[[Config], Engine]) -> None:
        self._config = config
        self._open_engine = open_engine
        self._suspects = asyncio.Lock()
        self.engine = open_engine(config)
        """The engine that runs now."""

    async def ask(
        self, request: Callable[[Engine], Awaitable[Completion]], fatal: type[Exception]
    ) -> Completion:
        """The answer to ``request``. Raises ``fatal`` if two engines die while they answer it."""
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
                raise fatal(f"this request killed the engine twice: {exc}") from exc

    def _replace(self, dead: Engine, exc: EngineDiedError) -> None:
        """Open another engine, unless another request has done so. Blocks all other requests."""
        if self.engine is not dead:
            return
        log.error("the engine died, another is opened", error=str(exc))
        dead.shutdown()
        try:
            self.engine = self._open_engine(self._config)
        except EngineStartError:
            # It may start in another process or on another GPU. Ray restarts an actor that exits,
            # gives it the same windows, and gives up after a few deaths in a row.
            log.critical("no other engine can be opened here", exc_info=True)
            os._exit(1)


class Replica:
    """Answers many windows at once. A bad window fails alone, even if it kills the engine."""

    def __init__(
        self, config: Config, open_engine: OpenEngine, decode_again: DecodeAgain | None = None
    ) -> None:
        self._config = config
        self._decode_again = decode_again
        self._engines = EngineSupervisor(config, open_engine)
        self._busy = _Busy()

    async def answer_item(self, item: Window | ShardOutcome) -> list[ShardOutcome]:
        """The results of a window or of its parts; an outcome is returned as it is."""
        if not isinstance(item, Window):
            return [item]
        began_s = self._busy.enter()
        try:
            first, *others = await answer_window(item, self, self._config, self._decode_again)
        except UnreachableError as exc:  # verification could not decode, which changes the answer
            self._busy.leave(began_s)
            return [left_open(item.shard_id, item.video, exc)]
        return [replace(first, engine_s=self._busy.leave(began_s)), *others]

    async def answer(self, window: Window) -> Completion:
        """Answer one window. If the engine dies, because of any window, another engine answers.

        Raises:
            WindowError: the engine refused the window, or the window killed two engines.
        """
        return await self._engines.ask(lambda engine: engine.answer(window), WindowError)

    def shutdown(self) -> None:
        """Stop the engine."""
        self._engines.engine.shutdown()


class _Busy:
    """Divides the seconds in which the engine has work among the windows that it has then.

    The shares of all windows add up to the time in which there was at least one window.
    """

    def __init__(self) -> None:
        self._num_windows = 0
        self._share_s = 0.0
        self._at_s = 0.0

    def enter(self) -> float:
        """Note that a window arrives; returns the argument for ``leave``."""
        self._advance()
        self._num_windows += 1
        return self._share_s

    def leave(self, began_s: float) -> float:
        """Note that the window is answered; returns its share in seconds."""
        self._advance()
        self._num_windows -= 1
        return self._share_s - began_s

    def _advance(self) -> None:
        now_s = time.monotonic()
        if self._num_windows:
            self._share_s += (now_s - self._at_s) / self._num_windows
        self._at_s = now_s
