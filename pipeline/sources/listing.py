"""list: files, folders, globs, list files and URLs become ``Source`` records.

A path that cannot be opened (a dangling link, a FIFO, a folder named ``x.mp4``) is listed with its
``problem``, so that it becomes a failed row and does not disappear. If a store or a mount does not
answer, the source is ``unreachable``: the other files are listed, and a later run tries again. What
is no video, or the small twin of one, is passed over with the reason.
"""

import glob
import os
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from posixpath import basename, splitext

import numpy as np

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError, NoSourcesError, SourceError, UnreachableError
from pipeline.records import Clock, Source
from pipeline.sources.columns import ListedTable
from pipeline.sources.found_files import CameraBy, File, Listed, Listing, PassedOver
from pipeline.sources.globs import check_glob
from pipeline.sources.list_files import ListFiles
from pipeline.sources.local_files import files_below, local_file
from pipeline.sources.local_time import RecordingHints
from pipeline.sources.names import read_path
from pipeline.sources.playlists import parts_of_playlists
from pipeline.sources.remote import remote_files
from pipeline.sources.sidecar import SUFFIXES as SIDECAR_SUFFIXES
from pipeline.sources.sidecar import Sidecars
from pipeline.storage import retry
from pipeline.storage.access import check, masked, scheme_of
from pipeline.storage.playlists import is_playlist

_NO_HINTS = RecordingHints()
LIST_SUFFIXES = frozenset({".txt", ".lst"})


def list_sources(locations: Sequence[str], config: SourcesConfig) -> list[Source]:
    """The videos of ``survey``.

    Raises:
        ConfigError: a location does not exist, or may not be opened.
        NoSourcesError: nothing matched.
    """
    return list(survey_videos(locations, config).sources)


def survey_videos(locations: Sequence[str], config: SourcesConfig) -> Listing:
    """As ``survey``, of locations that must hold videos.

    Raises:
        ConfigError: a location does not exist, or may not be opened.
        NoSourcesError: nothing matched.
    """
    listing = survey(locations, config)
    if listing.videos:
        return listing
    message = f"no videos in {', '.join(locations)}: check the path or the glob"
    if listing.passed_over:
        message += f"; {passed_over_message(listing)}"
    raise NoSourcesError(message)


def survey(locations: Sequence[str], config: SourcesConfig) -> Listing:
    """Find every file once: the videos, ordered by camera, start and URI, and all others.

    A location is a file, a folder (searched for videos), a glob, a URL that fsspec knows, or a
    list file (``*.txt``, ``*.lst``, or any file as ``@file``) with one location per line.

    Raises:
        ConfigError: a location does not exist, or may not be opened.
    """
    sidecars, lists = Sidecars(config.naming(locations)), ListFiles()
    passed_over: dict[str, str] = {}
    playlists: list[str] = []
    hashes = array("q")  # of URIs, which would take ten times the memory

    def videos() -> Iterator[Listed]:
        for location in locations:
            for file in _expand(location, sidecars, lists):
                if file.passed_over:
                    passed_over[file.uri] = file.passed_over
                else:
                    if is_playlist(file.uri):
                        playlists.append(file.uri)
                    hashes.append(hash(file.uri))
                    yield _listed(file, sidecars)

    listed = ListedTable.of(videos())
    if len(np.unique(hashes)) < len(hashes):
        listed = listed.each_once()
    del hashes[:]
    for uri in listed.without(passed_over)[1]:
        del passed_over[uri]  # in one place, and named in another
    parts = parts_of_playlists(playlists, sidecars.access)
    listed, found = listed.without(parts)
    passed_over |= {uri: parts[uri] for uri in found | (parts.keys() & passed_over.keys())}
    listed, twins = listed.without_twins()
    listed.sort()
    beside = _beside_videos(passed_over, listed)
    others = [_passed_over(uri, passed_over[uri], beside) for uri in passed_over]
    return Listing(listed, tuple(sorted(twins + others, key=lambda other: other.uri)))


def passed_over_message(listing: Listing) -> str:
    """How many files are not indexed, and who says why."""
    number = listing.num_passed_over
    files = "1 file was" if number == 1 else f"{number:,} files were"
    return f"{files} passed over; `timereel sources` says which and why"


