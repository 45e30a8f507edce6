"""The log of a table, made short: what a checkpoint holds need not be read commit by commit."""

import re
from datetime import UTC, datetime
from typing import Any

from pipeline.index.durable_commits import synced
from pipeline.index.store import Store
from pipeline.tables.schema import TableName

_VERSION = re.compile(r"(\d{20})\.")


def clean_log(store: Store, name: TableName, *, before: datetime) -> int:
    """Write a checkpoint, and delete entries that are older than it and than ``before``.

    They name files that are gone, with the bounds of the rows that were in them.

    Returns:
        Number of deleted entries.
    """
    with synced(store.handle(name)) as table:
        table.create_checkpoint()
    filesystem = store.filesystem()
    entries = filesystem.find(f"{store.table_uri(name)}/_delta_log", detail=True)
    deleted = 0
    # From the oldest on, so that those that stay follow each other without a gap.
    for path, facts in sorted(entries.items()):
        version = _VERSION.match(path.rpartition("/")[2])
        if version is None:
            continue
        if int(version[1]) >= table.version() or _modified(facts) > before:
            break
        filesystem.rm_file(path)
        deleted += 1
    return deleted


def _modified(facts: dict[str, Any]) -> datetime:
    at = facts.get("LastModified") or facts.get("mtime") or facts["created"]
    return at if isinstance(at, datetime) else datetime.fromtimestamp(at, tz=UTC)
