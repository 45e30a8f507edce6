"""Reads JSON of strangers, as models, sidecars and logs of tables: one rule for all of them."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

_TOLD_CHARS = 40


def read_json(text: str | bytes) -> Any:  # noqa: ANN401 - any JSON
    """The value that a text holds, if no two readers can take it for different ones.

    Raises:
        ValueError: it is no JSON, an object has a key twice, or a number is none (NaN, Infinity).
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_once_each, parse_constant=_no_constant)


def _once_each(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:_TOLD_CHARS]!a} occurs twice")
    return read


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
