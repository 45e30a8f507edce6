"""Lists files of a store through fsspec, from metadata alone: no video is read.

If the store fails for one file or for a whole location, one ``File`` says so.
"""

import glob
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pipeline.errors import ConfigError, SourceError, UnreachableError
from pipeline.sources.file_kinds import is_recording_name, other_kind
from pipeline.sources.found_files import File
from pipeline.sources.link_pages import is_pattern, linked_files, matching_files
from pipeline.sources.store_files import PROBLEM, Page, matching_pages, pages_below
from pipeline.storage import retry
from pipeline.storage.access import Access, check, masked
from pipeline.storage.locations import filesystem as open_filesystem
from pipeline.timebase import NS_PER_S, datetime_to_ns

_MAX_FILE_BYTES = 2**63 - 1
_PASSED_OVER = "passed over"
_NO_VIDEO_NAME = "its name is none of a video, which in a store decides; name it to index it"
_MODIFIED = ("LastModified", "last_modified", "mtime", "created")


def remote_files(location: str, access: Access, *, sound: bool) -> Iterator[File]:
    """The files at a URL: the one that it names, or those of a folder or of a glob.

    Recordings of ``sound`` alone are listed if that is wanted. If the store stops to answer, what
    it has listed before is given.

    Raises:
        ConfigError: there is nothing at the URL, or listing is not allowed.
    """
    try:
        for filesystem, page in _found(location, access, sound=sound):
            for name, info in sorted(page.items()):
                if reason := info.get(_PASSED_OVER):
                    uri = masked(filesystem.unstrip_protocol(name))
                    yield File(uri=uri, passed_over=reason)
                elif problem := info.get(PROBLEM):
                    yield File(uri=masked(filesystem.unstrip_protocol(name)), problem=problem)
                else:
                    yield _remote_file(filesystem, name, info, access)
    except UnreachableError as exc:
        yield File(uri=location, unreachable=str(exc))


def _found(location: str, access: Access, *, sound: bool) -> Iterator[tuple[Any, Page]]:
    """The file system of a location, with each page of what is there."""
    message = f"{location}: cannot be listed"
    try:
        filesystem, path = open_filesystem(location, access)
        if _is_http(filesystem):
            find = partial(_find_links, filesystem, path, sound=sound)
            yield filesystem, retry.retried(find, message)
            return
        for page in _pages(filesystem, path, message, sound=sound):
            yield filesystem, page
    except UnreachableError:
        raise
    except FileNotFoundError as exc:
        raise ConfigError(f"{location}: does not exist; check bucket, key and region") from exc
    except Exception as exc:  # each store has its own exceptions
        raise ConfigError(f"{message}: {retry.oneline(exc)}") from exc


def _pages(
    filesystem: Any,  # noqa: ANN401 - any of fsspec's
    path: str,
    message: str,
    *,
    sound: bool,
) -> Iterator[Page]:
    """Metadata by path.

    Does not use ``exists`` and ``isdir``: they return False if the store fails to answer, and the
    ``isdir`` of HTTP reads the whole body.
    """
    try:
        info = retry.retried(partial(filesystem.info, path), message)
    except FileNotFoundError:
        if not glob.has_magic(path):
            raise
        yield from matching_pages(filesystem, path, message)
        return
    if info["type"] != "directory":
        yield {path: info}
        return
    for page in pages_below(filesystem, path, message):
        yield _in_folder(page, sound=sound)


def _find_links(
    filesystem: Any,  # noqa: ANN401
    url: str,
    *,
    sound: bool,
) -> Page:
    """All files at a URL of HTTP, where a folder is a page of links to files."""
    if is_pattern(url):
        return matching_files(filesystem, url)
    info = {} if url.endswith("/") else filesystem.info(url)
    if info and info.get("mimetype") != "text/html":
        return {url: info}
    linked = _in_folder(linked_files(filesystem, url), sound=sound)
    has_video = any(_PASSED_OVER not in facts for facts in linked.values())
    return linked if has_video or not info else linked | {url: info}


def _in_folder(infos: Page, *, sound: bool) -> Page:
    """The files, those that are no videos with the reason."""
    return {
        name: info if PROBLEM in info else info | _reason(name, sound=sound)
        for name, info in infos.items()
    }


def _reason(name: str, *, sound: bool) -> dict[str, str]:
    name = name.rpartition("/")[2]
    if is_recording_name(name, sound=sound) and not name.startswith("._"):
        return {}
    return {_PASSED_OVER: other_kind(name) or _NO_VIDEO_NAME}


def _is_http(filesystem: Any) -> bool:  # noqa: ANN401
    return bool({"http", "https"} & {*filesystem.protocol})


def _remote_file(
    filesystem: Any,  # noqa: ANN401
    name: str,
    info: dict[str, Any],
    access: Access,
) -> File:
    uri = filesystem.unstrip_protocol(name)
    if _is_http(filesystem) and info.get("size") is None:
        try:
            check(uri, access)
            info = retry.retried(partial(filesystem.info, name), f"{uri}: cannot be opened")
        except UnreachableError as exc:
            return File(uri=uri, unreachable=str(exc))
        except FileNotFoundError:
            return File(uri=uri, problem="a link that leads nowhere; repair it")
        except SourceError as exc:
            return File(uri=masked(uri), problem=str(exc))
    num_bytes = int(info.get("size") or 0)
    if not 0 <= num_bytes <= _MAX_FILE_BYTES:
        return File(uri=uri, problem=f"its server reports {num_bytes} bytes; check it")
    mtime_ns = _modified_ns(next((info[key] for key in _MODIFIED if info.get(key)), None))
    etag = info.get("ETag") or info.get("etag") or mtime_ns or info.get("Last-Modified")
    return File(
        uri=uri,
        num_bytes=num_bytes,
        # A header may hold bytes that are no text.
        etag=str(etag or "").encode("utf-8", "backslashreplace").decode(),
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
