"""Retries: a store or a mount may fail for a while, which says nothing about a file on it.

filesystem      the fsspec file system of a URL, with time limits, so that a stall becomes an error
is_transient    whether the medium caused an error, so that the same call may succeed later
retried         makes a call again while the medium fails
read_bytes      reads a small file, whole or its first bytes
"""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import fsspec
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from pipeline.errors import TimereelError, UnreachableError

LIMIT_S = 20.0
"""How long a store may send nothing before the call counts as failed."""
ATTEMPTS = 5
PAUSE = wait_exponential(multiplier=0.5, max=8.0) + wait_random(0.0, 1.0)
"""Wait between two attempts; with jitter, since all tasks of a job lose a store at once."""

_SERVER_ERROR = 500
_STATUS_NAMES = ("status", "status_code")
_BUSY = frozenset({408, 425, 429})
# Errors about one file, wrong calls and bugs. A second attempt would give the same error.
_PERMANENT = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    FileExistsError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    NotImplementedError,
    TypeError,
    ValueError,
    TimereelError,
)
_PERMANENT_ERRNO = frozenset({errno.EINVAL, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO})

T = TypeVar("T")


def filesystem(uri: str, limit_s: float | None = None) -> tuple[Any, str]:
    """The file system of a URL, and the path in it.

    Its clients do not retry, because ``retried`` does. Credentials and endpoints come from where
    fsspec and the tools of each store look for them.
    """
    limit_s = limit_s or LIMIT_S
    scheme = uri.partition("://")[0]
    if scheme in {"http", "https"}:
        import aiohttp  # noqa: PLC0415 - an extra that only HTTP needs

        # No limit on the total: a large block over a slow line takes long, which is no failure.
        limits = aiohttp.ClientTimeout(total=None, sock_connect=limit_s, sock_read=limit_s)
        return _with(uri, scheme, client_kwargs={"timeout": limits})
    if scheme in {"s3", "s3a"}:
        once = {"retries": {"total_max_attempts": 1}}
        waits = {"connect_timeout": limit_s, "read_timeout": limit_s}
        s3, path = _with(uri, "s3", config_kwargs=waits | once)
        s3.retries = 1
        return s3, path
    opened, path = fsspec.core.url_to_fs(uri)
    return opened, path


def _with(uri: str, scheme: str, **options: dict[str, Any]) -> tuple[Any, str]:
    """The file system with these options; the user's fsspec configuration takes precedence."""
    set_by_user = fsspec.config.conf.get(scheme, {})
    merged = {name: value | set_by_user.get(name, {}) for name, value in options.items()}
    opened, path = fsspec.core.url_to_fs(uri, **merged)
    return opened, path


def is_transient(exc: BaseException) -> bool:
    """Whether the medium failed: connections, 5xx, 429, time limits, short answers, stale handles.

    Each store has its own exceptions, so every error counts as transient that is not known to be
    permanent. fsspec reports a file as missing when its server fails, so the first cause decides.
    """
    chain = list(_causes(exc))
    statuses = [status for cause in chain if (status := _http_status(cause))]
    if statuses:
        return statuses[-1] >= _SERVER_ERROR or statuses[-1] in _BUSY
    first = chain[-1]
    if isinstance(first, OSError) and first.errno in _PERMANENT_ERRNO:
        return False
    return isinstance(first, Exception) and not isinstance(first, _PERMANENT)


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """The exception, its cause, the cause of that, and so on; the last one happened first."""
    yield exc
    cause = exc.__cause__
    if cause is None and isinstance(exc, _PERMANENT) and not exc.__suppress_context__:
        # A bug in a store's library may raise its own error while it handles the real one.
        cause = exc.__context__
    if cause is not None:
        yield from _causes(cause)


def _http_status(exc: BaseException) -> int:
    """The status in an exception of an HTTP library or of botocore; 0 if there is none."""
    response = getattr(exc, "response", None)
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    for status in (metadata.get("HTTPStatusCode"), *(getattr(exc, n, None) for n in _STATUS_NAMES)):
        if isinstance(status, int):
            return status
    return 0


def retried(call: Callable[[], T], message: str) -> T:
    """Return the result of ``call``; while the medium fails, pause and call again.

    Args:
        call: makes one whole attempt.
        message: begins the error message, as ``<file>: cannot be <done>``.

    Raises:
        UnreachableError: the medium failed at every attempt. ``call`` raises any other exception.
    """
    attempts = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=PAUSE,
        retry=retry_if_exception(is_transient),
        reraise=True,
    )
    try:
        return attempts(call)
    except Exception as exc:
        if not is_transient(exc):
            raise
        raise UnreachableError(
            f"{message} ({oneline(list(_causes(exc))[-1])}), tried {ATTEMPTS} times; check the"
            " network and the server, then run the same command again"
        ) from exc


def oneline(exc: BaseException) -> str:
    """The message of an exception without line breaks."""
    return " ".join(str(exc).split()) or type(exc).__name__


def read_bytes(uri: str, end: int | None = None) -> bytes:
    """Read a small file, or its first ``end`` bytes.

    Raises:
        UnreachableError: the medium failed. Any other exception is about the file.
    """

    def attempt() -> bytes:
        if "://" not in uri:
            with Path(uri).open("rb") as file:
                return file.read(-1 if end is None else end)
        store, path = filesystem(uri)
        num_bytes = store.info(path).get("size")
        data = bytes(store.cat_file(path, end=end))
        if num_bytes is not None and end is not None:
            num_bytes = min(num_bytes, end)
        check_length(data, num_bytes)
        return data[:end]

    return retried(attempt, f"{uri}: cannot be read")


def check_length(data: bytes, num_bytes: int | None) -> None:
    """Refuse an answer that is shorter than ``num_bytes``; None means that the length is unknown.

    Raises:
        OSError: the answer is too short; this is transient.
    """
    if num_bytes is not None and len(data) < num_bytes:
        raise OSError(errno.EIO, f"{len(data)} bytes arrived instead of {num_bytes}")
