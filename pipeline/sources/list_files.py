"""List files: one location per line, written by somebody who is not trusted."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import ConfigError, UnreachableError
from pipeline.storage.access import Access, is_remote, local_path
from pipeline.storage.locations import read_bytes

_MAX_BYTES = 256 * 1024 * 1024
_MAX_LINES = 2_000_000
_MAX_LINE_BYTES = 8192
_MAX_DEPTH = 8
_LINE = re.compile(rb"[^\r\n]+")


@dataclass(frozen=True, slots=True)
class Line:
    """A location, or what is wrong with the line."""

    text: str
    problem: str = ""


class ListFiles:
    """Reads the list files of one run: each of them once, also where they name each other."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._read: set[str] = set()
        self._num_lines = 0

    def lines(self, path: str, access: Access) -> Iterator[Line]:
        """The lines of a list, without comments and empty ones.

        Raises:
            ConfigError: the list cannot be read, or is being read already.
            UnreachableError: where it lies does not answer.
        """
        name = path if is_remote(path) else os.path.realpath(local_path(path))
        if name in self._open:
            raise ConfigError(f"{path}: this list names itself; remove the line")
        if len(self._open) == _MAX_DEPTH:
            raise ConfigError(f"{path}: lists may name lists {_MAX_DEPTH} deep; join them")
        if name in self._read:
            return
        self._read.add(name)
        self._open.append(name)
        try:
            yield from self._lines(path, _bytes(path, access))
        finally:
            self._open.pop()

    def _lines(self, path: str, data: bytes) -> Iterator[Line]:
        for number, match in enumerate(_LINE.finditer(data), 1):
            raw = match[0]
            if not raw.strip() or raw.startswith(b"#"):
                continue
            self._num_lines += 1
            if self._num_lines > _MAX_LINES:
                yield Line(path, f"all lists have more than {_MAX_LINES:,} lines; split the run")
                return
            if len(raw) > _MAX_LINE_BYTES:
                problem = f"the line has {len(raw):,} bytes, more than {_MAX_LINE_BYTES:,}"
                yield Line(f"{path}:{number}", f"{problem}; correct the list")
                continue
            try:
                yield Line(raw.decode())
            except UnicodeDecodeError:
                text = raw.decode("utf-8", "backslashreplace")
                yield Line(text, "the line is not UTF-8; write the list as UTF-8")


def _bytes(path: str, access: Access) -> bytes:
    try:
        return read_bytes(path, access, max_bytes=_MAX_BYTES)
    except UnreachableError:
        raise
    except Exception as exc:  # each store has its own exceptions
        raise ConfigError(f"{path}: the list cannot be read ({exc})") from exc
