"""Where files lie: a store or a mount may fail for a while, which says nothing about a file.

filesystem      fsspec's for a URL, with time limits, so that a store that stalls is noticed
is_transient    whether an error is of the medium, so that the same call may go well later
retried         a call, tried again while the medium fails
read_bytes      a small file, whole or its first bytes
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
"""Between two attempts; with jitter, since all tasks of a job lose a store in the same second."""

_SERVER_ERROR = 500
_STATUS_NAMES = ("status", "status_code")
_BUSY = frozenset({408, 425, 429})
# Answers about one file, mistakes in the call and bugs: they will be the same next time.
_LASTING = (
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
_LASTING_ERRNO = frozenset({errno.EINVAL, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO})

T = TypeVar("T")


def filesystem(uri: str, limit_s: float | None = None) -> tuple[Any, str]:
    """The file system of a URL and the path in it; its own clients do not retry, ``retried`` does.

    Credentials and endpoints stay where fsspec and the stores' own tools look for them.
    """
    limit_s = limit_s or LIMIT_S
    scheme = uri.partition("://")[0]
    if scheme in {"http", "https"}:
        import aiohttp  # noqa: PLC0415 - an extra, needed for these alone

        # No total: a large block over a slow line takes long, and is well as long as bytes come.
        limits = aiohttp.ClientTimeout(total=None, sock_connect=limit_s, sock_read=limit_s)
        return _with(uri, scheme, client_kwargs={"timeout": limits})
    if scheme in {"s3", "s3a"}:
        once = {"retries": {"total_max_attempts": 1}}
        waits = {"connect_timeout": limit_s, "read_timeout": limit_s}
        found, path = _with(uri, "s3", config_kwargs=waits | once)
        found.retries = 1
        return found, path
    found, path = fsspec.core.url_to_fs(uri)
    return found, path


def _with(uri: str, scheme: str, **options: dict[str, Any]) -> tuple[Any, str]:
    """Options that leave alone what the user's fsspec configuration says beside them."""
    set_by_user = fsspec.config.conf.get(scheme, {})
    merged = {name: value | set_by_user.get(name, {}) for name, value in options.items()}
    found, path = fsspec.core.url_to_fs(uri, **merged)
    return found, path


def is_transient(exc: BaseException) -> bool:
    """Whether the medium failed: connections, 5xx, 429, time limits, short answers, stale handles.

    Each store has its own exceptions, so what is known to last is told apart and the rest is not.
    fsspec calls a file missing whose server fails: the first cause decides.
    """
    chain = list(_causes(exc))
    statuses = [status for one in chain if (status := _http_status(one))]
    if statuses:
        return statuses[-1] >= _SERVER_ERROR or statuses[-1] in _BUSY
    first = chain[-1]
    if isinstance(first, OSError) and first.errno in _LASTING_ERRNO:
        return False
    return isinstance(first, Exception) and not isinstance(first, _LASTING)


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """The exception, what it was raised from, and so on; the last is what happened first."""
    yield exc
    cause = exc.__cause__
    if cause is None and isinstance(exc, _LASTING) and not exc.__suppress_context__:
        # A mistake in how a store's library handles a failure hides that failure.
        cause = exc.__context__
    if cause is not None:
        yield from _causes(cause)


def _http_status(exc: BaseException) -> int:
    """Of an HTTP library's exception, or of botocore's; else 0."""
    response = getattr(exc, "response", None)
    told = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    for status in (told.get("HTTPStatusCode"), *(getattr(exc, n, None) for n in _STATUS_NAMES)):
        if isinstance(status, int):
            return status
    return 0


def retried(call: Callable[[], T], told: str) -> T:
    """What ``call`` returns; while the medium fails, it is tried again after a pause.

    Args:
        call: stands for one whole attempt.
        told: begins the message, ``<what>: cannot be <done>``.

    Raises:
        UnreachableError: every attempt failed; any other exception is that of ``call``.
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
            f"{told} ({oneline(list(_causes(exc))[-1])}), tried {ATTEMPTS} times; check the network"
            " and what serves it, then run the same command again"
        ) from exc


def oneline(exc: BaseException) -> str:
    """The message of an exception without line breaks."""
    return " ".join(str(exc).split()) or type(exc).__name__


def read_bytes(uri: str, end: int | None = None) -> bytes:
    """A small file, or its first ``end`` bytes.

    Raises:
        UnreachableError: the medium failed; any other exception is about the file.
    """

    def attempt() -> bytes:
        if "://" not in uri:
            with Path(uri).open("rb") as file:
                return file.read(-1 if end is None else end)
        found, path = filesystem(uri)
        num_bytes = found.info(path).get("size")
        data = bytes(found.cat_file(path, end=end))
        if num_bytes is not None and end is not None:
            num_bytes = min(num_bytes, end)
        check_length(data, num_bytes)
        return data[:end]

    return retried(attempt, f"{uri}: cannot be read")


def check_length(data: bytes, num_bytes: int | None) -> None:
    """Refuse an answer that is shorter than it must be; None: nobody knows how long.

    Raises:
        OSError: it is; transient.
    """
    if num_bytes is not None and len(data) < num_bytes:
        raise OSError(errno.EIO, f"{len(data)} bytes came instead of {num_bytes}")
