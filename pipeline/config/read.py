"""From YAML files and overrides to a tree that is valid as a whole."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.config.engine_kind import EngineKind
from pipeline.config.engines import may_name_a_key
from pipeline.config.registry import DEFAULT_KIND, default_task, find_kind, is_kind
from pipeline.config.task import Task
from pipeline.config.tree import Config
from pipeline.config.yaml_text import MAX_DEPTH, parse_yaml, read_yaml
from pipeline.errors import ConfigError


def load_config(path: Path | None = None, overrides: tuple[str, ...] = ()) -> Config:
    """Read a YAML file, apply ``key.path=value`` overrides, validate once.

    ``task`` may be the path of a task file, relative to the config file; an override reaches what
    is in it. The engine fills in what names in its section stand for, such as a model of the
    catalogue. Without ``path`` the default engine runs, which needs no model.

    Raises:
        ConfigError: names the file and each wrong key with its value.
    """
    tree = _read_tree(path) if path else {}
    folder = path.parent if path else Path()
    # The engine first: it may bring the task that other overrides reach into.
    for override in sorted(overrides, key=lambda one: not one.startswith("engine")):
        if not override.startswith("engine"):
            _set_task(tree, folder)
        _apply(tree, override)
    _set_task(tree, folder)
    try:
        config = Config.model_validate(_resolved(tree))
    except ValidationError as exc:
        raise ConfigError(_explain(path, exc)) from exc
    _refuse_passwords(path, tree)
    return config


def load_task(path: Path) -> Task:
    """Read a task from its file.

    Raises:
        ConfigError: names the file and each wrong key with its value.
    """
    try:
        return Task.model_validate(_read_tree(path))
    except ValidationError as exc:
        raise ConfigError(_explain(path, exc)) from exc


_FROM_AN_INDEX = ("task", "stitch", "summaries")
"""None of these can name a place, a key or code."""


def stored_config(text: str) -> Config:
    """The settings with which rows were made, as ``Config.to_json`` wrote them.

    An index may come from somebody else. So this may be used to read its rows, never to open
    something: ``config_for_stored`` is what a run may use.

    Raises:
        ConfigError: names each wrong key with its value.
    """
    return _validated(_stored_tree(text))


def config_for_stored(text: str, overrides: tuple[str, ...] = ()) -> Config:
    """The task of stored settings and how it is stitched and summarized, for a run of the user's.

    What an index says of engines, endpoints, keys, places and code is not used. The engine is the
    default one, which connects to nothing, unless ``overrides`` (the user's own) name another.

    Raises:
        ConfigError: the rows were made with a model, and ``overrides`` name no engine; or names
            each wrong key with its value.
    """
    tree = _stored_tree(text)
    engine = tree.get("engine")
    kind = engine.get("kind", DEFAULT_KIND) if isinstance(engine, dict) else DEFAULT_KIND
    if kind != DEFAULT_KIND and not any(override.startswith("engine") for override in overrides):
        raise ConfigError(
            f"the index was made with the engine {str(kind)[:40]!r}; an index is never asked where"
            " to connect or which model to load: give your own --config, or --set engine={...}"
        )
    tree = {key: value for key, value in tree.items() if key in _FROM_AN_INDEX}
    for override in overrides:
        _apply(tree, override)
    return _validated(_resolved(tree))


def _stored_tree(text: str) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"the stored config is not JSON: {exc}") from exc
    if not isinstance(tree, dict) or _is_deeper(tree, MAX_DEPTH):
        raise ConfigError(
            f"the stored config must hold keys and values in at most {MAX_DEPTH} levels"
        )
    return tree


def _is_deeper(tree: object, levels: int) -> bool:
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return levels < 0 or any(_is_deeper(value, levels - 1) for value in inner)


def _validated(tree: dict[str, Any]) -> Config:
    try:
        return Config.model_validate(tree)
    except ValidationError as exc:
        raise ConfigError(_explain(Path("the stored config"), exc)) from exc


def _read_tree(path: Path) -> dict[str, Any]:
    tree = read_yaml(path)
    if not isinstance(tree, dict | None):
        raise ConfigError(f"{path}: must hold keys and values, not {type(tree).__name__}")
    return tree or {}


def _set_task(tree: dict[str, Any], folder: Path) -> None:
    """The task from its file; without one all that the engine can see."""
    if "task" not in tree:
        kind = _kind_of(tree)
        tree["task"] = ((kind and kind.task) or default_task()).model_dump(mode="json")
    if isinstance(tree["task"], str):
        tree["task"] = _read_tree(folder / tree["task"])


def _kind_of(tree: dict[str, Any]) -> EngineKind[Any] | None:
    """The engine that the tree names; None if there is none such."""
    engine = tree.get("engine", {})
    name = engine.get("kind", DEFAULT_KIND) if isinstance(engine, dict) else None
    return find_kind(name) if is_kind(name) else None


def _resolved(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree as its engine fills it in; as it is where it names no engine that there is."""
    kind = _kind_of(tree)
    return kind.resolve(tree) if kind and kind.resolve else tree


def _apply(tree: dict[str, Any], override: str) -> None:
    dotted, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"--set {override}: must look like sample.fps=2")
    *parents, leaf = dotted.split(".")
    node = tree
    for key in parents:
        if node.get(key) is None:  # off, or empty in the file
            node[key] = {}
        node = node[key]
        if not isinstance(node, dict):
            raise ConfigError(f"--set {dotted}: {key} is a value, not a section")
    node[leaf] = parse_yaml(value, f"--set {dotted}")


_MAX_TOLD = 50
_MAX_VALUE_CHARS = 1000
_NO_SUCH_KEY = "there is no such setting; `timereel config show FILE` lists all"


def _explain(path: Path | None, exc: ValidationError) -> str:
    errors = exc.errors()
    lines = [
        f"  {'.'.join(map(str, loc)) or 'config'} = {_shown(_hidden(error['input'], loc))}: "
        + (_NO_SUCH_KEY if error["type"] == "extra_forbidden" else error["msg"])
        for error in errors[:_MAX_TOLD]
        for loc in [error["loc"]]
    ]
    if more := len(errors) - len(lines):
        lines.append(f"  and {more} more")
    return "\n".join([f"{path or 'config'} is not valid:", *lines])


_SECRETIVE = frozenset({"webhook", "command"})
"""Settings that somebody may have put a key into, against what is said of them."""


def _hidden(value: object, names: Sequence[object] = ()) -> object:
    """A wrong value without what may be a key in it: by its name, or as a part of an address."""
    if any(may_name_a_key(name) or name in _SECRETIVE for name in names):
        return "***"
    if isinstance(value, dict):
        return {name: _hidden(inner, (name,)) for name, inner in value.items()}
    if isinstance(value, str) and "://" in value:
        return re.sub(r"[?#].*", "?***", re.sub(r"//[^/]*@", "//***@", value), flags=re.DOTALL)
    return list(map(_hidden, value)) if isinstance(value, list) else value


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _MAX_VALUE_CHARS else f"{shown[:_MAX_VALUE_CHARS]}\u2026"


_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#@\s]*:[^/?#@\s]*@")


def _refuse_passwords(path: Path | None, value: object, name: str = "") -> None:
    """Settings are stored and shown: refuse an address with a password, wherever it stands."""
    if isinstance(value, str) and _PASSWORD.search(value):
        raise ConfigError(
            f"{path or 'config'}: {name} holds an address with a user and a password; leave them"
            " out, credentials come from the environment"
        )
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_passwords(path, inner, f"{name}.{key}".lstrip("."))
