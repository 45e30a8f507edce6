"""Numbered lines, from which a model writes: it names those on which each of its sentences rests.

What every prompt of that kind has in common, whatever its lines tell of.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from pipeline.records.windows import Completion

Ask = Callable[[list[dict[str, Any]], str], Awaitable[Completion]]
"""From messages and a JSON schema to an answer; raises SummaryError if the model gives none."""

MAX_CITED = 12
"""Lines that one sentence may name; one with more would be about everything."""
MAX_COMPLAINT_CHARS = 300
"""Of what is said of an answer that was refused, when the model is asked again."""
MIN_LINES_TOKENS = 256
"""With less room for lines in one call, nothing is asked."""
SPARE_TOKENS = 128
"""For the chat template, and because lines tokenise differently when concatenated."""
_CUT_MARK = "..."


def plain(text: str) -> str:
    """The text as it may stand in a line: it neither starts a new line nor ends the turn."""
    return " ".join(text.split()).replace("<|", "< |")


def cited_schema(num_lines: int) -> dict[str, Any]:
    """JSON schema of the numbers that a sentence names, of lines 1 to ``num_lines``.

    A sentence has them before its text, so that the model writes the text with its lines in view.
    """
    return {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": num_lines},
        "minItems": 1,
        "maxItems": MAX_CITED,
    }


def fitting(text: str, max_tokens: int, num_tokens: Callable[[str], int]) -> tuple[str, int]:
    """A line, cut off where it has more than ``max_tokens``, and how many it has then."""
    while (cost := num_tokens(text + "\n")) > max_tokens:
        text = text[: len(text) * max_tokens // cost - len(_CUT_MARK) - 1] + _CUT_MARK
    return text, cost
