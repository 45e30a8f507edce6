"""YAML that people wrote, bounded before anything is made of it.

A few lines can stand for billions of values (aliases of aliases), and brackets in brackets can
exhaust the stack of whatever walks the tree later.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigError

MAX_BYTES = 2**20
MAX_DEPTH = 64
MAX_VALUES = 50_000
"""Keys and values, each alias counted as all that it stands for."""
_MAX_NUMBER_CHARS = 100

_NUMBER = re.compile(r"[-+.0-9][-+.:_0-9A-Fa-fox]*")
_TAGS = (None, "!", "tag:yaml.org,2002:str")
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - any value that YAML has
    """The value in a YAML file.

    Raises:
        ConfigError: names the file, and why it cannot be read or which limit it passes.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror}); check the path") from exc
    except ValueError as exc:  # a NUL in the path
        raise ConfigError(f"{str(path)!r}: cannot be read ({exc}); check the path") from exc
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_BYTES:,} bytes; is it a config?")
    try:
        text = raw.decode()
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: is not YAML: {exc}") from exc
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Any:  # noqa: ANN401 - any value that YAML has
    """The value of a YAML text, which errors call ``name``.

    Raises:
        ConfigError: it is not YAML, or passes a limit.
    """
    try:
        _check(yaml.parse(text, Loader=yaml.SafeLoader), name)
        return yaml.safe_load(text)
    # The last two: a date or number that there is none, such as 2026-13-45.
    except (yaml.YAMLError, ValueError, OverflowError) as exc:
        raise ConfigError(f"{name}{_place(exc)}: is not YAML: {_problem(exc)}") from None


def _place(exc: Exception) -> str:
    mark = getattr(exc, "problem_mark", None)
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _problem(exc: Exception) -> str:
    """What is wrong, without the line itself, which may hold a key."""
    if isinstance(exc, yaml.MarkedYAMLError):
        return ", ".join(filter(None, (exc.context, exc.problem)))
    return str(exc)


@dataclass(slots=True)
class _Node:
    """What is known of a value while its events pass by."""

    num_values: int = 1
    depth: int = 0


def _check(events: Iterable[yaml.Event], name: str) -> None:
    anchors: dict[str, _Node] = {}
    is_open: list[tuple[str | None, _Node]] = [(None, _Node())]
    for event in events:
        match event:
            case yaml.CollectionStartEvent():
                _check_tag(event, name)
                is_open.append((event.anchor, _Node()))
                if len(is_open) > MAX_DEPTH + 1:
                    raise _too_deep(event, name)
                continue
            case yaml.CollectionEndEvent():
                anchor, node = is_open.pop()
            case yaml.AliasEvent():
                anchor, known = None, anchors.get(str(event.anchor))
                if known is None:
                    raise ConfigError(
                        f"{name}, {_line(event)}: alias *{event.anchor} stands inside of its own"
                        " anchor, or before it"
                    )
                node = known
            case yaml.ScalarEvent():
                _check_scalar(event, name)
                anchor, node = event.anchor, _Node()
            case _:
                continue
        if anchor is not None:
            anchors[anchor] = node
        _add(node, is_open[-1][1], len(is_open), event, name)


def _add(node: _Node, parent: _Node, level: int, event: yaml.Event, name: str) -> None:
    parent.num_values += node.num_values
    parent.depth = max(parent.depth, node.depth + 1)
    if parent.num_values > MAX_VALUES:
        raise ConfigError(
            f"{name}, {_line(event)}: more than {MAX_VALUES:,} keys and values, each alias"
            " counted as all that it stands for"
        )
    if level + node.depth > MAX_DEPTH + 1:
        raise _too_deep(event, name)


def _check_tag(event: yaml.ScalarEvent | yaml.CollectionStartEvent, name: str) -> None:
    if event.tag not in _TAGS:
        raise ConfigError(f"{name}, {_line(event)}: is not YAML without tags: {event.tag}")


def _check_scalar(event: yaml.ScalarEvent, name: str) -> None:
    _check_tag(event, name)
    # Python takes time that grows with the square of the digits.
    if (
        len(event.value) > _MAX_NUMBER_CHARS
        and event.style is None
        and _NUMBER.fullmatch(event.value)
    ):
        raise ConfigError(
            f"{name}, {_line(event)}: a number of more than {_MAX_NUMBER_CHARS} characters"
        )
    if _SURROGATE.search(event.value):
        raise ConfigError(f"{name}, {_line(event)}: half of a surrogate pair is no character")


def _too_deep(event: yaml.Event, name: str) -> ConfigError:
    return ConfigError(f"{name}, {_line(event)}: nested deeper than {MAX_DEPTH} levels")


def _line(event: yaml.Event) -> str:
    mark = event.start_mark
    return f"line {mark.line + 1}" if mark else "at an unknown line"
