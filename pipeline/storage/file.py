"""One video as a file object for FFmpeg; its medium (a store, a mount, a disk) may fail.

FFmpeg treats a failed read as the end of the file, or as damage. So every read goes through Python,
which can distinguish these cases, and the file object remembers that its medium failed.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from pipeline.errors import SourceError, TimereelError, UnreachableError
from pipeline.processes.watchdog import extend_limit, limit_s
from pipeline.storage import locations, retry
from pipeline.storage.access import PUBLIC, Access, check, is_remote, local_path

_BLOCK_BYTES = 2 * 1024 * 1024
_MAX_BLOCKS = 8
# A call may stall, and so may the read-ahead of the next block. Both must time out before the
# watchdog ends the process.
_CALLS_PER_WATCHDOG_LIMIT = 4

File: TypeAlias = BinaryIO | Any  # fsspec file objects are not typed


class MediumFile:
    """A file object that reopens its file and continues to read after the medium failed.

    After the last attempt it stays failed. ``check`` raises that failure, whatever FFmpeg made of
    the failed read.
    """

    def __init__(self, uri: str, num_bytes: int = 0, access: Access = PUBLIC) -> None:
        self.name = uri
        self._access = access
        self._file: File = None
        self._offset = 0
        self._version: tuple[object, ...] = (num_bytes,) if num_bytes else ()
        """Length and etag, where known; they must be the same each time the file is opened."""
        self._failure: TimereelError | None = None
        try:
            retry.retried(self._open, f"{uri}: cannot be opened")
        except TimereelError:
            raise
        except Exception as exc:  # each store has its own exceptions
            raise SourceError(
                f"{uri}: cannot be opened ({retry.oneline(exc)}); check the address"
                " and your access to it"
            ) from exc
        self.num_bytes = self._length()
        """None if the server does not report a length."""

    def check(self) -> None:
        """Raise the failure of the medium, if it failed."""
        if self._failure is not None:
            raise self._failure

    def read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes, or fewer at the end of the file."""
        self.check()
        message = f"{self.name}: reading failed"
        try:
            return retry.retried(partial(self._read, size), message)
        except UnreachableError as exc:
            self._failure = exc
            raise
        except Exception as exc:
            self._failure = SourceError(
                f"{message} ({retry.oneline(exc)}); check your access to it"
            )
            raise self._failure from exc

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set and return the offset of the next read; this does not access the medium."""
        if whence == os.SEEK_END:
            if self.num_bytes is None:
                raise ValueError(f"{self.name}: the server does not report its length")
            offset += self.num_bytes
        elif whence == os.SEEK_CUR:
            offset += self._offset
        self._offset = offset
        return offset

    def tell(self) -> int:
        """Offset of the next read."""
        return self._offset

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _read(self, size: int) -> bytes:
        extend_limit()
        try:
            if self._file is None:
                self._open()
            self._file.seek(self._offset)
            data = bytes(self._file.read(size))
            if self.num_bytes is not None:
                retry.check_length(data, max(0, min(size, self.num_bytes - self._offset)))
        except Exception:
            self.close()  # this drops its cache too, which may hold a short block
            raise
        self._offset += len(data)
        return data

    def _open(self) -> None:
        extend_limit()
        if is_remote(self.name):
            filesystem, path = locations.filesystem(self.name, self._access, _limit_s())
            self._file = filesystem.open(
                path,
                "rb",
                block_size=_BLOCK_BYTES,
                cache_type="background",  # caches blocks, and reads the next one ahead
                cache_options={"maxblocks": _MAX_BLOCKS},
            )
        else:
            self._file = locations.open_local(self.name, self._access)
        version = self._length(), _etag(self._file)
        if any(old != new for old, new in zip(self._version, version, strict=False)):
            self.close()
            raise OSError(f"it has changed: length and etag are {version}, not {self._version}")
        self._version = version

    def _length(self) -> int | None:
        if not is_remote(self.name):
            return os.fstat(self._file.fileno()).st_size
        size: int | None = getattr(self._file, "size", None)
        return size


def _limit_s() -> float:
    watchdog_s = limit_s()
    if not watchdog_s:
        return retry.LIMIT_S
    return min(retry.LIMIT_S, watchdog_s / _CALLS_PER_WATCHDOG_LIMIT)


def _etag(file: File) -> str:
    details = getattr(file, "details", None) or {}
    return str(details.get("ETag") or details.get("etag") or "")


@contextmanager
def open_file(uri: str, num_bytes: int = 0, access: Access = PUBLIC) -> Iterator[MediumFile]:
    """Open a file for reading.

    If the medium fails, its failure replaces the exception that FFmpeg raises as a result.

    Raises:
        SourceError: the file cannot be a video, or the user may not read it.
        UnreachableError: the medium does not answer.
    """
    check(uri, access)  # before anything tells whether there is such a file
    if not is_remote(uri):
        _check_local(uri)
    with closing(MediumFile(uri, num_bytes if is_remote(uri) else 0, access)) as file:
        if file.num_bytes == 0:
            raise SourceError(f"{uri}: is empty (0 bytes); nothing was recorded, delete it")
        try:
            yield file
        except Exception:
            file.check()
            raise
        file.check()


def _check_local(uri: str) -> None:
    path = Path(local_path(uri))
    try:
        status = retry.retried(path.stat, f"{uri}: cannot be read")
    except OSError as exc:
        raise SourceError(f"{uri}: cannot be read ({exc.strerror}); check the path") from exc
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or pipe"
        raise SourceError(f"{uri}: is {kind}, not a file; name the video files themselves")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{uri}: may not be read; change its permissions")
