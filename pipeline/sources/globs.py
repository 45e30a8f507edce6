"""Globs, which a list file may hold: matched in linear time, and no tree is walked many times over.

A pattern with many stars as one regular expression takes exponential time for some names.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from pipeline.errors import ConfigError

ANY_FOLDERS = "**"
_MAX_ANY_FOLDERS = 2
"""More would list each file of a deep tree thousands of times."""


def check_glob(pattern: str) -> None:
    """Refuse a pattern that takes too long to expand.

    Raises:
        ConfigError: names the limit.
    """
    if pattern.split("/").count(ANY_FOLDERS) > _MAX_ANY_FOLDERS:
        raise ConfigError(
            f"{pattern}: has more than {_MAX_ANY_FOLDERS} times {ANY_FOLDERS}; one of them finds"
            " all folders below"
        )


def fixed_folder(pattern: str) -> tuple[str, int | None]:
    """The folder in which all matches lie, and how deep below it; None if at any depth."""
    parts = pattern.split("/")
    num_fixed = next(i for i, part in enumerate(parts) if {*part} & {"*", "?", "["})
    depth = None if ANY_FOLDERS in parts else len(parts) - num_fixed
    return "/".join(parts[:num_fixed]), depth


def matches(name: str, pattern: str) -> bool:
    """Whether a path matches: ``**`` is any number of folders, also none."""
    return _match(name.split("/"), pattern.split("/"))


def _match(name: Sequence[str], pattern: Sequence[str]) -> bool:
    # reached[i]: the parts of the pattern so far can match the first i parts of the name.
    reached = [True] + [False] * len(name)
    for part in pattern:
        if part == ANY_FOLDERS:
            first = reached.index(True) if True in reached else len(reached)
            reached = [i >= first for i in range(len(reached))]
        else:
            reached = [False] + [
                before and fnmatchcase(one, part)
                for before, one in zip(reached, name, strict=False)
            ]
    return reached[-1]
