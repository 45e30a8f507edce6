"""How sure a model was of each event, from the probabilities of the tokens it wrote. Pure.

The label's tokens count, up to the quote that ends it: they are where the model chose. What it
says of its own sureness does not count. Under a grammar, tokens it could not write have no share.
"""

import codecs
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

Token = tuple[str, float]
"""The text of one token of the answer, and its log-probability."""

# A quote inside a JSON text is escaped, so that this only ever matches the key itself.
_LABEL = re.compile(r'"label"\s*:\s*"((?:[^"\\]|\\.)*")')


def label_confidences(text: str, tokens: Sequence[Token]) -> tuple[float, ...]:
    """One probability per event of ``text``, in order; none at all where tokens do not fit it.

    Args:
        text: the answer, JSON of the task's schema.
        tokens: of the whole completion; the answer may be its end, after a thought.
    """
    offset = "".join(token for token, _ in tokens).rfind(text)
    if not text or offset < 0:
        return ()
    ends = list(accumulate(len(token) for token, _ in tokens))
    confidences = []
    for match in _LABEL.finditer(text):
        low, high = (offset + at for at in match.span(1))
        # From the token in which the label begins to the one in which its quote ends.
        overlapping = tokens[bisect_right(ends, low) : bisect_left(ends, high) + 1]
        chosen = sum(logprob for token, logprob in overlapping if token)
        confidences.append(min(1.0, math.exp(chosen)))
    return tuple(confidences)


def tokens_of_bytes(tokens: Iterable[tuple[bytes, float]]) -> list[Token]:
    """Tokens of bytes as text; one that ends inside a character leaves it to the next."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return [(decoder.decode(raw), logprob) for raw, logprob in tokens]
