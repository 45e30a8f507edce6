"""The data files that a log names; a log may come from somebody else, so each name is checked.

A name is a path below the table's own folder. One that is absolute, has a scheme, climbs with
``..``, or leads over a symbolic link is refused: whoever reads, changes or exports the table would
touch files that are not part of it.
"""

import pyarrow as pa
from deltalake import DeltaTable

from pipeline.errors import IndexDamagedError
from pipeline.index.durable_commits import local_folder, refusals
from pipeline.index.links import over_links
from pipeline.index.log_entries import leads_out
from pipeline.index.store import Store
from pipeline.tables.schema import TableName


def data_files(handle: DeltaTable) -> pa.Table:
    """One row per data file of the handle's version: its ``path`` in the table, its statistics.

    Raises:
        IndexDamagedError: the log names a file outside of the table, or one behind a link, or
            cannot be understood.
    """
    files = named_files(handle)
    paths, folder = files["path"].to_pylist(), local_folder(handle)
    if folder is not None and (linked := over_links(folder, paths)):
        raise _outside(handle, linked[0])
    return files


def named_files(handle: DeltaTable) -> pa.Table:
    """As ``data_files``, but a file may lie behind a link."""
    # Not pa.table(): to find out what it is given it imports pandas, a third of a query's time.
    with refusals(handle.table_uri):
        files = pa.RecordBatchReader.from_stream(handle.get_add_actions(flatten=True)).read_all()
    if leading_out := list(filter(leads_out, files["path"].to_pylist())):
        raise _outside(handle, leading_out[0])
    return files


def data_paths(store: Store, name: TableName, files: pa.Table) -> list[str]:
    """Where the files of ``data_files`` lie."""
    # Not DeltaTable.file_uris(): it percent-encodes the folder's own name.
    return [f"{store.table_uri(name)}/{path}" for path in files["path"].to_pylist()]


def _outside(handle: DeltaTable, path: str) -> IndexDamagedError:
    root, _, name = str(local_folder(handle) or handle.table_uri.rstrip("/")).rpartition("/")
    return IndexDamagedError(
        root, f"the log of {name} names a file outside of the table, {path[:200]!r}"
    )
