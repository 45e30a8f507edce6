"""Tells whether anybody opened, changed or removed a file; the kernel (inotify) says it."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ACCESS, _MODIFY, _ATTRIB, _MOVED, _CREATE, _DELETE, _OPEN = 0x1, 0x2, 0x4, 0xC0, 0x100, 0x200, 0x20
_ALL = _ACCESS | _MODIFY | _ATTRIB | _MOVED | _CREATE | _DELETE | _OPEN
_HEAD = struct.Struct("iIII")


class Watched:
    """Everything that was done with the files below ``root``, by any process."""

    def __init__(self, root: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._queue = libc.inotify_init1(os.O_NONBLOCK)
        assert self._queue >= 0, os.strerror(ctypes.get_errno())
        self._folders: dict[int, Path] = {}
        for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
            number = libc.inotify_add_watch(self._queue, os.fsencode(folder), _ALL)
            assert number >= 0, os.strerror(ctypes.get_errno())
            self._folders[number] = folder

    def taken(self) -> list[str]:
        """What was touched since the last call."""
        touched = []
        while data := self._read():
            at = 0
            while at < len(data):
                number, mask, _, size = _HEAD.unpack_from(data, at)
                name = data[at + _HEAD.size : at + _HEAD.size + size].rstrip(b"\0").decode()
                touched.append(f"{self._folders[number] / name} ({mask:#x})")
                at += _HEAD.size + size
        return touched

    def _read(self) -> bytes:
        try:
            return os.read(self._queue, 1 << 20)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self._queue)


@contextmanager
def watched(root: Path) -> Iterator[Watched]:
    """Watch all folders that are below ``root`` now."""
    watch = Watched(root)
    try:
        yield watch
    finally:
        watch.close()
