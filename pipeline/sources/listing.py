"""list: files, folders, globs, list files and URLs become ``Source`` records.

What cannot be opened (a dangling link, a FIFO, a folder named ``x.mp4``) is listed as well, with
its ``problem``: it ends as a failed row instead of vanishing. Where a store or a mount does not
answer, that is ``unreachable``: the rest is listed, and a later run asks again.
"""

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from io import StringIO
from pathlib import PurePosixPath

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError, NoSourcesError, SourceError, UnreachableError
from pipeline.records import Clock, Source
from pipeline.sources.local_time import RecordingHints
from pipeline.sources.names import from_path
from pipeline.sources.remote import remote_files
from pipeline.sources.sidecar import Sidecars
from pipeline.sources.suffixes import is_video_name
from pipeline.storage import retry

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
        unlisted: list[OSError] = []
        for path in _walk(location, unlisted):
            yield _local(path, notes, root=location)
        yield from (_unlisted(exc, notes) for exc in unlisted)
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
        yield from _again(location, notes)


def _again(location: str, notes: Sidecars) -> Iterator[Source]:
    """A path that seems not to exist, which a mount that fails looks like too."""
    try:
        retry.retried(partial(os.lstat, location), f"{location}: cannot be opened")
    except UnreachableError as exc:
        yield _source(location, notes, unreachable=str(exc))
    except OSError as exc:
        raise ConfigError(f"{location}: does not exist; name a file, folder, glob or URL") from exc
    else:
        yield from _expand(location, notes)


def _read_list(path: str, notes: Sidecars) -> Iterator[Source]:
    try:
        text = retry.read_bytes(path).decode()
    except UnreachableError as exc:
        yield _source(path, notes, unreachable=str(exc))
        return
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: the list cannot be read ({exc})") from exc
    for line in StringIO(text, newline=None):
        entry = line.rstrip("\n")
        if not entry.strip() or entry.startswith("#"):
            continue
        try:
            yield from _expand(entry, notes)
        except ConfigError:
            # One stale line must not stop an archive's job: it becomes a failed row.
            yield _source(entry, notes, problem="listed, but does not exist; update the list")


def _walk(root: str, unlisted: list[OSError]) -> Iterator[str]:
    """Every path under ``root`` that looks like a video; links to folders are not entered.

    Folders that cannot be listed are added to ``unlisted``.
    """
    for folder, subfolders, names in os.walk(root, onerror=unlisted.append):
        linked = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        outside = [name for name in linked if not _inside(os.path.join(folder, name), root)]
        like_files = [name for name in subfolders if is_video_name(name)]
        for name in sorted({*outside, *like_files, *filter(is_video_name, names)}):
            path = os.path.join(folder, name)
            if not _listed_as_its_target(path, root):
                yield path


def _unlisted(exc: OSError, notes: Sidecars) -> Source:
    told = f"this folder cannot be listed ({exc.strerror})"
    if retry.is_transient(exc):
        told = f"{exc.filename}: {told}; check what it is mounted from, then run again"
        return _source(str(exc.filename), notes, unreachable=told)
    return _source(str(exc.filename), notes, problem=f"{told}; allow it, or name others")


def _inside(path: str, root: str) -> bool:
    tree = os.path.realpath(root)
    return os.path.commonpath([os.path.realpath(path), tree]) == tree


def _listed_as_its_target(path: str, root: str) -> bool:
    """A link to a video of the same tree: the walk meets the video itself."""
    return (
        os.path.islink(path)
        and os.path.isfile(path)
        and _inside(path, root)
        and is_video_name(os.path.realpath(path))
    )


def _local(path: str, notes: Sidecars, root: str | None = None) -> Source:
    uri = os.path.abspath(path)
    try:
        uri.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(uri).decode("utf-8", "backslashreplace")
        return _source(shown, notes, problem="the file name is not UTF-8; rename the file")
    if root is not None and os.path.islink(path) and not _inside(path, root):
        target = os.path.realpath(path)
        problem = "a link that leads nowhere; remove or repair it"
        if os.path.exists(path):
            problem = f"a link out of the folder; name {target} as a source to index it"
        return _source(uri, notes, problem=problem)
    try:
        facts = retry.retried(partial(os.stat, path), f"{uri}: cannot be opened")
    except UnreachableError as exc:
        return _source(uri, notes, unreachable=str(exc))
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
    for listed in remote_files(location):
        yield _source(notes=notes, **asdict(listed))


def _source(
    uri: str,
    notes: Sidecars,
    *,
    num_bytes: int = 0,
    etag: str = "",
    mtime_ns: int | None = None,
    problem: str = "",
    unreachable: str = "",
) -> Source:
    named, noted = RecordingHints(), RecordingHints()
    try:
        named = from_path(uri, notes.config)
        if not (problem or unreachable) and (named.camera is None or named.start_ns is None):
            noted = notes.read(uri)
    except SourceError as exc:
        problem = problem or str(exc)
    except UnreachableError as exc:
        unreachable = str(exc)
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
        unreachable=unreachable,
    )
