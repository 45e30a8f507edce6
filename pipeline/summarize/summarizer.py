"""Writes the text of one summary, by a model or without one.

No call exceeds the token budget of the summarizer. If the lines of a summary do not fit into one
call, groups of them are summarized first, and then the sentences of all groups. If an answer breaks
a rule, the model is asked a second time and is given the reason. If the second answer breaks a rule
too, the summary is extractive, and its ``error`` says why.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import structlog

from pipeline.config import SummariesConfig
from pipeline.errors import ConfigError, SummaryError
from pipeline.records import Line, SummaryMethod
from pipeline.records.numbered_lines import (
    MAX_COMPLAINT_CHARS,
    MIN_LINES_TOKENS,
    SPARE_TOKENS,
    Ask,
    fitting,
)
from pipeline.summarize.chapters import Limits, cut_chapters
from pipeline.summarize.extract import Clock, extractive, extractive_title
from pipeline.summarize.prompt import (
    answer_schema,
    messages,
    numbered_line,
    read_answer,
)
from pipeline.timebase import seconds_to_ns

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summarizer:
    """A model that writes summaries. It comes in as a function: this stage knows no engine."""

    ask: Ask
    num_tokens: Callable[[str], int]
    budget: int
    """Tokens that the lines of one call may have together."""

    @classmethod
    def within(
        cls, context: int, config: SummariesConfig, ask: Ask, num_tokens: Callable[[str], int]
    ) -> "Summarizer":
        """A summarizer whose calls fit into ``context`` tokens, answers included.

        Raises:
            ConfigError: the context has no room for lines.
        """
        without_lines = messages(
            [],
            max_sentences=config.max_sentences,
            instructions=config.instructions,
            complaint="x" * MAX_COMPLAINT_CHARS,
        )
        overhead = sum(num_tokens(message["content"]) for message in without_lines)
        max_prompt = min(config.max_prompt_tokens, context - config.max_output_tokens)
        budget = max_prompt - overhead - SPARE_TOKENS
        if budget < MIN_LINES_TOKENS:
            raise ConfigError(
                f"summaries: {budget} tokens are left for the log in a context of {context}; "
                "lower summaries.max_output_tokens or raise summaries.max_prompt_tokens and "
                "engine.args.max_model_len"
            )
        return cls(ask=ask, num_tokens=num_tokens, budget=budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryText:
    """The text of a summary, and how it was made."""

    title: str
    sentences: tuple[Line, ...]
    method: SummaryMethod
    error: str = ""
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0

    def columns(self) -> dict[str, Any]:
        """All fields, for a ``Summary``, which has fields of the same names."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class SummaryWriter:
    """Writes summaries of one camera's lines, with times as ``clock`` formats them."""

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
        """Summarize ``lines``.

        ``base`` are the captions and events that ``lines`` were made from; they are counted and
        quoted if no model writes.
        """
        if self._summarizer is None:
            return self.extracted(base)
        spent = [0, 0]  # prompt tokens, output tokens
        try:
            title, sentences = await self._write(lines, self._summarizer, spent)
        except SummaryError as exc:
            log.warning("a summary is counted and quoted, not written", error=str(exc))
            summary = replace(self.extracted(base), error=str(exc))
        else:
            summary = SummaryText(title=title, sentences=sentences, method="model")
        return replace(summary, num_prompt_tokens=spent[0], num_output_tokens=spent[1])

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
            # Each group becomes at most half as many sentences, so the loop ends.
            answers = await asyncio.gather(
                *(
                    self._ask_twice(group, summarizer, spent, max_sentences=len(group) // 2)
                    for group in groups
                    if len(group) > 1
                )
            )
            single_lines = [line for group in groups if len(group) == 1 for line in group]
            sentences = [line for _, in_group in answers for line in in_group]
            lines = sorted([*sentences, *single_lines], key=lambda line: line.span)
            groups = self._groups(lines, summarizer.budget)
        return await self._ask_twice(
            groups[0], summarizer, spent, max_sentences=self._config.max_sentences
        )

    async def _ask_twice(
        self, lines: Sequence[Line], summarizer: Summarizer, spent: list[int], *, max_sentences: int
    ) -> tuple[str, tuple[Line, ...]]:
        max_sentences = min(max_sentences, self._config.max_sentences)
        numbered = [text for text, _ in self._shown(lines)]
        schema = answer_schema(len(lines), max_sentences=max_sentences)
        complaint = ""
        for _ in range(2):
            conversation = messages(
                numbered,
                max_sentences=max_sentences,
                instructions=self._config.instructions,
                complaint=complaint,
            )
            answer = await summarizer.ask(conversation, schema)
            spent[0] += answer.num_prompt_tokens
            spent[1] += answer.num_output_tokens
            try:
                return read_answer(
                    answer.text,
                    answer.finish_reason,
                    lines,
                    numbered,
                    max_sentences=max_sentences,
                )
            except SummaryError as exc:
                complaint = str(exc)
        raise SummaryError(complaint)

    def _groups(self, lines: Sequence[Line], budget: int) -> list[list[Line]]:
        """Groups of consecutive lines, each of which fits into one call; any two lines fit."""
        groups: list[list[Line]] = []
        remaining = 0
        for line, (_, cost) in zip(lines, self._shown(lines), strict=True):
            if not groups or cost > remaining:
                groups.append([])
                remaining = budget
            groups[-1].append(line)
            remaining -= cost
        return groups

    def _shown(self, lines: Sequence[Line]) -> list[tuple[str, int]]:
        """Each line as the model reads it, and its tokens: at most half of the budget."""
        texts = [numbered_line(i, line, self._clock) for i, line in enumerate(lines, 1)]
        if self._summarizer is None:
            return [(text, 1) for text in texts]
        max_tokens, num_tokens = self._summarizer.budget // 2, self._summarizer.num_tokens
        return [fitting(text, max_tokens, num_tokens) for text in texts]
