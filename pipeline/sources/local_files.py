"""Files of this machine: every one below a folder, with why it is no video if it is none."""

import os
import stat
from collections.abc import Iterator
from functools import partial

from pipeline.errors import SourceError, UnreachableError
from pipeline.sources.file_kinds import (
    NO_VIDEO,
    NUM_HEAD_BYTES,
    is_recording_name,
    is_video_content,
    is_video_name,
    other_kind,
)
from pipeline.sources.found_files import File
from pipeline.storage import retry
from pipeline.storage.access import Access
from pipeline.storage.locations import open_local


def files_below(root: str, access: Access, *, sound: bool) -> Iterator[File]:
    """Every file under ``root``; links to folders are not followed.

    Recordings of ``sound`` alone are listed if that is wanted.
    """
    unlisted: list[OSError] = []
    for folder, subfolders, names in os.walk(root, onerror=unlisted.append):
        for name in sorted(subfolders):
            yield from _folder(os.path.join(folder, name), root)
        for name in sorted(names):
            path = os.path.join(folder, name)
            is_link = os.path.islink(path)
            linked_from = root if is_link else None
            reason = _why_no_video(path, name, access, linked_from=linked_from, sound=sound)
            if reason:
                yield File(uri=_shown(path), passed_over=reason)
            else:
                yield local_file(path, linked_from=linked_from)
    yield from map(_unlisted, unlisted)


def local_file(path: str, *, linked_from: str | None = None) -> File:
    """The metadata of one file, and why it cannot be opened.

    A link in the folder ``linked_from`` may only lead to what is in it.
    """
    uri = os.path.abspath(path)
    try:
        uri.encode()
    except UnicodeEncodeError:
        return File(uri=_shown(path), problem="the file name is not UTF-8; rename the file")
    if linked_from is not None and not _is_inside(path, linked_from):
        target = os.path.realpath(path)
        problem = "a link that leads nowhere; repair it"
        if os.path.exists(path):
            problem = f"a link out of the folder; name {target} as a source to index it"
        return File(uri=uri, problem=problem)
    try:
        status = _status(path, uri)
    except UnreachableError as exc:
        return File(uri=uri, unreachable=str(exc))
    except OSError as exc:
        problem = f"cannot be opened: {exc.strerror}; check its permissions and its disk"
        return File(uri=uri, problem=problem)
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        return File(uri=uri, problem=f"{kind}; rename it")
    return File(
        uri=uri,
        num_bytes=status.st_size,
        etag=str(status.st_mtime_ns),
        mtime_ns=status.st_mtime_ns,
    )


def _status(path: str, uri: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError:
        return retry.retried(partial(os.stat, path), f"{uri}: cannot be opened")


def _folder(path: str, root: str) -> Iterator[File]:
    """What is to be said of a folder: one that is a link, or that has the name of a video."""
    is_link = os.path.islink(path)
    if is_link and _is_inside(path, root):
        yield File(uri=_shown(path), passed_over="a link to a folder that is searched itself")
    elif is_link or is_video_name(path):
        yield local_file(path, linked_from=root if is_link else None)


def _why_no_video(
    path: str, name: str, access: Access, *, linked_from: str | None, sound: bool
) -> str:
    """The reason; "" for a video, and for what has the name of one and cannot be opened."""
    if not is_recording_name(name, sound=sound) or name.startswith("._"):
        kind = other_kind(name)
        if linked_from is not None:
            return kind or "a link with a name that is none of a video"
        return kind or _why_no_content(path, access)
    if linked_from is not None and os.path.isfile(path) and _is_inside(path, linked_from):
        target = os.path.realpath(path)
        if is_recording_name(target, sound=sound):
            return f"a link to a file that is listed itself: {_shown(target)}"
    return ""


def _why_no_content(path: str, access: Access) -> str:
    try:
        with open_local(path, access) as file:
            head = file.read(NUM_HEAD_BYTES)
    except SourceError:
        return "neither a regular file nor named as a video"
    except OSError as exc:
        return f"its name is none of a video, and it cannot be opened ({exc.strerror})"
    return "" if is_video_content(head) else NO_VIDEO


def _unlisted(exc: OSError) -> File:
    folder, message = str(exc.filename), f"this folder cannot be listed ({exc.strerror})"
    if retry.is_transient(exc):
        message = f"{folder}: {message}; check what it is mounted from, then run again"
        return File(uri=folder, unreachable=message)
    return File(uri=folder, problem=f"{message}; give permission to list it, or name other sources")


def _is_inside(path: str, root: str) -> bool:
    tree = os.path.realpath(root)
    return os.path.commonpath([os.path.realpath(path), tree]) == tree


def _shown(path: str) -> str:
    """The absolute path; bytes that are no text are escaped."""
    return os.fsencode(os.path.abspath(path)).decode("utf-8", "backslashreplace")
