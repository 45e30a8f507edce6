"""Engines answer windows with JSON of the task's schema; they know neither files nor Ray.

``signals`` watches a shard's windows in order, since it learns the background as it goes.
``vllm`` answers any window at any time, many at once.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from pipeline.records import Completion, Window


class ShardEngine(Protocol):
    """Answers the consecutive windows of one shard, in order."""

    def answer(self, windows: Iterable[Window]) -> Iterator[Completion]:
        """Yield one completion per window."""
        ...


class ModelEngine(Protocol):
    """Answers windows independently of each other; calls overlap."""

    async def answer(self, window: Window) -> Completion:
        """Answer one window.

        Raises:
            WindowError: this window has no valid answer; the others go on.
        """
        ...
