"""What commits have changed in a table: the files that came and went between two versions."""

from dataclasses import dataclass

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipeline.index.data_files import data_files, data_paths
from pipeline.index.store import Store
from pipeline.tables.schema import TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Between a version that was seen before and the newest one. Files also hold unchanged rows."""

    version: int
    """The newest."""
    added: list[str]
    removed: list[str] | None
    """None if the earlier version is not known any more: then all files count as added."""


def changes(store: Store, name: TableName, since: int | None) -> Changes:
    """The files of the newest version that were not there in version ``since``, and the reverse."""
    handle = store.handle(name)
    now = _paths(store, name, handle)
    before = None if since is None else _paths_at(store, name, since, handle.version())
    if before is None:
        return Changes(version=handle.version(), added=sorted(now), removed=None)
    removed = sorted(before - now)
    filesystem = store.filesystem()
    if not all(map(filesystem.exists, removed)):  # a vacuum has removed them
        return Changes(version=handle.version(), added=sorted(now), removed=None)
    return Changes(version=handle.version(), added=sorted(now - before), removed=removed)


def _paths_at(store: Store, name: TableName, version: int, newest: int) -> set[str] | None:
    if version > newest:  # a repair has made the table anew
        return None
    try:
        handle = store.table_at(name, version)
    except DeltaError:  # its log entries are deleted
        return None
    return _paths(store, name, handle)


def _paths(store: Store, name: TableName, handle: DeltaTable) -> set[str]:
    return set(data_paths(store, name, data_files(handle)))
