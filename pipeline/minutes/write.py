"""Minutes in a model's words: what it may write of a meeting, and what of that stands.

The model reads numbered lines, in parts if they do not fit into one call. Of each part it writes
minutes, and of what it says of all parts a shorter one. Each line is checked against the rows that
it rests on; what they do not bear out is left out and counted. If an answer cannot be read, or
nothing in it stands, the model is asked once more and is given the reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.config import SummariesConfig
from pipeline.errors import ConfigError, SummaryError
from pipeline.minutes.check import contradiction_of_told
from pipeline.minutes.note import Note, Told
from pipeline.minutes.prompt import (
    MAX_LINES,
    answer_schema,
    messages,
    numbered_line,
    read_answer,
)
from pipeline.records import NOTE_KINDS, Completion, Slide, Utterance
from pipeline.records.numbered_lines import (
    MAX_COMPLAINT_CHARS,
    MIN_LINES_TOKENS,
    SPARE_TOKENS,
    Ask,
    fitting,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """A model that writes minutes. It comes in as functions: this stage knows no engine."""

    ask: Ask
    num_tokens: Callable[[str], int]
    context: int
    """Tokens of prompt and answer together."""
    max_tokens: int | None = None
    """Of all prompts and answers together; nothing is asked once they are spent."""


@dataclass(slots=True, kw_only=True)
class Writing:
    """What a model has written, and what of it stands."""

    lines: list[Told] = field(default_factory=list)
    """By kind, and in the order of time."""
    num_dropped: int = 0
    """Lines that the rows they name do not bear out."""
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0


async def write_minutes(
    quotes: Sequence[Note],
    utterances: Mapping[str, Utterance],
    slides: Mapping[str, Slide],
    config: SummariesConfig,
    author: Author,
) -> Writing:
    """The minutes of one meeting.

    Args:
        quotes: all that may be cited, in the order of time.
        utterances: those of the meeting, by id.
        slides: likewise.
        config: how long answers and prompts may be.
        author: the model.

    Raises:
        SummaryError: the model has not written any that stand, or the tokens are spent.
        ConfigError: its context has no room for lines.
    """
    work = _Work(utterances, slides, config, author)
    parts = work.parts(quotes, is_merge=False)
    for part in parts:
        work.writing.lines += await work.ask_twice(part, is_merge=False)
    said = [line for line in work.writing.lines if line.kind == "said"]
    others = [line for line in work.writing.lines if line.kind != "said"]
    if len(parts) > 1:
        said = await work.merged(said)
    # A heading or a task may stand at the end of one part and at the beginning of the next.
    lines = dict.fromkeys([*said, *others])
    work.writing.lines = sorted(lines, key=lambda one: (NOTE_KINDS.index(one.kind), one.media))
    return work.writing


class _Work:
    """One meeting, and what was asked and written so far."""

    def __init__(
        self,
        utterances: Mapping[str, Utterance],
        slides: Mapping[str, Slide],
        config: SummariesConfig,
        author: Author,
    ) -> None:
        self._rows = utterances, slides
        self._config = config
        self._author = author
        self.writing = Writing()

    def parts(self, lines: Sequence[Note | Told], *, is_merge: bool) -> list[list[Note | Told]]:
        """Runs of lines, each of which fits into one call."""
        budget = self._budget(is_merge=is_merge)
        parts: list[list[Note | Told]] = []
        left = 0
        for number, line in enumerate(lines, 1):
            _, cost = self._fitting(number, line, budget)
            if not parts or cost > left:
                parts.append([])
                left = budget
            parts[-1].append(line)
            left -= cost
        return parts

    async def merged(self, said: list[Told]) -> list[Told]:
        """As many lines as one summary may have, of those of all parts."""
        while len(said) > self._config.max_sentences:
            # Each part becomes at most half as many lines, so the loop ends.
            parts = self.parts(said, is_merge=True)
            shorter = [
                line
                for part in parts
                for line in (
                    await self.ask_twice(part, is_merge=True) if len(part) > 1 else list(part)
                )
                if isinstance(line, Told) and line.kind == "said"
            ]
            if len(shorter) >= len(said):
                break
            said = shorter
        return said

    async def ask_twice(self, lines: Sequence[Note | Told], *, is_merge: bool) -> list[Told]:
        """What the model writes of one part, and what stands of it."""
        budget = self._budget(is_merge=is_merge)
        numbered = [self._fitting(n, line, budget)[0] for n, line in enumerate(lines, 1)]
        max_said = self._config.max_sentences
        max_lines = min(max_said, len(lines) // 2) if is_merge else MAX_LINES
        complaint = ""
        for _ in range(2):
            conversation = messages(
                numbered,
                is_merge=is_merge,
                max_lines=max_lines,
                max_said=max_said,
                instructions=self._config.instructions,
                complaint=complaint[:MAX_COMPLAINT_CHARS],
            )
            answer = await self._ask(conversation, answer_schema(len(lines), max_lines=max_lines))
            try:
                told = read_answer(answer.text, answer.finish_reason, lines, max_lines=max_lines)
            except SummaryError as exc:
                complaint = str(exc)
                continue
            kept, reasons = self._held(told)
            if kept:
                self.writing.num_dropped += len(reasons)
                return kept
            complaint = f"none of its lines stands, such as: {reasons[0]}"
        raise SummaryError(complaint)

    def _held(self, told: Sequence[Told | str]) -> tuple[list[Told], list[str]]:
        kept, reasons = [], []
        for line in told:
            why = line if isinstance(line, str) else contradiction_of_told(line, *self._rows)
            if isinstance(line, Told) and not why:
                kept.append(line)
            else:
                reasons.append(why)
        return kept, reasons

    async def _ask(self, conversation: list[dict[str, Any]], schema: str) -> Completion:
        spent = self.writing.num_prompt_tokens + self.writing.num_output_tokens
        if (most := self._author.max_tokens) is not None and spent >= most:
            raise SummaryError(f"budget.max_tokens={most} is spent ({spent} tokens)")
        answer = await self._author.ask(conversation, schema)
        self.writing.num_prompt_tokens += answer.num_prompt_tokens
        self.writing.num_output_tokens += answer.num_output_tokens
        return answer

    def _budget(self, *, is_merge: bool) -> int:
        """Tokens that the lines of one call may have together."""
        config, count = self._config, self._author.num_tokens
        without_lines = messages(
            [],
            is_merge=is_merge,
            max_lines=MAX_LINES,
            max_said=config.max_sentences,
            instructions=config.instructions,
            complaint="x" * MAX_COMPLAINT_CHARS,
        )
        overhead = sum(count(message["content"]) for message in without_lines)
        room = min(config.max_prompt_tokens, self._author.context - config.max_output_tokens)
        budget = room - overhead - SPARE_TOKENS
        if budget < MIN_LINES_TOKENS:
            raise ConfigError(
                f"summaries: {budget} tokens are left for what is said in a context of"
                f" {self._author.context}; lower summaries.max_output_tokens or raise"
                " summaries.max_prompt_tokens and engine.args.max_model_len"
            )
        return budget

    def _fitting(self, number: int, line: Note | Told, budget: int) -> tuple[str, int]:
        """A line as the model reads it, and its tokens: at most half of the budget."""
        return fitting(numbered_line(number, line), budget // 2, self._author.num_tokens)
