"""The data files that a log names; a log may come from somebody else, so each name is checked.

A name is a path below the table's own folder. One that is absolute, has a scheme, climbs with
``..``, or leads over a symbolic link is refused: whoever reads, compacts or exports the table would
touch files that are not part of it.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa
from deltalake import DeltaTable

from pipeline.errors import IndexDamagedError
from pipeline.index.log_entries import leads_out
from pipeline.index.store import Store
from pipeline.tables.schema import TableName


def data_files(store: Store, name: TableName, handle: DeltaTable) -> pa.Table:
    """One row per data file of the handle's version: its ``path`` in the table, its statistics.

    Raises:
        IndexDamagedError: the log names a file outside of the table.
    """
    # Not pa.table(): to find out what it is given it imports pandas, a third of a query's time.
    files = pa.RecordBatchReader.from_stream(handle.get_add_actions(flatten=True)).read_all()
    check_names(store, name, files["path"].to_pylist())
    return files


def data_paths(store: Store, name: TableName, files: pa.Table) -> list[str]:
    """Where the files of ``data_files`` lie."""
    # Not DeltaTable.file_uris(): it percent-encodes the folder's own name.
    return [f"{store.table_uri(name)}/{path}" for path in files["path"].to_pylist()]


def check_names(store: Store, name: TableName, paths: Sequence[str]) -> None:
    """Refuse names that lead out of the table.

    Raises:
        IndexDamagedError: names the table and the file.
    """
    strange = [path for path in paths if leads_out(path)]
    if not strange and store.is_local:
        strange = over_links(Path(store.table_uri(name)), paths)
    if strange:
        raise IndexDamagedError(
            store.root, f"the log of {name} names a file outside of the table, {strange[0]!r}"
        )


def over_links(folder: Path, paths: Iterable[str]) -> list[str]:
    """The paths below a local folder that are symbolic links, or lie behind one."""
    links: dict[PurePosixPath, frozenset[str]] = {}

    def is_link(path: PurePosixPath) -> bool:
        if path.parent not in links:
            links[path.parent] = _links_in(folder / path.parent)
        return path.name in links[path.parent]

    return [
        path
        for path in paths
        if any(is_link(part) for part in (PurePosixPath(path), *PurePosixPath(path).parents[:-1]))
    ]


def _links_in(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_symlink())
    except OSError:  # a file that is not there is named by whoever reads it
        return frozenset()
