"""One video as a file object for FFmpeg, whose medium may fail: a store, a mount, a disk.

FFmpeg takes a read that fails for the end of the file, or for damage. So every read goes through
Python, which tells these apart, and what the medium did is remembered.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from pipeline.errors import SourceError, TimereelError, UnreachableError
from pipeline.processes.watchdog import extend_limit, limit_s
from pipeline.storage import retry

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BLOCK_BYTES = 2 * 1024 * 1024
_MAX_BLOCKS = 8
# A call that stalls, and the block ahead of it that stalls too, must end before the alarm rings.
_CALLS_PER_ALARM = 4

File: TypeAlias = BinaryIO | Any  # fsspec file objects are not typed


def is_remote(uri: str) -> bool:
    """Whether ``uri`` is a URL that fsspec reads, and not a path of this machine."""
    return bool(_SCHEME.match(uri)) and not uri.startswith("file://")


def local_path(uri: str) -> Path:
    """The path of a local ``uri``."""
    return Path(uri.removeprefix("file://"))


class MediumFile:
    """A file object that opens its file anew, and reads on, when the medium fails.

    Once the attempts are used up it stays failed: whatever FFmpeg makes of that, ``check`` tells.
    """

    def __init__(self, uri: str, num_bytes: int = 0) -> None:
        self.name = uri
        self._file: File = None
        self._at = 0
        self._version: tuple[object, ...] = (num_bytes,) if num_bytes else ()
        """Length and etag, as far as they are known: every opening must find the same."""
        self._failure: TimereelError | None = None
        try:
            retry.retried(self._open, f"{uri}: cannot be opened")
        except TimereelError:
            raise
        except Exception as exc:  # each store has its own
            raise SourceError(
                f"{uri}: cannot be opened ({retry.oneline(exc)}); check the address"
                " and your access to it"
            ) from exc
        self.num_bytes = self._length()
        """None where a server does not say."""

    def check(self) -> None:
        """Raise what the medium did, if it failed."""
        if self._failure is not None:
            raise self._failure

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, fewer only at the end of the file."""
        self.check()
        told = f"{self.name}: reading broke off"
        try:
            return retry.retried(partial(self._read, size), told)
        except UnreachableError as exc:
            self._failure = exc
            raise
        except Exception as exc:
            self._failure = SourceError(f"{told} ({retry.oneline(exc)}); check your access to it")
            raise self._failure from exc

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Where the next read begins; nothing is asked of the medium."""
        if whence == os.SEEK_END:
            if self.num_bytes is None:
                raise ValueError(f"{self.name}: its server does not say how long it is")
            offset += self.num_bytes
        elif whence == os.SEEK_CUR:
            offset += self._at
        self._at = offset
        return offset

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _read(self, size: int) -> bytes:
        extend_limit()
        try:
            if self._file is None:
                self._open()
            self._file.seek(self._at)
            data = bytes(self._file.read(size))
            if self.num_bytes is not None:
                retry.check_length(data, max(0, min(size, self.num_bytes - self._at)))
        except Exception:
            self.close()  # and its cache, which may hold a block that came short
            raise
        self._at += len(data)
        return data

    def _open(self) -> None:
        extend_limit()
        if is_remote(self.name):
            filesystem, path = retry.filesystem(self.name, _limit_s())
            self._file = filesystem.open(
                path,
                "rb",
                block_size=_BLOCK_BYTES,
                cache_type="background",  # blocks, and always the next one ahead
                cache_options={"maxblocks": _MAX_BLOCKS},
            )
        else:
            self._file = local_path(self.name).open("rb")
        found = self._length(), _etag(self._file)
        if any(was != now for was, now in zip(self._version, found, strict=False)):
            self.close()
            raise OSError(f"it has changed: length and etag are {found}, not {self._version}")
        self._version = found

    def _length(self) -> int | None:
        if not is_remote(self.name):
            return os.fstat(self._file.fileno()).st_size
        size: int | None = getattr(self._file, "size", None)
        return size


def _limit_s() -> float:
    alarm_s = limit_s()
    return min(retry.LIMIT_S, alarm_s / _CALLS_PER_ALARM) if alarm_s else retry.LIMIT_S


def _etag(file: File) -> str:
    details = getattr(file, "details", None) or {}
    return str(details.get("ETag") or details.get("etag") or "")


@contextmanager
def open_file(uri: str, num_bytes: int = 0) -> Iterator[MediumFile]:
    """The file for reading; what it failed at takes precedence over what came of that.

    Raises:
        SourceError: it cannot be a video, or may not be read.
        UnreachableError: where it lies does not answer.
    """
    if not is_remote(uri):
        _check_local(uri)
    with closing(MediumFile(uri, num_bytes if is_remote(uri) else 0)) as file:
        if file.num_bytes == 0:
            raise SourceError(f"{uri}: is empty (0 bytes); nothing was recorded, delete it")
        try:
            yield file
        except Exception:
            file.check()
            raise
        file.check()


def _check_local(uri: str) -> None:
    path = local_path(uri)
    try:
        found = retry.retried(path.stat, f"{uri}: cannot be read")
    except OSError as exc:
        raise SourceError(f"{uri}: cannot be read ({exc.strerror}); check the path") from exc
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or pipe"
        raise SourceError(f"{uri}: is {kind}, not a file; name the video files themselves")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{uri}: may not be read; change its permissions")
