"""Retries: a store or a mount may fail for a while, which says nothing about a file on it.

is_transient    whether the medium caused an error, so that the same call may succeed later
retried         makes a call again while the medium fails
check_length    refuses an answer that is too short
"""

import errno
from collections.abc import Callable, Iterator
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from pipeline.errors import SourceError, TimereelError, UnreachableError
from pipeline.storage.secret import without_credentials

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
# Of botocore, which only S3 needs. No answer was asked for, and waiting brings no credentials.
_NO_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"})
_PERMANENT_ERRNO = frozenset({errno.EINVAL, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO})

T = TypeVar("T")

_retries: list[None] = []
"""One item per retry of this process; to append is safe among threads."""


def is_transient(exc: BaseException) -> bool:
    """Whether the medium failed: connections, 5xx, 429, time limits, short answers, stale handles.

    Each store has its own exceptions, so every error counts as transient that is not known to be
    permanent. fsspec reports a file as missing when its server fails, so the first cause decides.
    """
    chain = list(_causes(exc))
    statuses = [status for cause in chain if (status := _http_status(cause))]
    if statuses:
        return statuses[-1] >= _SERVER_ERROR or statuses[-1] in _BUSY
    if any(getattr(cause, "history", ()) for cause in chain):
        return False  # redirects that lead round in a circle have no status
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

    Without credentials it is called once.

    Args:
        call: makes one whole attempt.
        message: begins the error message, as ``<file>: cannot be <done>``.

    Raises:
        UnreachableError: the medium failed at every attempt, or nobody gave credentials for it.
            ``call`` raises any other exception.
    """
    attempts = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=PAUSE,
        retry=retry_if_exception(lambda exc: is_transient(exc) and not _lacks_credentials(exc)),
        before_sleep=_count,
        reraise=True,
    )
    try:
        return attempts(call)
    except Exception as exc:
        first = list(_causes(exc))[-1]
        if isinstance(first, SourceError) and first is not exc:
            raise first from exc  # fsspec reports a file as missing that may not be opened
        if not is_transient(exc):
            raise
        if _lacks_credentials(exc):
            raise UnreachableError(
                f"{message} ({oneline(first)}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or"
                " AWS_PROFILE, then run the same command again"
            ) from exc
        raise UnreachableError(
            f"{message} ({oneline(first)}), tried {ATTEMPTS} times; check the"
            " network and the server, then run the same command again"
        ) from exc


def _lacks_credentials(exc: BaseException) -> bool:
    return any(type(cause).__name__ in _NO_CREDENTIALS for cause in _causes(exc))


def _count(_: RetryCallState) -> None:
    _retries.append(None)


def take_num_retries() -> int:
    """How many calls ``retried`` has made again in this process since this was asked last."""
    num = len(_retries)
    del _retries[:num]
    return num


def oneline(exc: BaseException) -> str:
    """The message of an exception without line breaks, and without credentials that it quotes."""
    return " ".join(without_credentials(str(exc)).split()) or type(exc).__name__


def check_length(data: bytes, num_bytes: int | None) -> None:
    """Refuse an answer that is shorter than ``num_bytes``; None means that the length is unknown.

    Raises:
        OSError: the answer is too short; this is transient.
    """
    if num_bytes is not None and len(data) < num_bytes:
        raise OSError(errno.EIO, f"{len(data)} bytes arrived instead of {num_bytes}")
