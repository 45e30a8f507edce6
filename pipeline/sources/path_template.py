"""Templates of paths: ``{camera}/{start:%Y-%m-%d_%H-%M-%S}`` finds a camera and a time in a path.

A template is matched against the last folders and the name of a file. The time that a match takes
grows with the length of the path and no faster, whatever somebody calls a file: what follows a free
piece (``{camera}``, ``{*}``) is looked for once, from the left, and never again.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.errors import ConfigError
from pipeline.sources.path_time import EPOCHS, PIECES, Moment, end_moment, moment

MAX_PATH_CHARS = 4096
"""What every operating system allows; longer keys of a store match no template."""

# File managers name copies "clip (1).mp4"; a copy has the time of the original.
_COPY_MARK = r"(?: \(\d{1,4}\))?"
_PIECE = re.compile(r"\{([^}:]+)(?::([^}]*))?\}")
_DIRECTIVE = re.compile(r"%-?.")
_FREE = {"camera": "[^/]+?", "folder": "[^/]+?", "view": "[^/]+?", "*": "[^/]*?"}
_FIXED = {"number": r"\d{1,20}", "#": r"\d{1,20}", "@": "[A-Za-z]"}
_TIMES = ("start", "end")
_DEFAULT_FORM = "%Y%m%dT%H%M%S%z"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMatch:
    """What a path says by one template; None for what it does not say."""

    camera: str | None
    folder: str | None
    """The name of a folder that serves as camera, where nothing names one."""
    view: str | None
    number: str | None
    start: Moment | None
    end: Moment | None


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template."""

    text: str
    pattern: str
    """For the whole of the last ``num_folders`` folders and the name without its extension."""
    num_folders: int
    num_fixed: int
    """Characters and digits that a path must have to match: more of them, fewer accidents."""
    groups: Mapping[str, str]
    """Name of a group of the pattern -> the piece, such as ``camera`` or ``start %Y``."""

    def read(self, found: re.Match[str]) -> PathMatch | None:
        """What the groups of a match say; None if its digits are no date."""
        said: dict[str, str] = {}
        times: dict[str, dict[str, str]] = {which: {} for which in _TIMES}
        for group, piece in self.groups.items():
            text = found[group]
            which, _, directive = piece.partition(" ")
            if text is not None and which in times:
                times[which][directive] = text  # of a piece that comes twice the last counts
            elif text is not None and said.setdefault(which, text) != text:
                return None
        try:
            start = moment(times["start"])
            end = start and end_moment(times["end"], start, times["start"])
        except ValueError:
            return None
        return PathMatch(
            camera=said.get("camera"),
            folder=said.get("folder"),
            view=said.get("view"),
            number=said.get("number"),
            start=start,
            end=end,
        )


def compile_template(text: str, *, prefix: str = "", where: str = "sources.templates") -> Template:
    """The template that ``text`` writes; the names of its groups begin with ``prefix``.

    Raises:
        ConfigError: a piece is unknown, or two free pieces touch.
    """
    try:
        return _Compiler(text, prefix).template()
    except ValueError as exc:
        raise ConfigError(f"{where} {text!r}: {exc}") from exc


class _Compiler:
    """Writes the pattern of one template from left to right."""

    def __init__(self, text: str, prefix: str) -> None:
        self._text, self._prefix = text, prefix
        self._groups: dict[str, str] = {}
        self._num_fixed = 0

    def template(self) -> Template:
        runs: list[str] = [""]
        """A free piece begins a run, and all that is fixed follows in the same run."""
        for is_free, pattern in self._pieces():
            if is_free and len(runs) > 1 and runs[-1].endswith("?)"):
                raise ValueError("two free pieces touch; write what stands between them")
            if is_free:
                runs.append(pattern)
            else:
                runs[-1] += pattern
        # Atomic: the leftmost place where a run fits is as good as any other. Only the last run
        # must reach the end, so it may try them all.
        pattern = runs[0] + "".join(f"(?>{run})" for run in runs[1:-1])
        pattern += (runs[-1] if len(runs) > 1 else "") + _COPY_MARK
        num_folders = _PIECE.sub(lambda piece: "/" * (piece[2] or "").count("/"), self._text)
        return Template(self._text, pattern, num_folders.count("/"), self._num_fixed, self._groups)

    def _pieces(self) -> Iterator[tuple[bool, str]]:
        position = 0
        for match in _PIECE.finditer(self._text):
            yield False, self._literal(self._text[position : match.start()])
            yield from self._piece(match[1], match[2])
            position = match.end()
        yield False, self._literal(self._text[position:])

    def _piece(self, name: str, spec: str | None) -> Iterator[tuple[bool, str]]:
        if name in _TIMES:
            yield False, self._time(name, spec or _DEFAULT_FORM)
        elif spec and name in {"camera", "view"}:
            self._num_fixed += 1
            yield False, self._group(name, "|".join(map(re.escape, spec.split("|"))))
        elif name in _FREE:
            yield True, self._group(name, _FREE[name])
        elif name in _FIXED:
            self._num_fixed += 1
            yield False, self._group(name, _FIXED[name])
        else:
            raise ValueError(
                f"{{{name}}} is unknown; use {{camera}}, {{folder}}, {{view}}, {{start:FORMAT}},"
                " {end:FORMAT}, {number}, {#} (digits), {@} (a letter) and {*}"
            )

    def _literal(self, text: str) -> str:
        self._num_fixed += len(text)
        return re.escape(text)

    def _group(self, piece: str, pattern: str) -> str:
        if piece in {"*", "#", "@"}:
            return f"(?:{pattern})"
        name = f"{self._prefix}g{len(self._groups)}"
        self._groups[name] = piece
        return f"(?P<{name}>{pattern})"

    def _time(self, which: str, form: str) -> str:
        if form in EPOCHS:
            self._num_fixed += 9
            return self._group(f"{which} {form}", EPOCHS[form].pattern)
        pattern, position = "", 0
        for match in _DIRECTIVE.finditer(form):
            pattern += self._literal(form[position : match.start()])
            position = match.end()
            if match[0] == "%%":
                pattern += self._literal("%")
            elif match[0] in PIECES:
                self._num_fixed += 2
                pattern += self._group(f"{which} {match[0].replace('-', '')}", PIECES[match[0]])
            else:
                raise ValueError(f"{match[0]} is not supported")
        return pattern + self._literal(form[position:])
