"""list: files, folders, globs, list files and URLs become ``Source`` records.

What cannot be opened (a dangling link, a FIFO, a folder named ``x.mp4``) is listed as well, with
its ``problem``: it ends as a failed row instead of vanishing.
"""

import glob
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import fsspec

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError, NoSourcesError
from pipeline.records import Clock, Source
from pipeline.timebase import NS_PER_MS, NS_PER_S, datetime_to_ns

# fmt: off
VIDEO_SUFFIXES = frozenset(
    {
        ".264", ".265", ".3gp", ".asf", ".avi", ".divx", ".dv", ".flv", ".gif", ".h264",
        ".h265", ".hevc", ".m2t", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4",
        ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
    }
)
# fmt: on
"""What a folder is searched for; files that are named themselves may end as they like."""

LIST_SUFFIXES = frozenset({".txt", ".lst"})


def list_sources(locations: Sequence[str], config: SourcesConfig) -> list[Source]:
    """Find every video once, ordered by camera, start and URI.

    A location is a file, a folder (searched for videos), a glob, a URL that fsspec knows, or a
    list file (``*.txt``, ``*.lst``, or any file as ``@file``) with one location per line.

    Raises:
        ConfigError: a location does not exist.
        NoSourcesError: nothing matched.
    """
    found: dict[str, Source] = {}
    for location in locations:
        for source in _expand(location, config):
            found.setdefault(source.uri, source)
    if not found:
        raise NoSourcesError(f"no videos in {', '.join(locations)}: check the path or the glob")
    return sorted(found.values(), key=lambda s: (s.camera, s.start_ns or 0, s.uri))


def _expand(location: str, config: SourcesConfig) -> Iterator[Source]:
    if location.startswith("@") and not os.path.lexists(location):
        yield from _read_list(location[1:], config)
    elif "://" in location:
        yield from _remote(location, config)
    elif os.path.isdir(location):
        yield from (_local(path, config, root=location) for path in _walk(location))
    elif os.path.lexists(location):
        if PurePosixPath(location).suffix.lower() in LIST_SUFFIXES:
            yield from _read_list(location, config)
        else:
            yield _local(location, config)
    elif glob.has_magic(location):
        for path in glob.iglob(location, recursive=True, include_hidden=True):
            if not os.path.isdir(path):
                yield _local(path, config)
    else:
        raise ConfigError(f"{location}: does not exist; name a file, folder, glob or URL")


def _read_list(path: str, config: SourcesConfig) -> Iterator[Source]:
    try:
        with fsspec.open(path, "rt", encoding="utf-8") as lines:
            entries = [line.strip("\r\n") for line in lines]
    except OSError as exc:
        raise ConfigError(f"{path}: the list cannot be read ({exc})") from exc
    for entry in entries:
        if not entry.strip() or entry.startswith("#"):
            continue
        try:
            yield from _expand(entry, config)
        except ConfigError:
            # One stale line must not stop an archive's job: it becomes a failed row.
            yield _source(entry, config, problem="listed, but does not exist; update the list")


def _walk(root: str) -> Iterator[str]:
    """Every path under ``root`` that looks like a video; links to folders are not entered."""
    for folder, subfolders, names in os.walk(root):
        linked = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        outside = [name for name in linked if not _inside(os.path.join(folder, name), root)]
        like_files = [name for name in subfolders if _is_video_name(name)]
        for name in sorted({*outside, *like_files, *filter(_is_video_name, names)}):
            path = os.path.join(folder, name)
            if not _listed_as_its_target(path, root):
                yield path


