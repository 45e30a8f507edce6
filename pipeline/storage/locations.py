"""The gate: footage, sidecars and list files are opened and listed through it alone.

filesystem      the fsspec file system of a URL, with time limits, so that a stall becomes an error
open_local      a regular file of this machine
read_bytes      reads a small file, whole or its first bytes
"""

import os
import stat
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from pipeline.errors import SourceError
from pipeline.storage import retry
from pipeline.storage.access import (
    HTTP_PORTS,
    Access,
    check,
    is_listed,
    is_remote,
    local_path,
    origin_of,
    scheme_of,
)

_UNCACHED = {"use_listings_cache": False}
"""fsspec would keep every listing, and answer from it for as long as the process lives."""


def filesystem(uri: str, access: Access, limit_s: float | None = None) -> tuple[Any, str]:
    """The file system of a URL, and the path in it.

    Its clients do not retry, because ``retry.retried`` does. Credentials and endpoints come from
    where fsspec and the tools of each store look for them.

    Raises:
        SourceError: the location may not be opened.
    """
    check(uri, access)
    limit_s = limit_s or retry.LIMIT_S
    scheme = scheme_of(uri)
    if scheme in HTTP_PORTS:
        import aiohttp  # noqa: PLC0415 - an extra that only HTTP needs

        from pipeline.storage.http_client import Client  # noqa: PLC0415 - the same

        origin = origin_of(uri)
        client = Client(origin, access, is_listed(origin, access.hosts))
        # No limit on the total: a large block over a slow line takes long, which is no failure.
        limits = aiohttp.ClientTimeout(total=None, sock_connect=limit_s, sock_read=limit_s)
        options = _options(scheme, client_kwargs={"timeout": limits})
        return fsspec.filesystem(scheme, get_client=client, **options), uri
    if scheme in {"s3", "s3a"}:
        once = {"retries": {"total_max_attempts": 1}}
        waits = {"connect_timeout": limit_s, "read_timeout": limit_s}
        options = _options("s3", config_kwargs=waits | once)
        s3, path = fsspec.core.url_to_fs(uri, **_UNCACHED, **options)
        s3.retries = 1
        s3.session = s3.session or _quick_session(s3.kwargs)
        return s3, path
    opened, path = fsspec.core.url_to_fs(uri, **_UNCACHED)
    return opened, path


def _quick_session(options: dict[str, Any]) -> Any:  # noqa: ANN401 - of aiobotocore
    """The session that s3fs would make, which reads times as S3 writes them.

    botocore asks dateutil, which takes half of the time that a listing takes.
    """
    from aiobotocore.session import AioSession  # noqa: PLC0415 - an extra that only S3 needs
    from botocore.utils import parse_timestamp  # noqa: PLC0415 - the same

    def parse(value: Any) -> datetime:  # noqa: ANN401 - headers and tokens have other forms
        if isinstance(value, str) and value.endswith("Z"):
            return datetime.fromisoformat(value)
        return parse_timestamp(value)  # type: ignore[no-any-return]

    session = AioSession(**options)
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse)
    return session


def _options(scheme: str, **options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of a file system; the user's fsspec configuration takes precedence."""
    set_by_user = fsspec.config.conf.get(scheme, {})
    return {name: value | set_by_user.get(name, {}) for name, value in options.items()}


def open_local(uri: str, access: Access) -> BinaryIO:
    """A regular file of this machine, open for reading.

    Raises:
        SourceError: it is no regular file, or may not be opened. An ``OSError`` is of the medium.
    """
    check(uri, access)
    opener = partial(_open_regular, access=access)
    return open(local_path(uri), "rb", opener=opener)


def _open_regular(path: str, flags: int, *, access: Access) -> int:
    # A pipe without a writer would block for ever, and links may have changed since the check.
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    try:
        _check_opened(path, descriptor, access)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_opened(path: str, descriptor: int, access: Access) -> None:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "a device or pipe"
        raise SourceError(f"{path}: is {kind}, not a file; rename it, or name another")
    if access.roots:
        target = Path(path).resolve()
        check(str(target), access)
        if not os.path.samestat(facts, target.stat()):
            raise SourceError(f"{path}: was replaced while it was opened; run again")


def read_bytes(uri: str, access: Access, *, max_bytes: int, end: int | None = None) -> bytes:
    """Read a small file, or its first ``end`` bytes.

    Raises:
        SourceError: the file is longer than ``max_bytes``, is none, or may not be opened.
        UnreachableError: the medium failed. Any other exception is about the file.
    """

    def attempt() -> bytes:
        asked = max_bytes + 1 if end is None else end
        if not is_remote(uri):
            with open_local(uri, access) as file:
                data = file.read(asked)
        else:
            store, path = filesystem(uri, access)
            num_bytes = store.info(path).get("size")
            if num_bytes != 0:
                data = bytes(store.cat_file(path, end=min(asked, num_bytes or asked)))
            else:
                data = b""
            retry.check_length(data, num_bytes and min(num_bytes, asked))
        if end is None and len(data) > max_bytes:
            raise SourceError(
                f"{uri}: is longer than {max_bytes:,} bytes; shorten it, or move it elsewhere"
            )
        return data[:end]

    return retry.retried(attempt, f"{uri}: cannot be read")
