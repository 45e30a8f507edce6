"""Makes commits on a local disk survive a power cut.

The table library does not sync the files it writes. Object stores answer only when a write is safe.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

from deltalake import DeltaTable

from pipeline.index.store_errors import named_if_unwritable, refusals


@contextmanager
def synced(table: DeltaTable) -> Iterator[DeltaTable]:
    """At the end, sync to the local disk all that was committed inside through this handle.

    Raises:
        IndexFullError: there is no space left.
        IndexRightsError: this user may not write there.
        IndexDamagedError: the table library refuses what stands in the log.
    """
    where = str(local_folder(table) or table.table_uri)
    with refusals(table.table_uri), named_if_unwritable(where):
        since = table.version()
        yield table
        sync_commits(table, since)


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
