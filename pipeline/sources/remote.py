"""Files that fsspec lists, by their facts alone: a listing reads no video.

A store that fails for one of them, or for a whole location, costs one line that says so.
"""

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pipeline.errors import ConfigError, UnreachableError
from pipeline.sources.suffixes import is_video_name
from pipeline.storage import retry
from pipeline.timebase import NS_PER_S, datetime_to_ns

_MODIFIED = ("LastModified", "last_modified", "mtime", "created")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a store says of a file, or why it says nothing."""

    uri: str
    num_bytes: int = 0
    etag: str = ""
    mtime_ns: int | None = None
    problem: str = ""
    unreachable: str = ""


def remote_files(location: str) -> Iterator[Listed]:
    """The videos at a URL: the file that it names, or those of a folder, or of a glob.

    Raises:
        ConfigError: there is nothing, or it may not be listed.
    """
    told = f"{location}: cannot be listed"
    try:
        filesystem, path = retry.filesystem(location)
        found = retry.retried(partial(_find, filesystem, path), told)
    except UnreachableError as exc:
        yield Listed(uri=location, unreachable=str(exc))
        return
    except FileNotFoundError as exc:
        raise ConfigError(f"{location}: does not exist; check bucket, key and region") from exc
    except (OSError, ImportError, ValueError) as exc:
        raise ConfigError(f"{told}: {exc}") from exc
    for name, info in sorted(found.items()):
        yield _listed(filesystem, name, info)


def _find(filesystem: Any, path: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - any of fsspec's
    """Facts by path. Not by ``exists`` and ``isdir``, which call missing what they fail to ask.

    The ``isdir`` of HTTP reads the whole body as well.
    """
    if _is_http(filesystem):
        return _find_links(filesystem, path)
    try:
        info = filesystem.info(path)
    except FileNotFoundError as exc:
        if retry.is_transient(exc) or not glob.has_magic(path):
            raise
        return _files(filesystem.glob(path, detail=True))
    if info["type"] == "directory":
        return _videos(filesystem.find(path, detail=True))
    return {path: info}


def _find_links(filesystem: Any, url: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401
    """The same over HTTP, where folders are pages of links, and files are told of one by one."""
    if "*" in url or "[" in url:  # but "?" begins a query
        return _files(filesystem.glob(url, detail=True, on_error=_raise_transient))
    info = {} if url.endswith("/") else filesystem.info(url)
    if info and info.get("mimetype") != "text/html":
        return {url: info}
    linked = filesystem.find(url, detail=True, on_error=_raise_transient)
    return _videos(linked) or ({url: info} if info else {})


def _raise_transient(exc: Exception) -> None:
    """A link that leads nowhere hides no others."""
    if retry.is_transient(exc):
        raise exc


def _files(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: info for name, info in found.items() if info.get("type") != "directory"}


def _videos(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: info for name, info in _files(found).items() if is_video_name(name)}


def _is_http(filesystem: Any) -> bool:  # noqa: ANN401
    return bool({"http", "https"} & {*filesystem.protocol})


def _listed(filesystem: Any, name: str, info: dict[str, Any]) -> Listed:  # noqa: ANN401
    uri = filesystem.unstrip_protocol(name)
    if _is_http(filesystem) and info.get("size") is None:
        try:
            info = retry.retried(partial(filesystem.info, name), f"{uri}: cannot be opened")
        except UnreachableError as exc:
            return Listed(uri=uri, unreachable=str(exc))
        except FileNotFoundError:
            return Listed(uri=uri, problem="a link that leads nowhere; remove or repair it")
    mtime_ns = _modified_ns(next((info[key] for key in _MODIFIED if info.get(key)), None))
    etag = info.get("ETag") or info.get("etag") or mtime_ns or info.get("Last-Modified")
    return Listed(
        uri=uri, num_bytes=int(info.get("size") or 0), etag=str(etag or ""), mtime_ns=mtime_ns
    )


def _modified_ns(value: object) -> int | None:
    match value:
        case datetime():
            return datetime_to_ns(value if value.tzinfo else value.replace(tzinfo=UTC))
        case int() | float():
            return int(value * NS_PER_S)
        case _:
            return None
