"""list: files, folders, globs, list files and URLs become ``Source`` records.

What cannot be opened (a dangling link, a FIFO, a folder named ``x.mp4``) is listed as well, with
its ``problem``: it ends as a failed row instead of vanishing.
"""

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath

import fsspec

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError, NoSourcesError, SourceError
from pipeline.records import Clock, Source
from pipeline.sources.local_time import Told
from pipeline.sources.names import from_path
from pipeline.sources.sidecar import Sidecars
from pipeline.timebase import NS_PER_S, datetime_to_ns

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
    notes = Sidecars(config)
    for location in locations:
        for source in _expand(location, notes):
            found.setdefault(source.uri, source)
    if not found:
        raise NoSourcesError(f"no videos in {', '.join(locations)}: check the path or the glob")
    return sorted(found.values(), key=lambda s: (s.camera, s.start_ns or 0, s.uri))


def _expand(location: str, notes: Sidecars) -> Iterator[Source]:
    if location.startswith("@") and not os.path.lexists(location):
        yield from _read_list(location[1:], notes)
    elif "://" in location:
        yield from _remote(location, notes)
    elif os.path.isdir(location):
        yield from (_local(path, notes, root=location) for path in _walk(location))
    elif os.path.lexists(location):
        if PurePosixPath(location).suffix.lower() in LIST_SUFFIXES:
            yield from _read_list(location, notes)
        else:
            yield _local(location, notes)
    elif glob.has_magic(location):
        for path in glob.iglob(location, recursive=True, include_hidden=True):
            if not os.path.isdir(path):
                yield _local(path, notes)
    else:
        raise ConfigError(f"{location}: does not exist; name a file, folder, glob or URL")


def _read_list(path: str, notes: Sidecars) -> Iterator[Source]:
    try:
        with fsspec.open(path, "rt", encoding="utf-8") as lines:
            entries = [line.strip("\r\n") for line in lines]
    except OSError as exc:
        raise ConfigError(f"{path}: the list cannot be read ({exc})") from exc
    for entry in entries:
        if not entry.strip() or entry.startswith("#"):
            continue
        try:
            yield from _expand(entry, notes)
        except ConfigError:
            # One stale line must not stop an archive's job: it becomes a failed row.
            yield _source(entry, notes, problem="listed, but does not exist; update the list")


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


def _local(path: str, notes: Sidecars, root: str | None = None) -> Source:
    uri = os.path.abspath(path)
    try:
        uri.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(uri).decode("utf-8", "backslashreplace")
        return _source(shown, notes, problem="the file name is not UTF-8; rename the file")
    if root is not None and os.path.islink(path) and not _inside(path, root):
        if not os.path.exists(path):
            return _source(uri, notes, problem="a link that leads nowhere; remove or repair it")
        target = os.path.realpath(path)
        return _source(
            uri, notes, problem=f"a link out of the folder; name {target} as a source to index it"
        )
    try:
        facts = os.stat(path)
    except OSError as exc:
        return _source(uri, notes, problem=f"cannot be opened: {exc.strerror}; repair or remove it")
    if not stat.S_ISREG(facts.st_mode):
        kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
        return _source(uri, notes, problem=f"{kind}; rename or remove it")
    return _source(
        uri,
        notes,
        num_bytes=facts.st_size,
        etag=str(facts.st_mtime_ns),
        mtime_ns=facts.st_mtime_ns,
    )


def _remote(location: str, notes: Sidecars) -> Iterator[Source]:
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
            notes,
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
    notes: Sidecars,
    *,
    num_bytes: int = 0,
    etag: str = "",
    mtime_ns: int | None = None,
    problem: str = "",
) -> Source:
    named, noted = Told(), Told()
    try:
        named = from_path(uri, notes.config)
        if not problem and (named.camera is None or named.start_ns is None):
            noted = notes.read(uri)
    except SourceError as exc:
        problem = problem or str(exc)
    told = named if named.start_ns is not None else noted
    clock: Clock = "none" if told.start_ns is None else "path" if told is named else "sidecar"
    return Source(
        uri=uri,
        num_bytes=num_bytes,
        etag=etag,
        camera=named.camera or noted.camera or notes.config.camera or PurePosixPath(uri).stem,
        start_ns=told.start_ns,
        clock=clock,
        mtime_ns=mtime_ns,
        warnings=told.warnings,
        problem=problem,
    )