def _is_video_name(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def _inside(path: str, root: str) -> bool:
    tree = os.path.realpath(root)
    return os.path.commonpath([os.path.realpath(path), tree]) == tree


def _listed_as_its_target(path: str, root: str) -> bool:
    """A link to a video of the same tree: the walk meets the video itself."""
    return (
        os.path.islink(path)
        and os.path.isfile(path)
        and _inside(path, root)
        and _is_video_name(os.path.realpath(path))
    )


def _local(path: str, config: SourcesConfig, root: str | None = None) -> Source:
    uri = os.path.abspath(path)
    try:
        uri.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(uri).decode("utf-8", "backslashreplace")
        return _source(shown, config, problem="the file name is not UTF-8; rename the file")
    if root is not None and os.path.islink(path) and not _inside(path, root):
        if not os.path.exists(path):
            return _source(uri, config, problem="a link that leads nowhere; remove or repair it")
        target = os.path.realpath(path)
        return _source(
            uri, config, problem=f"a link out of the folder; name {target} as a source to index it"
        )
    try:
        facts = os.stat(path)
    except OSError as exc:
        return _source(
            uri, config, problem=f"cannot be opened: {exc.strerror}; repair or remove it"
        )
    if not stat.S_ISREG(facts.st_mode):
        kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
        return _source(uri, config, problem=f"{kind}; rename or remove it")
    return _source(
        uri,
        config,
        num_bytes=facts.st_size,
        etag=str(facts.st_mtime_ns),
        mtime_ns=facts.st_mtime_ns,
    )


def _remote(location: str, config: SourcesConfig) -> Iterator[Source]:
    filesystem, path = fsspec.core.url_to_fs(location)
    try:
        if glob.has_magic(path) and not filesystem.exists(path):
            entries = filesystem.glob(path, detail=True)
        elif filesystem.isdir(path):
            entries = {
                name: info
                for name, info in filesystem.find(path, detail=True).items()
                if _is_video_name(name)
            }
        else:
            entries = {path: filesystem.info(path)}
    except FileNotFoundError as exc:
        raise ConfigError(f"{location}: does not exist; check bucket, key and region") from exc
    except OSError as exc:
        raise ConfigError(f"{location}: cannot be listed: {exc}") from exc
    for name, info in sorted(entries.items()):
        if info.get("type") == "directory":
            continue
        modified = next(
            (info[key] for key in ("LastModified", "mtime", "created") if info.get(key)), None
        )
        mtime_ns = _modified_ns(modified)
        yield _source(
            filesystem.unstrip_protocol(name),
            config,
            num_bytes=int(info.get("size") or 0),
            etag=str(info.get("ETag") or mtime_ns or ""),
            mtime_ns=mtime_ns,
        )


def _modified_ns(value: object) -> int | None:
    match value:
        case datetime():
            return datetime_to_ns(value if value.tzinfo else value.replace(tzinfo=UTC))
        case int() | float():
            return int(value * NS_PER_S)
        case _:
            return None


def _source(
    uri: str,
    config: SourcesConfig,
    *,
    num_bytes: int = 0,
    etag: str = "",
    mtime_ns: int | None = None,
    problem: str = "",
) -> Source:
    camera, start_ns = from_path(uri, config)
    clock: Clock = "path" if start_ns is not None else "none"
    if not problem and (camera is None or start_ns is None):
        noted = _read_sidecar(uri, config)
        camera = camera or noted.get("camera")
        if start_ns is None and "start_ns" in noted:
            start_ns, clock = noted["start_ns"], "sidecar"
    return Source(
        uri=uri,
        num_bytes=num_bytes,
        etag=etag,
        camera=camera or config.camera or PurePosixPath(uri).stem,
        start_ns=start_ns,
        clock=clock,
        mtime_ns=mtime_ns,
        problem=problem,
    )


def _read_sidecar(uri: str, config: SourcesConfig) -> dict[str, Any]:
    """``clip.mp4.json`` or ``clip.json`` beside the video: ``{"camera": .., "start": ISO}``."""
    for sidecar in (f"{uri}.json", f"{uri.removesuffix(PurePosixPath(uri).suffix)}.json"):
        filesystem, path = fsspec.core.url_to_fs(
            sidecar if "://" in sidecar else f"file://{sidecar}"
        )
        if not filesystem.exists(path):
            continue
        try:
            noted = json.loads(filesystem.cat_file(path))
            result = {"camera": str(noted["camera"])} if "camera" in noted else {}
            if "start" in noted:
                start = datetime.fromisoformat(noted["start"])
                return {**result, "start_ns": _to_utc_ns(start, config)}
        except (OSError, ValueError, TypeError) as exc:
            raise ConfigError(
                f'{sidecar}: must hold {{"camera": "...", "start": "2026-03-14T09:00:00Z"}}: {exc}'
            ) from exc
        else:
            return result
    return {}


def from_path(uri: str, config: SourcesConfig) -> tuple[str | None, int | None]:
    """Camera and UTC start (ns) that the path itself names; None for what it does not."""
    stem = uri.removesuffix(PurePosixPath(uri).suffix)
    for pattern, form in _patterns(config.templates, config.regexes):
        if not (match := pattern.search(stem)):
            continue
        named = match.groupdict()
        try:
            start_ns = _parse_start(named["start"], form, config) if named.get("start") else None
        except ValueError:
            continue  # digits that are no date: the template does not mean this file
        return named.get("camera"), start_ns
    return None, None


def _parse_start(text: str, form: str | None, config: SourcesConfig) -> int:
    match form:
        case "epoch_s":
            return int(text) * NS_PER_S
        case "epoch_ms":
            return int(text) * NS_PER_MS
        case None:
            return _to_utc_ns(datetime.fromisoformat(text), config)
        case _:
            return _to_utc_ns(datetime.strptime(text, form), config)  # noqa: DTZ007 - zoned next


def _to_utc_ns(at: datetime, config: SourcesConfig) -> int:
    return datetime_to_ns(at if at.tzinfo else at.replace(tzinfo=ZoneInfo(config.timezone)))


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
_FORMS = {"epoch_s": r"\d{9,11}", "epoch_ms": r"\d{12,14}"}
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
    if form in _FORMS:
        return _FORMS[form]
    pieces = re.split(r"(%.)", form)
    for piece in pieces:
        if piece.startswith("%") and piece not in _DIRECTIVES:
            raise ConfigError(f"sources.templates {template!r}: {piece} is not supported")
    return "".join(_DIRECTIVES.get(piece, re.escape(piece)) for piece in pieces)
