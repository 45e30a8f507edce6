"""Shortens the transaction log of a table: a checkpoint replaces the log entries before it."""

import re
from datetime import UTC, datetime
from typing import Any

from pipeline.index.durable_commits import synced
from pipeline.index.store import Store
from pipeline.tables.schema import TableName

_VERSION = re.compile(r"(\d{20})\.")


def clean_log(store: Store, name: TableName, *, before: datetime) -> int:
    """Write a checkpoint, and delete log entries that are older than it and than ``before``.

    Such entries still name removed files, with the bounds of the rows that were in them.

    Returns:
        Number of deleted entries.
    """
    with synced(store.handle(name)) as table:
        table.create_checkpoint()
    filesystem = store.filesystem()
    entries = filesystem.find(f"{store.table_uri(name)}/_delta_log", detail=True)
    deleted = 0
    # The oldest entry first, so that the remaining entries have no gap.
    for path, details in sorted(entries.items()):
        version = _VERSION.match(path.rpartition("/")[2])
        if version is None:
            continue
        if int(version[1]) >= table.version() or _modified(details) > before:
            break
        filesystem.rm_file(path)
        deleted += 1
    return deleted


def _modified(details: dict[str, Any]) -> datetime:
    at = details.get("LastModified") or details.get("mtime") or details["created"]
    return at if isinstance(at, datetime) else datetime.fromtimestamp(at, tz=UTC)
