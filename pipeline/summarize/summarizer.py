"""One text about some lines, by a model or without one.

A call never exceeds the scribe's budget: what does not fit is told in parts first, and the parts
are told together. An answer that breaks the rules is asked for once more, with the reason; after
that the text is extractive and says why.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import structlog

from pipeline.config import SummariesConfig
from pipeline.errors import ConfigError, SummaryError
from pipeline.records import Completion, Line, SummaryMethod
from pipeline.summarize.chapters import Limits, cut_chapters
from pipeline.summarize.extract import Clock, extractive, extractive_title
from pipeline.summarize.prompt import (
    MAX_COMPLAINT_CHARS,
    answer_schema,
    messages,
    read_answer,
    shown,
)
from pipeline.timebase import seconds_to_ns

log = structlog.get_logger()

Ask = Callable[[list[dict[str, Any]], str], Awaitable[Completion]]
"""Messages and a JSON schema to an answer; raises SummaryError where there is none."""

_MIN_BUDGET = 256
# For the chat template's own tokens, and for lines that tokenise otherwise side by side.
_SPARE_TOKENS = 128
_CUT_MARK = "..."


@dataclass(frozen=True, slots=True, kw_only=True)
class Summarizer:
    """A model that writes. It is handed in, since this stage knows no engine."""

    ask: Ask
    num_tokens: Callable[[str], int]
    budget: int
    """Tokens that the lines of one call may have together."""

    @classmethod
    def within(
        cls, context: int, config: SummariesConfig, ask: Ask, num_tokens: Callable[[str], int]
    ) -> "Summarizer":
        """A scribe whose calls fit into ``context`` tokens, answer included.

        Raises:
            ConfigError: the context has no room for lines.
        """
        asked = messages(
            [],
            max_sentences=config.max_sentences,
            instructions=config.instructions,
            complaint="x" * MAX_COMPLAINT_CHARS,
        )
        overhead = sum(num_tokens(one["content"]) for one in asked)
        most = min(config.max_prompt_tokens, context - config.max_output_tokens)
        budget = most - overhead - _SPARE_TOKENS
        if budget < _MIN_BUDGET:
            raise ConfigError(
                f"summaries: {budget} tokens are left for the log in a context of {context}; "
                "lower summaries.max_output_tokens or raise summaries.max_prompt_tokens and "
                "engine.args.max_model_len"
            )
        return cls(ask=ask, num_tokens=num_tokens, budget=budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryText:
    """A text about some lines, and how it came about."""

    title: str
    sentences: tuple[Line, ...]
    method: SummaryMethod
    error: str = ""
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0

    def columns(self) -> dict[str, Any]:
        """The fields of ``Summary`` that it fills."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class SummaryWriter:
    """Tells lines of one camera under one clock."""

    def __init__(
        self, config: SummariesConfig, summarizer: Summarizer | None, clock: Clock
    ) -> None:
        self._config = config
        self._summarizer = summarizer
        self._clock = clock

    def cut(self, lines: Sequence[Line]) -> list[tuple[Line, ...]]:
        """The lines as chapters; each fits into one call."""
        limits = Limits(
            min_ns=seconds_to_ns(self._config.min_chapter_s),
            max_ns=seconds_to_ns(self._config.max_chapter_s),
            gap_ns=seconds_to_ns(self._config.gap_s),
            max_cost=self._summarizer.budget if self._summarizer else len(lines),
        )
        return cut_chapters(lines, [cost for _, cost in self._shown(lines)], limits)

    async def __call__(self, lines: Sequence[Line], base: Sequence[Line]) -> SummaryText:
        """Tell ``lines``; ``base`` are what they rest on, to count and quote where no model can."""
        if self._summarizer is None:
            return self.extracted(base)
        spent = [0, 0]
        try:
            title, sentences = await self._write(lines, self._summarizer, spent)
        except SummaryError as exc:
            log.warning("a summary is counted and quoted, not written", error=str(exc))
            told = replace(self.extracted(base), error=str(exc))
        else:
            told = SummaryText(title=title, sentences=sentences, method="model")
        return replace(told, num_prompt_tokens=spent[0], num_output_tokens=spent[1])

    def extracted(self, base: Sequence[Line]) -> SummaryText:
        """Count and quote the lines."""
        return SummaryText(
            title=extractive_title(base),
            sentences=extractive(base, self._clock, max_sentences=self._config.max_sentences),
            method="extractive",
        )

    async def _write(
        self, lines: Sequence[Line], summarizer: Summarizer, spent: list[int]
    ) -> tuple[str, tuple[Line, ...]]:
        groups = self._groups(lines, summarizer.budget)
        while len(groups) > 1:
            # At most half as many sentences as lines come back, so that this ends.
            parts = await asyncio.gather(
                *(
                    self._ask_twice(group, summarizer, spent, most=len(group) // 2)
                    for group in groups
                    if len(group) > 1
                )
            )
            alone = [tuple(group) for group in groups if len(group) == 1]
            told = [*(sentences for _, sentences in parts), *alone]
            lines = sorted((one for part in told for one in part), key=lambda one: one.span)
            groups = self._groups(lines, summarizer.budget)
        return await self._ask_twice(groups[0], summarizer, spent, most=self._config.max_sentences)

    async def _ask_twice(
        self, lines: Sequence[Line], summarizer: Summarizer, spent: list[int], *, most: int
    ) -> tuple[str, tuple[Line, ...]]:
        most = min(most, self._config.max_sentences)
        told = [text for text, _ in self._shown(lines)]
        schema = answer_schema(len(lines), max_sentences=most)
        complaint = ""
        for _ in range(2):
            asked = messages(
                told,
                max_sentences=most,
                instructions=self._config.instructions,
                complaint=complaint,
            )
            answer = await summarizer.ask(asked, schema)
            spent[0] += answer.num_prompt_tokens
            spent[1] += answer.num_output_tokens
            try:
                return read_answer(
                    answer.text, answer.finish_reason, lines, told, max_sentences=most
                )
            except SummaryError as exc:
                complaint = str(exc)
        raise SummaryError(complaint)

    def _groups(self, lines: Sequence[Line], budget: int) -> list[list[Line]]:
        """Consecutive lines that fit into one call; any two do."""
        groups: list[list[Line]] = []
        left = 0
        for line, (_, cost) in zip(lines, self._shown(lines), strict=True):
            if not groups or cost > left:
                groups.append([])
                left = budget
            groups[-1].append(line)
            left -= cost
        return groups

    def _shown(self, lines: Sequence[Line]) -> list[tuple[str, int]]:
        """Each line as the model reads it and its tokens, no more than half of the budget."""
        texts = [shown(i, line, self._clock) for i, line in enumerate(lines, 1)]
        if self._summarizer is None:
            return [(text, 1) for text in texts]
        return [_fitting(text, self._summarizer) for text in texts]


def _fitting(text: str, summarizer: Summarizer) -> tuple[str, int]:
    most = summarizer.budget // 2
    cost = summarizer.num_tokens(text + "\n")
    while cost > most:
        text = text[: len(text) * most // cost - len(_CUT_MARK) - 1] + _CUT_MARK
        cost = summarizer.num_tokens(text + "\n")
    return text, cost
