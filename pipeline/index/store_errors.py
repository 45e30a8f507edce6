"""Errors of a disk, of a bucket and of the table library become own ones, which name the way out.

What this user may not read or write is closed, and not damaged: a repair would move it away.
"""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal
from urllib.parse import unquote

from deltalake.exceptions import CommitFailedError, DeltaError

from pipeline.errors import IndexDamagedError, IndexFullError, IndexRightsError
from pipeline.index.links import is_odd
from pipeline.storage.secret import without_credentials
from pipeline.tables.schema import TABLES

_MAX_CAUSE_CHARS = 500
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
# The words of the table library and of fsspec where a bucket answers 401 or 403.
_CLOSED_BUCKET = re.compile("necessary privileges|valid authentication|Access ?Denied|Forbidden")

# The table library writes colour codes into its error messages.
_COLOURS = re.compile("\x1b\\[[0-9;]*m")
# A file that it writes has such a number at its end, until it is whole.
_NAMED = re.compile(r"\b(?:file|dir) (/.+?)(?:#[0-9]+)?: ")


@contextmanager
def named_if_unwritable(where: str) -> Iterator[None]:
    """Turn the errors of a full disk, and of a user without rights, into own ones.

    Raises:
        IndexFullError: there is no space left; the write inside did not take effect.
        IndexRightsError: this user may not write there.
    """
    try:
        yield
    except (OSError, DeltaError) as exc:
        if code := _code_in(exc, _FULL):
            raise IndexFullError(where, os.strerror(code)) from exc
        if cause := _closed(exc):
            raise _no_right("write", _named_in(exc) or where, cause) from exc
        raise


@contextmanager
def refusing_values() -> Iterator[None]:
    """Around the table library while it reads a log, and nothing else.

    Raises:
        DeltaError: also for a value in the log that the library does not expect.
    """
    try:
        yield
    except ValueError as exc:
        raise DeltaError(str(exc)) from exc


@contextmanager
def refusals(table_uri: str) -> Iterator[None]:
    """Turn the table library's refusal of a log into an error that names the table.

    Raises:
        IndexDamagedError: something in the log is not as it must be. A lost race stays as it is.
    """
    try:
        yield
    except CommitFailedError:
        raise
    except DeltaError as exc:
        root, _, name = unquote(table_uri.removeprefix("file://").rstrip("/")).rpartition("/")
        raise IndexDamagedError(root, f"{name}: its log is refused ({cause_of(exc)})") from exc


def cause_of(exc: BaseException, options: Mapping[str, str] | None = None) -> str:
    """The message of the table library on one line, bounded: it may quote a whole log entry.

    What a server says may quote its credentials, of the environment or of ``options``: they go.
    """
    text = without_credentials(_COLOURS.sub("", str(exc)), options)
    return " ".join(text.split())[:_MAX_CAUSE_CHARS]


def refuse_closed(path: str, exc: Exception | None = None) -> None:
    """Refuse a file that this user may not read; ``exc`` is what came of reading it.

    Raises:
        IndexRightsError: this user has no right to read it.
    """
    # What an error says about a file may quote its name, so a file on a disk is asked itself.
    found = exc if "://" in path else _error_of_opening(path)
    if found and (cause := _closed(found)):
        raise _no_right("read", path, cause) from exc


def refuse_closed_index(root: str, *, to_write: bool) -> None:
    """Refuse an index on a disk if this user may not read each file of its tables.

    Raises:
        IndexRightsError: the first file or folder to which the right is missing.
    """
    for name in TABLES:
        table = f"{root}/{name}"
        # A link leads out of the index: who reads the table refuses it. Path.is_symlink() raises
        # where this user may not look.
        if not os.path.islink(table):  # noqa: PTH114
            _refuse_closed_table(table, to_write=to_write)
    if to_write:
        _refuse_unwritable(root)


def _refuse_closed_table(table: str, *, to_write: bool) -> None:
    for folder, _, files in os.walk(table, onerror=_refuse_folder):
        for file in files:
            refuse_closed(f"{folder}/{file}")
        if to_write:
            _refuse_unwritable(folder)


def _refuse_folder(exc: OSError) -> None:
    if cause := _closed(exc):
        raise _no_right("read", exc.filename, cause) from exc


def _refuse_unwritable(folder: str) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _no_right("write", folder, "it is read-only")


def _error_of_opening(path: str) -> OSError | None:
    try:
        if not is_odd(os.lstat(path).st_mode):
            os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW))
    except OSError as exc:
        return exc
    return None


def _code_in(exc: BaseException, codes: tuple[int, ...]) -> int | None:
    # The table library gives the cause only as text, which is the same on all systems.
    text, number = str(exc), getattr(exc, "errno", None)
    return next((code for code in codes if number == code or f"os error {code})" in text), None)


def _closed(exc: BaseException) -> str:
    """The cause, if an error says that this user has no right; else ""."""
    if code := _code_in(exc, _CLOSED):
        return os.strerror(code)
    is_closed = isinstance(exc, PermissionError) or _CLOSED_BUCKET.search(str(exc))
    return "access denied" if is_closed else ""


def _named_in(exc: BaseException) -> str:
    found = _NAMED.search(str(exc))
    return getattr(exc, "filename", None) or (found[1] if found else "")


def _no_right(to: Literal["read", "write"], where: str, cause: str) -> IndexRightsError:
    return IndexRightsError(
        f"no right to {to} {where} ({cause}); run this as a user who has the right, or give it to"
        " this one; no damage of the index is known"
    )
