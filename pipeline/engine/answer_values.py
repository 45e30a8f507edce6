"""Single values of a model's answer: numbers, texts and fields, each as its task allows it."""

import math
from typing import Any

from pipeline.config.task_field import TaskField
from pipeline.errors import WindowError
from pipeline.records.sanitize import sanitized

_PRINTED_CHARS = 80
_MATCH_S = 1.0


def read_field(value: Any, where: str, spec: TaskField) -> tuple[str, str]:  # noqa: ANN401 - any JSON
    """The value of a field as text, and the label that it gives its event; "" if it gives none.

    Raises:
        WindowError: says which rule the value breaks.
    """
    if spec.number is not None:
        number, scale = read_number(value, where), spec.number
        if not scale.min <= number <= scale.max:
            raise WindowError(f"{where} = {number} is not from {scale.min:g} to {scale.max:g}")
        return scale.judged(number)
    text = read_text(value, where, spec.max_chars if spec.values is None else None)
    if spec.values is not None and text not in spec.values:
        raise WindowError(f"{where} = {shown(text)} is none of {', '.join(spec.values)}")
    if spec.pattern is not None and not _matches(spec.pattern, text, where):
        raise WindowError(f"{where} = {shown(text)} does not match {spec.pattern}")
    return text, ""


def _matches(pattern: str, text: str, where: str) -> bool:
    import regex  # noqa: PLC0415 - few tasks have one

    try:
        return regex.fullmatch(pattern, text, timeout=_MATCH_S) is not None
    except TimeoutError as exc:
        raise WindowError(
            f"{where}: to match {pattern} takes more than {_MATCH_S:g} s of CPU time; write the"
            " pattern with fewer repetitions"
        ) from exc


def read_number(value: Any, where: str) -> float:  # noqa: ANN401 - any JSON
    """A finite number; raises as ``read_field``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WindowError(f"{where} must be a number, not {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise WindowError(f"{where} = {shown(value)} is not finite")
    return number


def read_text(value: Any, where: str, max_chars: int | None) -> str:  # noqa: ANN401 - any JSON
    """A text on one line; raises as ``read_field``."""
    if not isinstance(value, str):
        raise WindowError(f"{where} must be text, not {shown(value)}")
    if max_chars is not None and len(value) > max_chars:
        raise WindowError(f"{where} has {len(value)} characters, more than {max_chars}")
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise WindowError(f"{where} is not Unicode text: {shown(value)}") from exc
    # It goes to tables, cues and terminals; the window's row keeps it as it was written.
    return sanitized(value)


def shown(value: Any) -> str:  # noqa: ANN401 - any JSON
    """A short, printable form: the error is stored, and may be shown to the model."""
    try:
        printed = ascii(value)
    except RecursionError:
        return "something deeply nested"
    return printed if len(printed) <= _PRINTED_CHARS else f"{printed[:_PRINTED_CHARS]}..."
