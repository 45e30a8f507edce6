"""list: files, folders, globs, list files and URLs become ``Source`` records.

A path that cannot be opened (a dangling link, a FIFO, a folder named ``x.mp4``) is listed with its
``problem``, so that it becomes a failed row and does not disappear. If a store or a mount does not
answer, the source is ``unreachable``: the other files are listed, and a later run tries again.
"""

import glob
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import PurePosixPath

import structlog

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError, NoSourcesError, SourceError, UnreachableError
from pipeline.records import Clock, Source
from pipeline.sources.list_files import ListFiles
from pipeline.sources.local_time import RecordingHints
from pipeline.sources.names import from_path
from pipeline.sources.playlists import parts_of_playlists
from pipeline.sources.remote import remote_files
from pipeline.sources.sidecar import Sidecars
from pipeline.sources.suffixes import is_video_name
from pipeline.storage import retry
from pipeline.storage.access import check, masked, scheme_of
from pipeline.storage.playlists import is_playlist

log = structlog.get_logger()

LIST_SUFFIXES = frozenset({".txt", ".lst"})


def list_sources(locations: Sequence[str], config: SourcesConfig) -> list[Source]:
    """Find every video once, ordered by camera, start and URI.

    A location is a file, a folder (searched for videos), a glob, a URL that fsspec knows, or a
    list file (``*.txt``, ``*.lst``, or any file as ``@file``) with one location per line.

    Raises:
        ConfigError: a location does not exist, or may not be opened.
        NoSourcesError: nothing matched.
    """
    by_uri: dict[str, Source] = {}
    sidecars, lists = Sidecars(config.naming(locations)), ListFiles()
    for location in locations:
        for source in _expand(location, sidecars, lists):
            by_uri.setdefault(source.uri, source)
    parts = parts_of_playlists(list(by_uri), sidecars.access)
    for reason, number in Counter(parts[uri] for uri in parts if by_uri.pop(uri, None)).items():
        log.info("files are not listed for themselves", files=number, reason=reason)
    if not by_uri:
        raise NoSourcesError(f"no videos in {', '.join(locations)}: check the path or the glob")
    return sorted(by_uri.values(), key=lambda s: (s.camera, s.start_ns or 0, s.uri))


def _expand(location: str, sidecars: Sidecars, lists: ListFiles) -> Iterator[Source]:
    try:
        check(location.removeprefix("@"), sidecars.access)
    except SourceError as exc:
        raise ConfigError(str(exc)) from exc
    yield from _found_at(location, sidecars, lists)


def _found_at(location: str, sidecars: Sidecars, lists: ListFiles) -> Iterator[Source]:
    if location.startswith("@") and not os.path.lexists(location):
        yield from _read_list(location[1:], sidecars, lists)
    elif scheme_of(location):
        yield from _remote(location, sidecars)
    elif os.path.isdir(location):
        unlisted: list[OSError] = []
        for path in _walk(location, unlisted):
            yield _local(path, sidecars, root=location)
        yield from (_unlisted(exc, sidecars) for exc in unlisted)
    elif os.path.lexists(location):
        if PurePosixPath(location).suffix.lower() in LIST_SUFFIXES:
            yield from _read_list(location, sidecars, lists)
        else:
            yield _local(location, sidecars)
    elif glob.has_magic(location):
        for path in glob.iglob(location, recursive=True, include_hidden=True):
            if not os.path.isdir(path):
                yield _local(path, sidecars)
    else:
        yield from _retry_missing(location, sidecars, lists)


def _retry_missing(location: str, sidecars: Sidecars, lists: ListFiles) -> Iterator[Source]:
    """A path that does not seem to exist. A mount that fails looks the same, so it is retried."""
    try:
        retry.retried(partial(os.lstat, location), f"{location}: cannot be opened")
    except UnreachableError as exc:
        yield _source(location, sidecars, unreachable=str(exc))
    except OSError as exc:
        raise ConfigError(f"{location}: does not exist; name a file, folder, glob or URL") from exc
    else:
        yield from _expand(location, sidecars, lists)


def _read_list(path: str, sidecars: Sidecars, lists: ListFiles) -> Iterator[Source]:
    """The sources of a list. A wrong line becomes one failed row and does not stop a job."""
    try:
        for line in lists.lines(path, sidecars.access):
            if line.problem:
                yield _source(line.text, sidecars, problem=line.problem)
                continue
            try:
                yield from _expand(line.text, sidecars, lists)
            except ConfigError as exc:
                yield _source(masked(line.text), sidecars, problem=f"listed, but {exc}")
    except UnreachableError as exc:
        yield _source(path, sidecars, unreachable=str(exc))


