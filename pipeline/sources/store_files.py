"""Files of a store, page by page: what it has listed is given on before it is asked for more.

A page is a thousand keys of S3, and of any other store a folder, as fsspec has no pages: its
``find`` would hold all files at once, and begin again with the first when one request failed.

Of a glob only those folders are listed in which something can match, so that a pattern with a day
in it (``s3://archive/*/2026-03-14/*.mp4``) does not list the other days.
"""

import glob
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, TypeAlias

from pipeline.errors import UnreachableError
from pipeline.sources.globs import ANY_FOLDERS, fixed_folder, matches
from pipeline.storage import retry

PROBLEM = "problem"
"""Why a folder has no files in a page: its entry has this in place of metadata."""

Page: TypeAlias = dict[str, dict[str, Any]]
"""Metadata by path, as fsspec gives it."""
_AT_ONCE = 16
"""Folders that are listed side by side, as each is a round trip to the store."""


def pages_below(
    filesystem: Any,  # noqa: ANN401 - any of fsspec's
    folder: str,
    message: str,
) -> Iterator[Page]:
    """All files below a folder; ``message`` begins the error of a store that does not answer.

    A folder in it that may not be listed is an entry with its ``PROBLEM``.
    """
    if _has_pages(filesystem):
        yield from _pages_of_s3(filesystem, folder, message, delimiter="")
        return
    waiting = [folder]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        while waiting:
            listed = threads.map(
                partial(_page_below, filesystem, folder, message), waiting[:_AT_ONCE]
            )
            folders: list[str] = []
            for page in listed:
                files = _files(page)
                yield files
                folders += sorted(page.keys() - files.keys())
            waiting = folders + waiting[_AT_ONCE:]  # those within first, so that few wait


def _page_below(filesystem: Any, root: str, message: str, folder: str) -> Page:  # noqa: ANN401
    """The files and folders of one folder below the root, or its ``PROBLEM``."""
    try:
        return {k: v for page in _pages_in(filesystem, folder, message) for k, v in page.items()}
    except UnreachableError:
        raise
    except Exception as exc:  # each store has its own exceptions
        if folder == root:
            raise
        problem = f"this folder cannot be listed ({retry.oneline(exc)})"
        return {folder: {PROBLEM: f"{problem}; give permission to list it, or name other sources"}}


def matching_pages(
    filesystem: Any,  # noqa: ANN401
    pattern: str,
    message: str,
) -> Iterator[Page]:
    """The files that a glob means.

    Not the glob of fsspec, whose regular expressions take exponential time for some names.
    """
    folder, _ = fixed_folder(pattern)
    parts = pattern[len(folder) :].removeprefix("/").split("/")
    yield from _matching(filesystem, folder, parts, message)


def _matching(
    filesystem: Any,  # noqa: ANN401
    folder: str,
    parts: Sequence[str],
    message: str,
) -> Iterator[Page]:
    part, *rest = parts
    if part == ANY_FOLDERS:
        pattern = "/".join(parts)
        for page in pages_below(filesystem, folder, message):
            yield {
                name: info
                for name, info in page.items()
                if PROBLEM in info or matches(_within(name, folder), pattern)
            }
        return
    if rest and not glob.has_magic(part):
        yield from _matching(filesystem, f"{folder}/{part}", rest, message)
        return
    for page in _pages_in(filesystem, folder, message):
        named = {n: info for n, info in page.items() if fnmatchcase(_within(n, folder), part)}
        files = _files(named)
        if not rest:
            yield files
            continue
        for name in sorted(named.keys() - files.keys()):
            yield from _matching(filesystem, name, rest, message)


def _pages_in(filesystem: Any, folder: str, message: str) -> Iterator[Page]:  # noqa: ANN401
    """The files and folders of one folder; none if there is no such folder."""
    if _has_pages(filesystem):
        yield from _pages_of_s3(filesystem, folder, message, delimiter="/")
        return
    try:
        infos = retry.retried(partial(filesystem.ls, folder, detail=True), message)
    except (FileNotFoundError, NotADirectoryError):
        return
    # An object that keeps an empty folder has the name of the folder itself.
    named = {info["name"].rstrip("/"): info for info in infos}
    yield {name: info for name, info in named.items() if name != folder.rstrip("/")}


def _has_pages(filesystem: Any) -> bool:  # noqa: ANN401
    # A file system that knows versions lists them by another call.
    return "s3" in filesystem.protocol and not filesystem.version_aware


def _pages_of_s3(
    filesystem: Any,  # noqa: ANN401
    folder: str,
    message: str,
    *,
    delimiter: str,
) -> Iterator[Page]:
    """A thousand keys each; ``find`` would hold them all, and an entry for each of their folders.

    A key that ends with a slash is no file: it keeps an empty folder.
    """
    bucket, prefix, _ = filesystem.split_path(folder)
    asked = {"Bucket": bucket, "Prefix": prefix and f"{prefix}/", "Delimiter": delimiter}
    while True:
        call = partial(filesystem.call_s3, "list_objects_v2", **asked)
        answer = retry.retried(call, message)
        yield {
            f"{bucket}/{one['Key']}": {**one, "size": one["Size"], "type": "file"}
            for one in answer.get("Contents", ())
            if not one["Key"].endswith("/")
        } | {
            f"{bucket}/{one['Prefix'].rstrip('/')}": {"type": "directory"}
            for one in answer.get("CommonPrefixes", ())
        }
        if not answer.get("IsTruncated"):
            return
        asked["ContinuationToken"] = answer["NextContinuationToken"]


def _files(page: Page) -> Page:
    return {name: info for name, info in page.items() if info.get("type") != "directory"}


def _within(name: str, folder: str) -> str:
    return name[len(folder) :].removeprefix("/")