def _beside_videos(uris: Iterable[str], videos: ListedTable) -> set[str]:
    """Those of the files that have the name of a video and a suffix of sidecars."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for uri in uris:
        name, suffix = splitext(uri.lower())
        if suffix in SIDECAR_SUFFIXES:
            by_name[name].append(uri)
    if not by_name:
        return set()
    names = (uri.as_py().lower() for uri in videos.uris)
    return {
        uri for name in names for of in (name, splitext(name)[0]) for uri in by_name.get(of, ())
    }


def _passed_over(uri: str, reason: str, beside_videos: set[str]) -> PassedOver:
    if uri in beside_videos:
        return PassedOver(uri, "stands beside a video of its name", is_sidecar=True)
    return PassedOver(uri, reason)


def _expand(location: str, sidecars: Sidecars, lists: ListFiles) -> Iterator[File]:
    try:
        check(location.removeprefix("@"), sidecars.access)
    except SourceError as exc:
        raise ConfigError(str(exc)) from exc
    yield from _found_at(location, sidecars, lists)


def _found_at(location: str, sidecars: Sidecars, lists: ListFiles) -> Iterator[File]:
    if location.startswith("@") and not os.path.lexists(location):
        yield from _read_list(location[1:], sidecars, lists)
    elif scheme_of(location):
        check_glob(location)
        yield from remote_files(location, sidecars.access, sound=sidecars.config.sound)
    elif os.path.isdir(location):
        yield from files_below(location, sidecars.access, sound=sidecars.config.sound)
    elif os.path.lexists(location):
        if splitext(location)[1].lower() in LIST_SUFFIXES:
            yield from _read_list(location, sidecars, lists)
        else:
            yield local_file(location)
    elif glob.has_magic(location):
        check_glob(location)
        for path in glob.iglob(location, recursive=True, include_hidden=True):
            if os.path.isdir(path):
                yield File(uri=os.path.abspath(path), passed_over="a folder; name it to search it")
            else:
                yield local_file(path)
    else:
        yield from _retry_missing(location, sidecars, lists)


def _retry_missing(location: str, sidecars: Sidecars, lists: ListFiles) -> Iterator[File]:
    """A path that does not seem to exist. A mount that fails looks the same, so it is retried."""
    try:
        retry.retried(partial(os.lstat, location), f"{location}: cannot be opened")
    except UnreachableError as exc:
        yield File(uri=location, unreachable=str(exc))
    except OSError as exc:
        raise ConfigError(f"{location}: does not exist; name a file, folder, glob or URL") from exc
    else:
        yield from _expand(location, sidecars, lists)


def _read_list(path: str, sidecars: Sidecars, lists: ListFiles) -> Iterator[File]:
    """The sources of a list. A wrong line becomes one failed row and does not stop a job."""
    try:
        for line in lists.lines(path, sidecars.access):
            if line.problem:
                yield File(uri=line.text, problem=line.problem)
                continue
            try:
                yield from _expand(line.text, sidecars, lists)
            except ConfigError as exc:
                yield File(uri=masked(line.text), problem=f"listed, but {exc}")
    except UnreachableError as exc:
        yield File(uri=path, unreachable=str(exc))


def _listed(file: File, sidecars: Sidecars) -> Listed:
    problem, unreachable = file.problem, file.unreachable
    in_path = in_sidecar = _NO_HINTS
    try:
        if not (problem or unreachable):
            check(file.uri, sidecars.access)
        in_path = read_path(file.uri, sidecars.config)
        problem = problem or in_path.problem
        if not (problem or unreachable) and (in_path.camera is None or in_path.start_ns is None):
            in_sidecar = sidecars.read(file.uri)
    except SourceError as exc:
        problem = problem or str(exc)
    except UnreachableError as exc:
        unreachable = str(exc)
    timed = in_path if in_path.start_ns is not None else in_sidecar
    clock: Clock = "none" if timed.start_ns is None else "path" if timed is in_path else "sidecar"
    camera, camera_by = _camera(file.uri, in_path, in_sidecar, sidecars.config)
    source = Source(
        uri=file.uri,
        num_bytes=file.num_bytes,
        etag=file.etag,
        camera=camera,
        start_ns=timed.start_ns,
        clock=clock,
        mtime_ns=file.mtime_ns,
        warnings=timed.warnings,
        problem=problem,
        unreachable=unreachable,
    )
    return Listed(
        source=source,
        camera_by=camera_by,
        zone=timed.zone,
        rule=in_path.rule,
        template=in_path.template,
        end_ns=in_path.end_ns,
        number=in_path.number,
        is_low_resolution=in_path.is_low_resolution,
    )


def _camera(
    uri: str, in_path: RecordingHints, in_sidecar: RecordingHints, config: SourcesConfig
) -> tuple[str, CameraBy]:
    """The first name that there is, with the view if the recording has several."""
    names: tuple[tuple[str | None, CameraBy], ...] = (
        (in_path.camera, "path"),
        (in_sidecar.camera, "sidecar"),
        (config.camera, "sources.camera"),
        (in_path.folder, "folder"),
    )
    named = ((name, by) for name, by in names if name)
    name, named_by = next(named, None) or (_own_name(uri), "file name")
    return f"{name}-{in_path.view}" if in_path.view else name, named_by


def _own_name(uri: str) -> str:
    """The camera if nothing names one: the file's name, or of a playlist its folder's."""
    folder, _, name = uri.rpartition("/")
    return (is_playlist(uri) and basename(folder)) or splitext(name)[0]
