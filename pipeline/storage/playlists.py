"""HLS playlists (``.m3u8``) of this machine: the segments of one recording, in order.

Whoever wrote a playlist is not trusted. It may name files beside it and below its folder, and those
that ``sources.roots`` allows; never a URL.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from urllib.parse import unquote

from pipeline.errors import SourceError
from pipeline.storage import retry
from pipeline.storage.access import Access, check, is_remote, local_path, scheme_of
from pipeline.storage.locations import read_bytes

SUFFIX = ".m3u8"
_MAX_BYTES = 32 * 1024 * 1024
_MAX_LINES = 2_000_000
_MAX_LINE_CHARS = 8192
_MAX_HEADERS = 1000
_MAX_TOLD_CHARS = 200
"""Of a name in an error."""
_CREDIBLE_YEARS = range(1990, 2200)
_MAX_HEADER_BYTES = 1024 * 1024
_NUMBER = re.compile(r"[0-9]{1,18}")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")
# A name is sought from its first letter only, so that no run of letters makes this slow.
_ATTRIBUTE = re.compile(r'(?<![A-Z0-9-])([A-Z0-9-]++)=("[^"]*"|[^,]*)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A segment, or a header that the segments after it need."""

    uri: str
    offset: int = 0
    num_bytes: int = -1
    """From ``offset``; -1 is the rest of the file."""
    duration_s: float = 0.0
    begins: datetime | None = None
    """EXT-X-PROGRAM-DATE-TIME; it may lack a zone."""
    follows_break: bool = False
    """Whether EXT-X-DISCONTINUITY stands before it, or a segment before it is missing."""
    is_header: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Playlist:
    """The files of one recording."""

    parts: tuple[Part, ...] = ()
    """In order; their lengths are known."""
    num_missing: int = 0
    variants: tuple[str, ...] = ()
    """The playlists that a master playlist names, the best first; it has no parts of its own."""


def is_playlist(uri: str) -> bool:
    """Whether a location is named like a playlist."""
    return uri.lower().endswith(SUFFIX)


def read_playlist(uri: str, access: Access) -> Playlist:
    """The recording that a playlist describes.

    Raises:
        SourceError: it is no playlist of this machine, or names what it may not.
        UnreachableError: the medium does not answer.
    """
    if is_remote(uri):
        raise SourceError(
            f"{uri}: a playlist is only read from a disk of this machine; copy its folder there"
        )
    try:
        path = local_path(uri)
        status = retry.retried(partial(os.stat, path), f"{uri}: cannot be read")
        return _read(uri, access, status.st_mtime_ns, status.st_size)
    except OSError as exc:
        raise SourceError(f"{uri}: cannot be read ({exc.strerror}); check the path") from exc


# Every shard opens its file again, and a day has thousands of segments.
@lru_cache(maxsize=16)
def _read(uri: str, access: Access, _mtime_ns: int, _num_bytes: int) -> Playlist:
    data = read_bytes(uri, access, max_bytes=_MAX_BYTES)
    text = data.decode("utf-8-sig", "replace")
    if not text.startswith("#EXTM3U"):
        raise SourceError(f"{uri}: is no HLS playlist, which begins with #EXTM3U; rename it")
    lines = _lines(uri, text)
    named = _Named(uri, access)
    variants = tuple(_variants(lines, named))
    if variants:
        return Playlist(variants=variants)
    parts: list[Part] = []
    num_missing, is_after_missing = 0, False
    for part in _parts(uri, lines, named):
        num_bytes = _length(part, named.num_bytes(part.uri))
        if num_bytes is None:
            num_missing, is_after_missing = num_missing + 1, True
            continue
        follows_break = part.follows_break or (is_after_missing and not part.is_header)
        is_after_missing = is_after_missing and part.is_header
        parts.append(replace(part, num_bytes=num_bytes, follows_break=follows_break))
    if not any(not part.is_header for part in parts):
        raise SourceError(f"{uri}: none of the segments that it names is there; copy them as well")
    return Playlist(parts=tuple(parts), num_missing=num_missing)


