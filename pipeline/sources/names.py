"""Reads the camera and the start of a recording from its path."""

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from pathlib import PurePosixPath

import regex

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError, SourceError
from pipeline.sources.local_time import RecordingHints, credible, hints_at
from pipeline.timebase import NS_PER_MS, NS_PER_S, NS_PER_US, ns_to_datetime

_MATCH_S = 0.5
"""Of CPU time, for one name and pattern: some regexes try exponentially many ways, and whoever
names files chooses the name."""


def from_path(uri: str, config: SourcesConfig) -> RecordingHints:
    """The camera and UTC start in the path; None for what the path does not contain.

    Raises:
        SourceError: the path contains a local time that does not exist, or that is ambiguous; or
            to match it takes too long.
    """
    stem = uri.removesuffix(PurePosixPath(uri).suffix)
    for pattern, form in _patterns(config.templates, config.regexes):
        try:
            match = pattern.search(stem, timeout=_MATCH_S)
        except TimeoutError as exc:
            raise SourceError(
                f"{uri}: to match its name with {pattern.pattern!r} takes more than {_MATCH_S} s"
                " of CPU time; write sources.regexes with fewer repetitions"
            ) from exc
        if not match:
            continue
        groups = match.groupdict()
        if not groups.get("start"):
            return RecordingHints(camera=groups.get("camera"))
        try:
            start = _parse_start(groups["start"], form)
        except ValueError:
            continue  # the digits are not a date, so the template is not for this file
        if isinstance(start, int):
            return RecordingHints(camera=groups.get("camera"), start_ns=start)
        return hints_at(start, config, camera=groups.get("camera"))
    return RecordingHints()


def _parse_start(text: str, form: str | None) -> int | datetime:
    """UTC in nanoseconds, or a datetime that may lack a zone."""
    if form in _EPOCHS:
        utc_ns = int(text) * _EPOCHS[form][1]
        credible(ns_to_datetime(utc_ns))
        return utc_ns
    if form is None:
        return credible(datetime.fromisoformat(text))
    return credible(datetime.strptime(text, form))  # noqa: DTZ007 - the zone comes later


_DIRECTIVES = {
    "%Y": r"\d{4}",
    "%y": r"\d{2}",
    "%m": r"\d{2}",
    "%d": r"\d{2}",
    "%j": r"\d{3}",
    "%H": r"\d{2}",
    "%I": r"\d{2}",
    "%p": r"[AaPp][Mm]",
    "%M": r"\d{2}",
    "%S": r"\d{2}",
    "%f": r"\d{1,6}",
    "%z": r"(?:Z|[+-]\d{2}:?\d{2})",
    "%%": "%",
}
# For each unit the pattern of a time of this century, and the nanoseconds in the unit.
_EPOCHS: dict[str | None, tuple[str, int]] = {
    "epoch_s": (r"\d{9,11}", NS_PER_S),
    "epoch_ms": (r"\d{12,14}", NS_PER_MS),
    "epoch_us": (r"\d{15,17}", NS_PER_US),
    "epoch_ns": (r"\d{18,20}", 1),
}
# File managers name copies "clip (1).mp4"; a copy has the time of the original.
_COPY_MARK = r"(?: \(\d+\))?$"


@lru_cache
def _patterns(
    templates: tuple[str, ...], regexes: tuple[str, ...]
) -> tuple[tuple[regex.Pattern[str], str | None], ...]:
    own = ((regex.compile(one), None) for one in regexes)
    return (*map(_compile_template, templates), *own)


def _compile_template(template: str) -> tuple[regex.Pattern[str], str | None]:
    """``{camera}/{start:%Y%m%dT%H%M%S%z}`` as a pattern for the end of a path."""
    form: str | None = None
    parts = []
    for literal, name, spec in _split_template(template):
        parts.append(re.escape(literal))
        match name:
            case "camera":
                parts.append(r"(?P<camera>[^/]+?)")
            case "start":
                form = spec or "%Y%m%dT%H%M%S%z"
                parts.append(f"(?P<start>{_form_pattern(template, form)})")
            case "*":
                parts.append(r"[^/]*?")
            case None:
                pass
            case _:
                raise ConfigError(
                    f"sources.templates {template!r}: {{{name}}} is unknown; "
                    "use {camera}, {start:FORMAT} and {*}"
                )
    return regex.compile("(?:^|/)" + "".join(parts) + _COPY_MARK), form


def _split_template(template: str) -> Iterable[tuple[str, str | None, str]]:
    position = 0
    for match in re.finditer(r"\{([^}:]+)(?::([^}]*))?\}", template):
        yield template[position : match.start()], match[1], match[2] or ""
        position = match.end()
    yield template[position:], None, ""


def _form_pattern(template: str, form: str) -> str:
    if form in _EPOCHS:
        return _EPOCHS[form][0]
    pieces = re.split(r"(%.)", form)
    for piece in pieces:
        if piece.startswith("%") and piece not in _DIRECTIVES:
            raise ConfigError(f"sources.templates {template!r}: {piece} is not supported")
    return "".join(_DIRECTIVES.get(piece, re.escape(piece)) for piece in pieces)
