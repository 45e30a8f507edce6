"""Lists files of a store through fsspec, from metadata alone: no video is read.

If the store fails for one file or for a whole location, one ``RemoteFile`` says so.
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
class RemoteFile:
    """The metadata of a file in a store, or why the store gives none."""

    uri: str
    num_bytes: int = 0
    etag: str = ""
    mtime_ns: int | None = None
    problem: str = ""
    unreachable: str = ""


def remote_files(location: str) -> Iterator[RemoteFile]:
    """The videos at a URL: the file that it names, or the videos of a folder or of a glob.

    Raises:
        ConfigError: there is nothing at the URL, or listing is not allowed.
    """
    message = f"{location}: cannot be listed"
    try:
        filesystem, path = retry.filesystem(location)
        infos = retry.retried(partial(_find, filesystem, path), message)
    except UnreachableError as exc:
        yield RemoteFile(uri=location, unreachable=str(exc))
        return
    except FileNotFoundError as exc:
        raise ConfigError(f"{location}: does not exist; check bucket, key and region") from exc
    except (OSError, ImportError, ValueError) as exc:
        raise ConfigError(f"{message}: {exc}") from exc
    for name, info in sorted(infos.items()):
        yield _remote_file(filesystem, name, info)


def _find(filesystem: Any, path: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - any of fsspec's
    """Metadata by path.

    Does not use ``exists`` and ``isdir``: they return False if the store fails to answer, and the
    ``isdir`` of HTTP reads the whole body.
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
    """As ``_find`` over HTTP, where a folder is a page of links to files."""
    if "*" in url or "[" in url:  # but "?" begins a query
        return _files(filesystem.glob(url, detail=True, on_error=_raise_transient))
    info = {} if url.endswith("/") else filesystem.info(url)
    if info and info.get("mimetype") != "text/html":
        return {url: info}
    linked = filesystem.find(url, detail=True, on_error=_raise_transient)
    return _videos(linked) or ({url: info} if info else {})


def _raise_transient(exc: Exception) -> None:
    """Ignore permanent errors, so that one broken link does not hide the other files."""
    if retry.is_transient(exc):
        raise exc


def _files(infos: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: info for name, info in infos.items() if info.get("type") != "directory"}


def _videos(infos: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: info for name, info in _files(infos).items() if is_video_name(name)}


def _is_http(filesystem: Any) -> bool:  # noqa: ANN401
    return bool({"http", "https"} & {*filesystem.protocol})


def _remote_file(filesystem: Any, name: str, info: dict[str, Any]) -> RemoteFile:  # noqa: ANN401
    uri = filesystem.unstrip_protocol(name)
    if _is_http(filesystem) and info.get("size") is None:
        try:
            info = retry.retried(partial(filesystem.info, name), f"{uri}: cannot be opened")
        except UnreachableError as exc:
            return RemoteFile(uri=uri, unreachable=str(exc))
        except FileNotFoundError:
            return RemoteFile(uri=uri, problem="a link that leads nowhere; remove or repair it")
    mtime_ns = _modified_ns(next((info[key] for key in _MODIFIED if info.get(key)), None))
    etag = info.get("ETag") or info.get("etag") or mtime_ns or info.get("Last-Modified")
    return RemoteFile(
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
