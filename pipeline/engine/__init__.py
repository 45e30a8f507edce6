"""Engines answer windows with JSON of the task's schema; they know neither files nor Ray.

``signals`` watches a shard's windows in order, since it learns the background as it goes.
``vllm`` and ``openai`` answer any window at any time, many at once.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from pipeline.config import Config, OpenAIEngineConfig, VllmEngineConfig
from pipeline.errors import ConfigError
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
            EngineDiedError: no window can be answered any more, by this engine.
        """
        ...

    def shutdown(self) -> None:
        """Stop what the engine has started."""
        ...


class TextEngine(Protocol):
    """Answers messages without pictures, many at once: what writes summaries."""

    @property
    def context(self) -> int:
        """Tokens of prompt and answer together."""
        ...

    def num_tokens(self, text: str) -> int:
        """How many tokens the model needs for ``text``; an upper bound will do."""
        ...

    async def ask(self, messages: list[dict[str, Any]], schema: str) -> Completion:
        """Answer in JSON of ``schema`` (text).

        Raises:
            SummaryError: there is no answer.
            EngineDiedError: nothing can be asked any more, of this engine.
        """
        ...

    def shutdown(self) -> None:
        """Stop what the engine has started."""
        ...


def open_model(config: Config) -> ModelEngine:
    """The configured model, ready to answer.

    Raises:
        ConfigError: the configured engine is no model.
        EngineStartError: it cannot be loaded or reached.
    """
    match config.engine:
        case VllmEngineConfig() as vllm:
            from pipeline.engine.vllm import VllmEngine  # noqa: PLC0415 - needs the vllm extra

            return VllmEngine(vllm, task=config.task, frame=config.frame, plan=config.plan)
        case OpenAIEngineConfig() as openai:
            from pipeline.engine.openai import OpenAIEngine  # noqa: PLC0415 - needs its extra

            return OpenAIEngine(openai, task=config.task)
        case _:
            raise ConfigError(f"engine.kind={config.engine.kind}: is no model")


def open_text_model(config: Config) -> TextEngine:
    """The configured model, for words alone.

    Raises:
        ConfigError: the configured engine writes no summaries.
        EngineStartError: it cannot be loaded or reached.
    """
    match config.engine:
        case VllmEngineConfig() as vllm:
            from pipeline.engine.vllm_text import VllmTextEngine  # noqa: PLC0415 - as above

            return VllmTextEngine(vllm, max_output_tokens=config.summaries.max_output_tokens)
        case OpenAIEngineConfig() as openai:
            from pipeline.engine.openai_text import OpenAITextEngine  # noqa: PLC0415 - as above

            return OpenAITextEngine(openai, config.summaries)
        case _:
            raise ConfigError(f"engine.kind={config.engine.kind}: is no model, it cannot write")
