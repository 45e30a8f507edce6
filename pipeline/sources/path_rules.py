"""Which of many rules a path matches, in one pass over the path for all rules of one depth."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from pipeline.sources.path_template import MAX_PATH_CHARS, PathMatch, Template, compile_template
from pipeline.sources.recorder_profile import PathRule, Profile

_ANY_SUFFIX = r"\.[^./]*"


@dataclass(frozen=True)
class Rule:
    """A form of path of a profile, compiled; ``name`` is unique among all rules."""

    name: str
    profile: Profile
    form: PathRule
    template: Template

    @property
    def pattern(self) -> str:
        """For the last folders and the name with its extension."""
        suffixes = "|".join(map(re.escape, self.form.suffixes))
        return self.template.pattern + (f"(?i:{suffixes})" if suffixes else _ANY_SUFFIX)

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The pattern alone."""
        return re.compile(self.pattern, re.ASCII)


@dataclass(frozen=True, slots=True)
class Matched:
    """A rule, and what the path says by it."""

    rule: Rule
    said: PathMatch


class PathRules:
    """The rules of some profiles."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        rules = _rules(profiles)
        if len(profiles) > 1:
            rules.sort(key=_precedence)
        self._levels = [
            _Level(num_folders, tuple(level))
            for num_folders, level in groupby(rules, lambda rule: rule.template.num_folders)
        ]

    def match(self, path: str) -> Matched | None:
        """The first rule that the path matches with a time that exists."""
        if len(path) > MAX_PATH_CHARS:
            return None
        # A name without an extension has an empty one, so that no free piece takes an extension.
        parts = (path if "." in path.rpartition("/")[2] else f"{path}.").split("/")
        for level in self._levels:
            if len(parts) > level.num_folders:
                matched = level.match("/".join(parts[-level.num_folders - 1 :]))
                if matched:
                    return matched
        return None


def _rules(profiles: Iterable[Profile]) -> list[Rule]:
    """In the order of the profiles, and in their own order.

    Raises:
        ConfigError: a template is none.
    """
    rules: list[Rule] = []
    for profile in profiles:
        for form in profile.paths:
            name = f"r{len(rules)}"
            template = compile_template(form.path, prefix=name, where=profile.name)
            rules.append(Rule(name, profile, form, template))
    return rules


def _precedence(rule: Rule) -> tuple[int, int, int]:
    """Less comes first: more folders, more that is fixed, an extension.

    It does not depend on other files, so a file has the same time in every run.
    """
    return -rule.template.num_folders, -rule.template.num_fixed, -len(rule.form.suffixes)


class _Level:
    """Rules of one depth: one regular expression tries them in their order."""

    def __init__(self, num_folders: int, rules: tuple[Rule, ...]) -> None:
        self.num_folders = num_folders
        self._rules = rules
        self._by_name: Mapping[str, int] = {rule.name: i for i, rule in enumerate(rules)}
        each = (f"(?P<{rule.name}>{rule.pattern})" for rule in rules)
        self._any = re.compile("|".join(each), re.ASCII)

    def match(self, tail: str) -> Matched | None:
        found = self._any.fullmatch(tail)
        if found is None or found.lastgroup is None:
            return None
        number = self._by_name[found.lastgroup]
        said = self._rules[number].template.read(found)
        if said is not None:
            return Matched(self._rules[number], said)
        # The digits are no date, so the path is of another form.
        for rule in self._rules[number + 1 :]:
            other = rule.compiled.fullmatch(tail)
            if other and (said := rule.template.read(other)) is not None:
                return Matched(rule, said)
        return None