def _lines(uri: str, text: str) -> list[str]:
    """The lines, without their ends; all that is sought in one of them takes time by its length."""
    if text.count("\n") >= _MAX_LINES:
        raise SourceError(f"{uri}: has more than {_MAX_LINES:,} lines; split it")
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) > _MAX_LINE_CHARS:
            raise SourceError(
                f"{uri}: line {number} has {len(line):,} characters, more than"
                f" {_MAX_LINE_CHARS:,}; correct it"
            )
    return [line.strip() for line in lines]


def _parts(uri: str, lines: list[str], named: "_Named") -> Iterator[Part]:
    """The segments and their headers as they are named, without lengths that are not written."""
    segment = Part(uri="")
    ends: dict[str, int] = {}
    header: Part | None = None
    headers: set[Part] = set()
    for line in lines:
        tag, _, value = line.partition(":")
        if tag == "#EXT-X-MAP":
            new = _header(uri, value, named)
            if header is None:
                yield new
            elif new not in headers and named.content(header) != named.content(new):
                raise SourceError(
                    f"{uri}: its segments have different headers (EXT-X-MAP); make a playlist for"
                    " the segments of each"
                )
            header = new
            headers.add(new)
            if len(headers) > _MAX_HEADERS:
                raise SourceError(f"{uri}: names more than {_MAX_HEADERS} headers; split it")
        elif tag in _OF_SEGMENT:
            segment = _OF_SEGMENT[tag](segment, uri, value)
        elif line and not line.startswith("#"):
            path = named.path(line)
            offset = ends.get(path, 0) if segment.offset < 0 else segment.offset
            ends[path] = offset + segment.num_bytes
            yield replace(segment, uri=path, offset=offset)
            segment = Part(uri="")


def _lasts(segment: Part, uri: str, value: str) -> Part:
    return replace(segment, duration_s=_seconds(uri, value.partition(",")[0]))


def _begins(segment: Part, uri: str, value: str) -> Part:
    return replace(segment, begins=_date(uri, value))


def _is_part_of_file(segment: Part, uri: str, value: str) -> Part:
    num_bytes, offset = _span(uri, value)
    return replace(segment, num_bytes=num_bytes, offset=-1 if offset is None else offset)


def _is_encrypted(segment: Part, uri: str, value: str) -> Part:
    if _attributes(value).get("METHOD", "NONE") != "NONE":
        raise SourceError(f"{uri}: its segments are encrypted; decrypt them first")
    return segment


_OF_SEGMENT: dict[str, Callable[[Part, str, str], Part]] = {
    "#EXTINF": _lasts,
    "#EXT-X-PROGRAM-DATE-TIME": _begins,
    "#EXT-X-BYTERANGE": _is_part_of_file,
    "#EXT-X-KEY": _is_encrypted,
    "#EXT-X-DISCONTINUITY": lambda segment, _uri, _value: replace(segment, follows_break=True),
}
"""What a tag says about the next segment."""


def _header(uri: str, value: str, named: "_Named") -> Part:
    told = _attributes(value)
    num_bytes, offset = _span(uri, told["BYTERANGE"]) if "BYTERANGE" in told else (-1, 0)
    path = named.path(told.get("URI", ""))
    return Part(uri=path, num_bytes=num_bytes, offset=offset or 0, is_header=True)


def _variants(lines: list[str], named: "_Named") -> Iterator[str]:
    """The playlists of a master playlist, the one with the most bits per second first."""
    found = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("#EXT-X-STREAM-INF:") and following and following[0] != "#":
            bits = _attributes(line.partition(":")[2]).get("BANDWIDTH", "")
            found.append((int(bits) if _NUMBER.fullmatch(bits) else 0, named.path(following)))
    yield from (path for _, path in sorted(found, key=lambda one: -one[0]))


