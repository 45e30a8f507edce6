"""Profiles: how a recorder names its files. Each is a data file in the folder ``profiles``.

A profile is about ten lines of YAML; ``sources.profile`` also takes the path of one's own.
"""

from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from pipeline.config.section import Section
from pipeline.config.yaml_text import read_yaml
from pipeline.errors import ConfigError

PAGE = "docs/recorders.md"
FOLDER = Path(__file__).with_name("profiles")
AUTO, NONE = "auto", "none"

Zone = Literal["local", "UTC"]


class PathRule(Section):
    """One form of path."""

    path: str
    """A template, for the end of the path without its extension."""
    suffixes: tuple[str, ...] = ()
    """In lower case; only files with one of these extensions. Without any: all videos."""
    zone: Zone | None = None
    """In place of the zone of the profile."""
    view: str | None = None
    """What the picture shows, as ``rear``; where one recording has several, each is a camera."""
    auto: bool = True
    """False for a form that other recorders write with another meaning: ``auto`` leaves it out."""
    low_resolution: bool = False
    """Whether it is the small twin of a file with the same camera, view, number and start."""


class Profile(Section):
    """How one kind of recorder names its files."""

    name: str = ""
    about: str
    named_by: tuple[str, ...] = Field(min_length=1)
    """Where the naming is documented, or who reported it."""
    zone: Zone = "local"
    """Of times that name no zone: that of ``sources.timezone``, or UTC."""
    views: dict[str, str] = Field(default_factory=dict)
    """The text in a path, as ``R``, and the name of the view that it stands for."""
    paths: tuple[PathRule, ...] = Field(min_length=1)
    """The first that matches a path counts."""

    @model_validator(mode="before")
    @classmethod
    def _from_short_forms(cls, tree: object) -> object:
        """A path alone is a rule, and one text is a list of one."""
        if isinstance(tree, dict):
            paths, named_by = tree.get("paths"), tree.get("named_by")
            if isinstance(paths, list):
                tree = tree | {"paths": [{"path": p} if isinstance(p, str) else p for p in paths]}
            if isinstance(named_by, str):
                tree = tree | {"named_by": [named_by]}
        return tree

    @classmethod
    def read(cls, file: Path, name: str) -> Self:
        """The profile in a YAML file.

        Raises:
            ConfigError: it is none.
        """
        try:
            return cls.model_validate(read_yaml(file)).model_copy(update={"name": name})
        except ValidationError as exc:
            first = exc.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise ConfigError(f"{file}: {key}: {first['msg']}; {PAGE} has the form") from exc


@cache
def built_in() -> dict[str, Profile]:
    """The profiles of this package, by name."""
    return {path.stem: Profile.read(path, path.stem) for path in sorted(FOLDER.glob("*.yaml"))}


def _without_doubtful(profile: Profile) -> Profile:
    paths = tuple(rule for rule in profile.paths if rule.auto)
    return profile.model_copy(update={"paths": paths})


def chosen(name: str) -> tuple[Profile, ...]:
    """The profiles that ``sources.profile`` means.

    Raises:
        ConfigError: there is no such profile.
    """
    if name == NONE:
        return ()
    if name == AUTO:
        return tuple(map(_without_doubtful, built_in().values()))
    if name in built_in():
        return (built_in()[name],)
    if "/" in name or name.endswith((".yaml", ".yml")):
        return (Profile.read(Path(name), name),)
    raise ConfigError(
        f"sources.profile={name}: is none of {AUTO}, {NONE}, {', '.join(built_in())}, and no path"
        " of a YAML file"
    )
