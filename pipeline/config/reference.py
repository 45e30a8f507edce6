"""Every setting with its type, default, description, and whether it decides an answer.

Descriptions are the texts below the fields. They are read from the source only here, as each
process that reads a config would pay for them otherwise.
"""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from textwrap import dedent
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.config.registry import find_kind, known_kinds
from pipeline.config.section import Mark
from pipeline.config.tree import Config
from pipeline.errors import ConfigError

ENGINE = "engine"
REQUIRED = "must be given"
_UNITS = {
    "_s": "seconds",
    "seconds": "seconds",
    "_days": "days",
    "_hours": "hours",
    "_bytes": "bytes",
    "_pixels": "pixels",
    "_tokens": "tokens",
    "_ppm": "microseconds per second",
    "fps": "frames per second",
}
_TYPES = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    NoneType: "null",
    datetime: "time",
    Any: "any value",
}
_BOUNDS: dict[type, tuple[str, str]] = {
    Ge: ("ge", "at least"),
    Gt: ("gt", "more than"),
    Le: ("le", "at most"),
    Lt: ("lt", "less than"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key of the tree."""

    key: str
    type: str
    default: str
    unit: str
    decides: Literal["answers", "summaries", "nothing"]
    """What is made anew when the setting changes."""
    description: str
    engines: tuple[str, ...] = ()
    """The engines that have this setting; empty for all that is outside of ``engine``."""


@cache
def settings() -> tuple[Setting, ...]:
    """Every setting, in the order of the tree."""
    known: list[Setting] = []
    for name, field in Config.model_fields.items():
        if name != ENGINE:
            decides = _decides(field, "answers")
            # What listens is a pass of its own, whose answers its settings decide.
            inside = {"summaries": "summaries", "speech": "answers"}.get(name, decides)
            known.extend(_of_field(Config, name, name, decides, inside))
            continue
        for kind in known_kinds():
            for setting in _of_section(find_kind(kind).settings, f"{ENGINE}.", "answers"):
                _add_engine(known, setting, kind)
    return tuple(known)


def explain(key: str) -> list[Setting]:
    """What a dotted key means: one setting, or several where engines differ.

    Raises:
        ConfigError: there is no such setting; says which have a similar name.
    """
    known = settings()
    if found := [setting for setting in known if setting.key == key]:
        return found
    names = list(dict.fromkeys(setting.key for setting in known))
    below = [name for name in names if name.startswith(f"{key}.")]
    leaf = key.rpartition(".")[2]
    same_leaf = [name for name in names if name.rpartition(".")[2] == leaf]
    near = below or list(dict.fromkeys(get_close_matches(key, names, n=3) + same_leaf))[:5]
    hint = f"near ones are {', '.join(near)}" if near else "docs/settings.md lists all"
    raise ConfigError(f"{key}: there is no such setting; {hint}")


def _add_engine(known: list[Setting], setting: Setting, kind: str) -> None:
    """The same setting of several engines is one row."""
    for place, other in enumerate(known):
        if replace(other, engines=()) == setting:
            known[place] = replace(other, engines=(*other.engines, kind))
            return
    known.append(replace(setting, engines=(kind,)))


def _of_section(section: type[BaseModel], prefix: str, decides: Any) -> Iterator[Setting]:  # noqa: ANN401 - a literal of Setting
    for name, field in section.model_fields.items():
        own = _decides(field, decides)
        yield from _of_field(section, name, f"{prefix}{name}", own, own)


def _of_field(
    section: type[BaseModel],
    name: str,
    key: str,
    decides: Any,  # noqa: ANN401 - a literal of Setting
    inside: Any,  # noqa: ANN401 - the same
) -> Iterator[Setting]:
    """The field itself, unless it is nothing but a section; then what is in the section."""
    field = section.model_fields[name]
    children = list(nested(field.annotation))
    if not (children and field.annotation is children[0][0]):
        yield Setting(
            key=key,
            type=", ".join((_type_text(field.annotation), *_bounds(field))),
            default=_default(field),
            unit=next((unit for end, unit in _UNITS.items() if name.endswith(end)), ""),
            decides=decides,
            description=descriptions(section).get(name, ""),
        )
    for child, between in children:
        yield from _of_section(child, f"{key}.{between}", inside)


def _decides(field: FieldInfo, inherited: Any) -> Any:  # noqa: ANN401 - a literal of Setting
    return "nothing" if Mark.OPERATIONAL in field.metadata else inherited


def nested(annotation: Any) -> Iterator[tuple[type[BaseModel], str]]:  # noqa: ANN401 - any type hint
    """The sections in a type, each with the part of the key that stands before its own keys."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, ""
    elif get_origin(annotation) is dict:
        yield from ((child, "NAME.") for child, _ in nested(get_args(annotation)[1]))
    else:
        for part in get_args(annotation):
            yield from nested(part)


def _type_text(annotation: Any) -> str:  # noqa: ANN401 - any type hint
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is Literal:
        text = " or ".join(map(str, arguments))
    elif origin is tuple:
        text = f"list of {_type_text(arguments[0])}"
    elif origin is dict:
        text = f"mapping of names to {_type_text(arguments[1])}"
    elif hasattr(annotation, "__metadata__"):
        text = _type_text(arguments[0])
    elif arguments:
        text = " or ".join(map(_type_text, arguments))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        text = "section"
    else:
        text = _TYPES[annotation]
    return text


def _bounds(field: FieldInfo) -> Iterator[str]:
    for bound in field.metadata:
        if type(bound) in _BOUNDS:
            name, words = _BOUNDS[type(bound)]
            yield f"{words} {getattr(bound, name):,g}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return REQUIRED
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, tuple):
        default = list(default)
    if isinstance(default, bool) or default is None:
        return {True: "true", False: "false", None: "null"}[default]
    return str(default) if default != "" else '""'


def descriptions(section: type[BaseModel]) -> dict[str, str]:
    """The text below each field, of the section and of those it is made from."""
    texts: dict[str, str] = {}
    for part in reversed(section.__mro__):
        if not issubclass(part, BaseModel) or part is BaseModel:
            continue
        [declared] = ast.parse(dedent(inspect.getsource(part))).body
        assert isinstance(declared, ast.ClassDef)  # noqa: S101 - the source of a class
        for field, below in pairwise(declared.body):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    texts[name] = " ".join(text.replace("``", "`").split())
    return texts
