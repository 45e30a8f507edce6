"""Reads the camera and the times of a recording from its path."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from posixpath import splitext

import regex

from pipeline.config import SourcesConfig
from pipeline.errors import SourceError
from pipeline.sources.local_time import RecordingHints, credible, hints_at, utc_of
from pipeline.sources.path_rules import Matched, PathRules
from pipeline.sources.path_time import Moment
from pipeline.sources.recorder_profile import PathRule, Profile, chosen

_MATCH_S = 0.5
"""Of CPU time, for one name and regex: some regexes try exponentially many ways, and whoever
names files chooses the name."""
_SLOW_S = 30.0
"""Once a regex has wasted so much in all on such names, each name gets less: there may be many."""
_MATCH_WHEN_SLOW_S = 0.005


def from_path(uri: str, config: SourcesConfig) -> RecordingHints:
    """The camera and UTC start in the path; None for what the path does not contain.

    Raises:
        SourceError: the path contains a local time that does not exist, or that is ambiguous; or
            to match it takes too long.
    """
    hints = read_path(uri, config)
    if hints.problem:
        raise SourceError(hints.problem)
    return hints


def read_path(uri: str, config: SourcesConfig) -> RecordingHints:
    """As ``from_path``; a local time that is none is the ``problem`` of the hints.

    Raises:
        SourceError: to match it takes too long.
    """
    own, profiles = _rules(config.templates, config.profile)
    if matched := own.match(uri):
        return _hints(matched, config)
    by_regex = next(_matches(uri, config), None)
    if by_regex is not None:
        return by_regex
    matched = profiles.match(uri)
    return _hints(matched, config) if matched else RecordingHints()


@lru_cache
def _rules(templates: tuple[str, ...], profile: str) -> tuple[PathRules, PathRules]:
    return PathRules([_own_profile(templates)]), PathRules(chosen(profile))


def _own_profile(templates: tuple[str, ...]) -> Profile:
    paths = tuple(PathRule(path=template) for template in templates)
    return Profile.model_construct(
        name="sources.templates", about="", named_by=(), zone="local", views={}, paths=paths
    )


def _hints(matched: Matched, config: SourcesConfig) -> RecordingHints:
    rule, said = matched.rule, matched.said
    zone = rule.form.zone or rule.profile.zone
    timezone = config.timezone if zone == "local" else zone
    start_ns: int | None = None
    warnings: tuple[str, ...] = ()
    problem = ""
    if said.start is not None:
        try:
            start_ns, warnings = utc_of(said.start.at, timezone, config.ambiguous)
            start_ns += said.start.extra_ns
        except SourceError as exc:
            problem = str(exc)
    view = rule.form.view or (said.view and rule.profile.views.get(said.view, said.view))
    return RecordingHints(
        camera=said.camera,
        folder=said.folder,
        view=view,
        start_ns=start_ns,
        end_ns=_end_ns(said.end, timezone, config),
        warnings=warnings,
        rule=rule.profile.name,
        template=rule.form.path,
        zone="" if said.start is None or said.start.at.tzinfo or zone == "UTC" else timezone,
        number=said.number,
        problem=problem,
        is_low_resolution=rule.form.low_resolution,
    )


def _end_ns(end: Moment | None, timezone: str, config: SourcesConfig) -> int | None:
    if end is None:
        return None
    try:
        return utc_of(end.at, timezone, config.ambiguous)[0] + end.extra_ns
    except SourceError:
        return None  # only the start must be known


def _matches(uri: str, config: SourcesConfig) -> Iterator[RecordingHints]:
    """What the regexes of the config find, in their order."""
    stem = splitext(uri)[0]
    for one in config.regexes:
        match = _compiled(one).search(stem, uri)
        if not match:
            continue
        groups = match.groupdict()
        rule = {"camera": groups.get("camera"), "rule": "sources.regexes", "template": one}
        if not groups.get("start"):
            yield RecordingHints(**rule)
            continue
        try:
            start = credible(datetime.fromisoformat(groups["start"]))
        except ValueError:
            continue  # the digits are not a date, so the regex is not for this file
        yield replace(hints_at(start, config), **rule)


@dataclass(slots=True)
class _Regex:
    """A compiled regex, and the CPU time that it has wasted in this process."""

    compiled: "regex.Pattern[str]"
    wasted_s: float = 0.0

    def search(self, stem: str, uri: str) -> "regex.Match[str] | None":
        limit_s = _MATCH_S if self.wasted_s < _SLOW_S else _MATCH_WHEN_SLOW_S
        try:
            return self.compiled.search(stem, timeout=limit_s)
        except TimeoutError as exc:
            self.wasted_s += limit_s
            raise SourceError(
                f"{uri}: to match its name with {self.compiled.pattern!r} takes more than"
                f" {limit_s} s of CPU time; write sources.regexes with fewer repetitions"
            ) from exc


@lru_cache
def _compiled(one: str) -> _Regex:
    return _Regex(regex.compile(one))
