"""Names of cameras as people write them: a name that exists is that camera, others may be globs.

Recorders write names such as ``gate[1]``, which as a glob would mean ``gate1``.
"""

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from glob import escape
from itertools import takewhile
from typing import TypeVar

_Setting = TypeVar("_Setting")
_GLOB_CHARACTERS = frozenset("*?[")


def is_glob(name: str, known: Collection[str] = ()) -> bool:
    """Whether a name stands for whatever matches it, as none of the ``known`` is called so."""
    return name not in known and not _GLOB_CHARACTERS.isdisjoint(name)


def literal_prefix(glob: str) -> str:
    """What every name begins with that the glob matches."""
    return "".join(takewhile(lambda character: character not in _GLOB_CHARACTERS, glob))


def for_known(settings: Mapping[str, _Setting], known: Collection[str]) -> dict[str, _Setting]:
    """The settings of cameras with every key that is a known name meant for that camera alone."""
    exact = {escape(name): value for name, value in settings.items() if name in known}
    return exact | {name: value for name, value in settings.items() if name not in known}


def of_camera(settings: Mapping[str, _Setting], camera: str, default: _Setting) -> _Setting:
    """What holds for a camera: under its own name, or else under the first glob that matches."""
    found = (value for glob, value in settings.items() if fnmatchcase(camera, glob))
    return settings.get(camera, next(found, default))