def _walk(root: str, unlisted: list[OSError]) -> Iterator[str]:
    """Every path under ``root`` with the name of a video; links to folders are not followed.

    The errors of folders that cannot be listed are added to ``unlisted``.
    """
    for folder, subfolders, names in os.walk(root, onerror=unlisted.append):
        links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        outside = [name for name in links if not _is_inside(os.path.join(folder, name), root)]
        named_as_videos = [name for name in subfolders if is_video_name(name)]
        for name in sorted({*outside, *named_as_videos, *filter(is_video_name, names)}):
            path = os.path.join(folder, name)
            if not _is_listed_as_its_target(path, root):
                yield path


def _unlisted(exc: OSError, sidecars: Sidecars) -> Source:
    folder, message = str(exc.filename), f"this folder cannot be listed ({exc.strerror})"
    if retry.is_transient(exc):
        message = f"{folder}: {message}; check what it is mounted from, then run again"
        return _source(folder, sidecars, unreachable=message)
    problem = f"{message}; give permission to list it, or name other sources"
    return _source(folder, sidecars, problem=problem)


def _is_inside(path: str, root: str) -> bool:
    tree = os.path.realpath(root)
    return os.path.commonpath([os.path.realpath(path), tree]) == tree


def _is_listed_as_its_target(path: str, root: str) -> bool:
    """Whether it is a link to a video under ``root``, which the walk lists itself."""
    return (
        os.path.islink(path)
        and os.path.isfile(path)
        and _is_inside(path, root)
        and is_video_name(os.path.realpath(path))
    )


def _local(path: str, sidecars: Sidecars, root: str | None = None) -> Source:
    uri = os.path.abspath(path)
    try:
        uri.encode()
    except UnicodeEncodeError:
        escaped = os.fsencode(uri).decode("utf-8", "backslashreplace")
        return _source(escaped, sidecars, problem="the file name is not UTF-8; rename the file")
    if root is not None and os.path.islink(path) and not _is_inside(path, root):
        target = os.path.realpath(path)
        problem = "a link that leads nowhere; repair it"
        if os.path.exists(path):
            problem = f"a link out of the folder; name {target} as a source to index it"
        return _source(uri, sidecars, problem=problem)
    try:
        status = retry.retried(partial(os.stat, path), f"{uri}: cannot be opened")
    except UnreachableError as exc:
        return _source(uri, sidecars, unreachable=str(exc))
    except OSError as exc:
        problem = f"cannot be opened: {exc.strerror}; check its permissions and its disk"
        return _source(uri, sidecars, problem=problem)
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        return _source(uri, sidecars, problem=f"{kind}; rename it")
    return _source(
        uri,
        sidecars,
        num_bytes=status.st_size,
        etag=str(status.st_mtime_ns),
        mtime_ns=status.st_mtime_ns,
    )


def _remote(location: str, sidecars: Sidecars) -> Iterator[Source]:
    for file in remote_files(location, sidecars.access):
        yield _source(sidecars=sidecars, **asdict(file))


def _source(
    uri: str,
    sidecars: Sidecars,
    *,
    num_bytes: int = 0,
    etag: str = "",
    mtime_ns: int | None = None,
    problem: str = "",
    unreachable: str = "",
) -> Source:
    in_path, in_sidecar = RecordingHints(), RecordingHints()
    try:
        if not (problem or unreachable):
            check(uri, sidecars.access)
        in_path = from_path(uri, sidecars.config)
        if not (problem or unreachable) and (in_path.camera is None or in_path.start_ns is None):
            in_sidecar = sidecars.read(uri)
    except SourceError as exc:
        problem = problem or str(exc)
    except UnreachableError as exc:
        unreachable = str(exc)
    timed = in_path if in_path.start_ns is not None else in_sidecar
    clock: Clock = "none" if timed.start_ns is None else "path" if timed is in_path else "sidecar"
    camera = in_path.camera or in_sidecar.camera or sidecars.config.camera or in_path.folder
    camera = camera or _own_name(uri)
    return Source(
        uri=uri,
        num_bytes=num_bytes,
        etag=etag,
        camera=f"{camera}-{in_path.view}" if in_path.view else camera,
        start_ns=timed.start_ns,
        clock=clock,
        mtime_ns=mtime_ns,
        warnings=timed.warnings,
        problem=problem,
        unreachable=unreachable,
    )


def _own_name(uri: str) -> str:
    """The camera if nothing names one: the file's name, or of a playlist its folder's."""
    path = PurePosixPath(uri)
    return path.parent.name or path.stem if is_playlist(uri) else path.stem
