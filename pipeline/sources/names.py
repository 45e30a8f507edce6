"""What a path itself says: whose camera, and when the recording began."""

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from pathlib import PurePosixPath

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError
from pipeline.sources.local_time import RecordingHints, credible, hints_at
from pipeline.timebase import NS_PER_MS, NS_PER_S, NS_PER_US, ns_to_datetime


def from_path(uri: str, config: SourcesConfig) -> RecordingHints:
    """Camera and UTC start that the path names; None for what it does not.

    Raises:
        SourceError: it names a local time that is not one moment.
    """
    stem = uri.removesuffix(PurePosixPath(uri).suffix)
    for pattern, form in _patterns(config.templates, config.regexes):
        if not (match := pattern.search(stem)):
            continue
        named = match.groupdict()
        if not named.get("start"):
            return RecordingHints(camera=named.get("camera"))
        try:
            at = _parse_start(named["start"], form)
        except ValueError:
            continue  # digits that are no date: the template does not mean this file
        if isinstance(at, int):
            return RecordingHints(camera=named.get("camera"), start_ns=at)
        return hints_at(at, config, camera=named.get("camera"))
    return RecordingHints()


def _parse_start(text: str, form: str | None) -> int | datetime:
    """UTC in nanoseconds, or a datetime that may lack a zone."""
    if form in _EPOCHS:
        since_ns = int(text) * _EPOCHS[form][1]
        credible(ns_to_datetime(since_ns))
        return since_ns
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
# Digits that a time of this century has, and nanoseconds in one unit.
_EPOCHS: dict[str | None, tuple[str, int]] = {
    "epoch_s": (r"\d{9,11}", NS_PER_S),
    "epoch_ms": (r"\d{12,14}", NS_PER_MS),
    "epoch_us": (r"\d{15,17}", NS_PER_US),
    "epoch_ns": (r"\d{18,20}", 1),
}
# Copies made by file managers, "clip (1).mp4", keep the original's time.
_COPY_MARK = r"(?: \(\d+\))?$"


@lru_cache
def _patterns(
    templates: tuple[str, ...], regexes: tuple[str, ...]
) -> tuple[tuple[re.Pattern[str], str | None], ...]:
    compiled = [_compile_template(template) for template in templates]
    for regex in regexes:
        try:
            compiled.append((re.compile(regex), None))
        except re.error as exc:
            raise ConfigError(f"sources.regexes {regex!r}: {exc}") from exc
    return tuple(compiled)


def _compile_template(template: str) -> tuple[re.Pattern[str], str | None]:
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
    return re.compile("(?:^|/)" + "".join(parts) + _COPY_MARK), form


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
