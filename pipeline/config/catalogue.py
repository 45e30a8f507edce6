"""The model catalogue: a name in ``engine.model`` stands for a checkpoint and how it is run.

The files are those of ``pipeline/config/models``. Nothing here knows what the settings mean: the
sections of ``config`` validate them.
"""

from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.config.yaml_text import read_yaml
from pipeline.errors import ConfigError

FOLDER = Path(__file__).with_name("models")

_SECTIONS = ("sample", "frame", "plan")

Tree = dict[str, Any]


@cache
def catalogue() -> dict[str, Tree]:
    """Name -> settings of a run: sections sample, frame, plan and engine."""
    entries: dict[str, Tree] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        family = read_yaml(path)
        for name, engine in family["models"].items():
            entries[name] = {section: family[section] for section in _SECTIONS} | {
                "engine": merged(family["engine"], engine)
            }
    return entries


def resolved(tree: Tree) -> Tree:
    """``tree`` over the settings of the catalogue's entry that its ``engine.model`` names, if any.

    The entry's name gives way to the checkpoint's, so that rows name what answered.

    Raises:
        ConfigError: ``engine.model`` is nearly a name of the catalogue.
    """
    engine = tree.get("engine")
    if not isinstance(engine, dict) or not isinstance(name := engine.get("model"), str):
        return tree
    if "/" in name or Path(name).is_dir():
        return tree
    entry = catalogue().get(name)
    if entry is None:
        if near := get_close_matches(name, catalogue(), n=3):
            raise ConfigError(
                f"engine.model={name}: not in the model catalogue, and neither a folder nor a hub "
                f"id (organisation/name); the catalogue has {', '.join(near)}"
            )
        return tree
    own = {**tree, "engine": {key: value for key, value in engine.items() if key != "model"}}
    return merged(entry, own)


def merged(defaults: Tree, own: Tree) -> Tree:
    """``own`` over ``defaults``, section by section; neither is changed."""
    both = dict(defaults)
    for key, value in own.items():
        known = both.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            both[key] = merged(known, value)
        else:
            both[key] = value
    return both