class _Named:
    """The files that a playlist names. It may name a file a million times; it is looked at once."""

    def __init__(self, uri: str, access: Access) -> None:
        self._uri, self._folder = uri, _folder(uri)
        self._access, self._confined = access, confined(uri, access)
        self._paths: dict[str, str] = {}
        self._num_bytes: dict[str, int | None] = {}
        self._folders: dict[str, bool] = {}

    def path(self, name: str) -> str:
        """The path of a file.

        Raises:
            SourceError: the playlist may not name that.
        """
        if name not in self._paths:
            self._paths[name] = self._allowed(name)
        return self._paths[name]

    def num_bytes(self, path: str) -> int | None:
        """The length of a file; None if there is none."""
        if path not in self._num_bytes:
            try:
                status = retry.retried(partial(os.stat, path), f"{path}: cannot be read")
                self._num_bytes[path] = status.st_size
            except OSError:
                self._num_bytes[path] = None
        return self._num_bytes[path]

    def content(self, header: Part) -> bytes:
        """The bytes of a header.

        Raises:
            SourceError: they cannot be read, or are too many.
        """
        end = header.offset + (_length(header, self.num_bytes(header.uri)) or 0)
        if end > _MAX_HEADER_BYTES:
            raise SourceError(
                f"{header.uri}: has no header (EXT-X-MAP) of at most 1 MiB; correct that"
            )
        data = read_bytes(header.uri, self._access, max_bytes=_MAX_BYTES, end=end)
        return data[header.offset :]

    def _allowed(self, name: str) -> str:
        uri = self._uri
        if not os.path.lexists(f"{self._folder}/{name}"):
            name = unquote(name.partition("?")[0])
        if scheme_of(name) or name.startswith("/") or _UNSAFE.search(name) or not name:
            raise SourceError(
                f"{uri}: names {name[:_MAX_TOLD_CHARS]!r}; only files beside or below a playlist"
                " are read, copy it there"
            )
        path = os.path.normpath(f"{self._folder}/{name}")
        # What is no link lies where its folder does, and most files of a playlist share one.
        folder = path.rpartition("/")[0]
        if os.path.islink(path) or not self._is_allowed(folder):  # noqa: PTH114 - for each segment
            try:
                check(path, self._confined)
            except SourceError as exc:
                raise SourceError(
                    f"{uri}: names {name[:_MAX_TOLD_CHARS]!r}, which is neither beside nor below"
                    " it; copy it there, or set sources.roots to a folder that holds both"
                ) from exc
        return path

    def _is_allowed(self, folder: str) -> bool:
        if folder not in self._folders:
            try:
                check(folder, self._confined)
                self._folders[folder] = True
            except SourceError:
                self._folders[folder] = False
        return self._folders[folder]


def confined(uri: str, access: Access) -> Access:
    """What a playlist may open: below its folder, unless ``sources.roots`` says something else."""
    return access if access.roots else replace(access, roots=(str(_folder(uri)),))


def _folder(uri: str) -> Path:
    return Path(local_path(uri)).absolute().parent


def _length(part: Part, of_file: int | None) -> int | None:
    """The bytes of a part of a file of this length that are there; None if there are none."""
    if of_file is None:
        return None
    there = of_file - part.offset
    num_bytes = there if part.num_bytes < 0 else min(part.num_bytes, there)
    return num_bytes if num_bytes > 0 else None


def _attributes(value: str) -> dict[str, str]:
    return {name: text.strip('"') for name, text in _ATTRIBUTE.findall(value)}


def _span(uri: str, text: str) -> tuple[int, int | None]:
    """``length[@offset]`` of a byte range."""
    length, _, offset = text.strip().partition("@")
    if not _NUMBER.fullmatch(length) or (offset and not _NUMBER.fullmatch(offset)):
        raise SourceError(f"{uri}: {text[:100]!r} is no byte range; repair the playlist")
    return int(length), int(offset) if offset else None


def _seconds(uri: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError as exc:
        raise SourceError(f"{uri}: {text[:100]!r} is no duration; repair the playlist") from exc
    if not 0 <= seconds <= 86_400:  # noqa: PLR2004 - a segment of more than a day is a mistake
        raise SourceError(f"{uri}: a segment lasts {text[:100]} s; repair the playlist")
    return seconds


def _date(uri: str, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise SourceError(f"{uri}: {text[:100]!r} is no date with a time; repair it") from exc
    if at.year not in _CREDIBLE_YEARS:
        raise SourceError(f"{uri}: no recording began in the year {at.year}; repair the playlist")
    return at
