"""The gate before a table: its log is checked before the table library opens what the log names.

A log may come from somebody else. The library opens data files, deletion vectors and parts of
checkpoints that a log names, wherever they lie. So each file of a log that the library will read is
read here first; once per process, as what stands in a log does not change.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from io import BytesIO
from typing import Protocol

from pipeline.index.links import LOG_FOLDER, ODD_FILE, is_odd
from pipeline.index.log_entries import HINT, LogFile, file_problem, gap, is_entry, version_in

_REMEMBERED = 4096


class _Log(Protocol):
    """The folder of a log, on a disk or in a store."""

    def names(self) -> Collection[str]: ...
    def problem(self, name: str) -> str: ...


def check_log(
    table_uri: str, storage_options: Mapping[str, str], after: int | None = None
) -> tuple[int, str]:
    """The newest version in a log, and the fault of a file that the library will read; "" if none.

    ``after`` is the version that a reader already has; it then reads all later entries, also those
    that a checkpoint includes.

    Raises:
        OSError: the store does not answer.
    """
    is_local = "://" not in table_uri
    log: _Log = _LocalLog(table_uri) if is_local else _RemoteLog(table_uri, storage_options)
    names = log.names()
    if is_local and HINT in names and log.problem(HINT):
        return -1, f"{HINT} {ODD_FILE}"
    files = _files(names)
    newest = _newest_checkpoint(files)
    first = newest if after is None else min(after, newest)
    for file in files:
        is_read = file.version == newest if file.is_checkpoint else file.version > first
        if is_read and (problem := log.problem(file.path)):
            return -1, f"{file.kind} {file.version} {problem}"
    # Two entries may be written while the folder is listed, and only the later one be seen.
    if _gap(files) and (fault := _gap(_files(log.names()))):
        return -1, fault
    return max((file.version for file in files), default=-1), ""


def _files(names: Collection[str]) -> list[LogFile]:
    return [
        LogFile(version, name, not is_entry(name), "")
        for name in names
        if (version := version_in(name)) is not None
    ]


def _newest_checkpoint(files: Iterable[LogFile]) -> int:
    return max((file.version for file in files if file.is_checkpoint), default=-1)


def _gap(files: Collection[LogFile]) -> str:
    entries = (file.version for file in files if not file.is_checkpoint)
    return gap(entries, _newest_checkpoint(files))


class _LocalLog:
    def __init__(self, table: str) -> None:
        self._folder = f"{table}/{LOG_FOLDER}"

    def names(self) -> Collection[str]:
        try:
            return sorted(os.listdir(self._folder))  # noqa: PTH208 - called for every commit
        except (FileNotFoundError, NotADirectoryError):
            return []

    def problem(self, name: str) -> str:
        path = f"{self._folder}/{name}"
        try:
            facts = os.lstat(path)
            if is_odd(facts.st_mode):
                return ODD_FILE
            if name == HINT:  # what it says is checked by the library, which reads it itself
                return ""
            return _local_problem(path, facts.st_ino, facts.st_size, facts.st_mtime_ns)
        except FileNotFoundError:  # deleted since it was listed, as a checkpoint includes it
            return ""


@lru_cache(maxsize=_REMEMBERED)
def _local_problem(path: str, _inode: int, _bytes: int, _modified_ns: int) -> str:
    with open(path, "rb") as file:  # noqa: PTH123 - called for every commit
        return file_problem(path.rpartition("/")[2], file)


class _RemoteLog:
    def __init__(self, table_uri: str, storage_options: Mapping[str, str]) -> None:
        from deltalake.fs import DeltaStorageHandler  # noqa: PLC0415 - a local query needs neither

        self._table_uri = table_uri
        self._options = tuple(sorted(storage_options.items()))
        self._handler = DeltaStorageHandler(table_uri, dict(storage_options))

    def names(self) -> Collection[str]:
        from pyarrow.fs import FileSelector  # noqa: PLC0415 - a local query needs none

        found = self._handler.get_file_info_selector(FileSelector(LOG_FOLDER, allow_not_found=True))
        self._stamps = {file.base_name: (file.size, file.mtime_ns) for file in found}
        return sorted(self._stamps)

    def problem(self, name: str) -> str:
        return _remote_problem(self._table_uri, self._options, name, *self._stamps[name])


@lru_cache(maxsize=_REMEMBERED)
def _remote_problem(
    table_uri: str, options: tuple[tuple[str, str], ...], name: str, _bytes: int, _modified_ns: int
) -> str:
    from deltalake.fs import DeltaStorageHandler  # noqa: PLC0415 - as above

    handler = DeltaStorageHandler(table_uri, dict(options))
    try:
        content = handler.open_input_file(f"{LOG_FOLDER}/{name}").read()
    except FileNotFoundError:  # deleted since it was listed, as a checkpoint includes it
        return ""
    return file_problem(name, BytesIO(content))
