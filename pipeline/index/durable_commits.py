"""Makes commits on a local disk survive a power cut; errors of the table library become own ones.

The table library does not sync the files it writes. Object stores answer only when a write is safe.
"""

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from pipeline.errors import IndexDamagedError, IndexFullError

_MAX_CAUSE_CHARS = 500
_FULL = (errno.ENOSPC, errno.EDQUOT)


# The table library writes colour codes into its error messages.
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


@contextmanager
def synced(table: DeltaTable) -> Iterator[DeltaTable]:
    """At the end, sync to the local disk all that was committed inside through this handle.

    Raises:
        IndexFullError: there is no space left.
        IndexDamagedError: the table library refuses what stands in the log.
    """
    with refusals(table.table_uri), named_if_full(table.table_uri):
        since = table.version()
        yield table
        sync_commits(table, since)


@contextmanager
def named_if_full(where: str) -> Iterator[None]:
    """Turn the error of a full disk into IndexFullError.

    Raises:
        IndexFullError: there is no space left; the write inside did not take effect.
    """
    try:
        yield
    except (OSError, DeltaError) as exc:
        for code in _FULL:
            # The table library gives the cause only as text, which is the same on all systems.
            if f"os error {code})" in str(exc) or getattr(exc, "errno", None) == code:
                raise IndexFullError(where, os.strerror(code)) from exc
        raise


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


def cause_of(exc: BaseException) -> str:
    """The message of the table library on one line, bounded: it may quote a whole log entry."""
    return " ".join(_COLOURS.sub("", str(exc)).split())[:_MAX_CAUSE_CHARS]


def sync_commits(table: DeltaTable, since: int) -> None:
    """Sync the files that commits after version ``since`` wrote, and a checkpoint of the last one.

    Data files come first, then their log entries, then the folders that list both.
    """
    folder = local_folder(table)
    if folder is None:
        return
    log = folder / "_delta_log"
    entries = [log / f"{version:020}.json" for version in range(since + 1, table.version() + 1)]
    entries = [entry for entry in entries if entry.exists()]
    data = [folder / path for entry in entries for path in _added(entry)]
    checkpoints = [log / f"{table.version():020}.checkpoint.parquet", log / "_last_checkpoint"]
    written = [*data, *entries, *(path for path in checkpoints if path.exists())]
    for path in written:
        _sync(path)
    for parent in {path.parent for path in written} | {folder, folder.parent}:
        _sync(parent)


def local_folder(table: DeltaTable) -> Path | None:
    """The folder of the table, if it is on a local file system."""
    url = urlparse(table.table_uri)
    return Path(unquote(url.path)) if url.scheme in {"", "file"} else None


def _added(entry: Path) -> list[str]:
    actions = [json.loads(line) for line in entry.read_bytes().splitlines()]
    return [unquote(action["add"]["path"]) for action in actions if "add" in action]


def _sync(path: Path) -> None:
    try:
        opened = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return  # another writer has replaced and removed it since
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
