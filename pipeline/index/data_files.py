"""The data files that a log names; a log may come from somebody else, so each name is checked.

A name is one that timereel gives its files, below the table's own folder. Any other is refused
(absolute, with a scheme, climbing with ``..``, a pattern, an encoded path), and so is one that
leads over a symbolic link: whoever reads, changes or exports the table would touch files that are
not part of it.
"""

from collections.abc import Collection, Iterable

import pyarrow as pa
from deltalake import DeltaTable

from pipeline.errors import IndexDamagedError
from pipeline.index.durable_commits import local_folder
from pipeline.index.links import over_odd
from pipeline.index.log_entries import names_data_file
from pipeline.index.store import Store
from pipeline.index.store_errors import refusals, refusing_values
from pipeline.tables.schema import TableName

_checked: dict[str, frozenset[str]] = {}
"""By table, its files at the last commit of this process: to check 10,000 takes 20 ms."""


def data_files(handle: DeltaTable) -> pa.Table:
    """One row per data file of the handle's version: its ``path`` in the table, its statistics.

    Raises:
        IndexDamagedError: the log names what is no file of the table, or one behind a link, or
            cannot be understood.
    """
    files = _actions(handle)
    _refuse_other_places(handle, files["path"].to_pylist())
    return files


def paths_for_commit(handle: DeltaTable) -> frozenset[str]:
    """The paths of ``data_files``; of those only what is new since this process asked is checked.

    Raises:
        IndexDamagedError: as ``data_files``.
    """
    paths = frozenset(_actions(handle)["path"].to_pylist())
    _refuse_other_places(handle, paths - _checked.get(handle.table_uri, frozenset()))
    _checked[handle.table_uri] = paths
    return paths


def named_files(handle: DeltaTable) -> pa.Table:
    """As ``data_files``, but a file may lie behind a link."""
    files = _actions(handle)
    _refuse_other_names(handle, files["path"].to_pylist())
    return files


def _actions(handle: DeltaTable) -> pa.Table:
    # Not pa.table(): to find out what it is given it imports pandas, a third of a query's time.
    with refusals(handle.table_uri), refusing_values():
        return pa.RecordBatchReader.from_stream(handle.get_add_actions(flatten=True)).read_all()


def _refuse_other_names(handle: DeltaTable, paths: Iterable[str]) -> None:
    for path in paths:
        if not names_data_file(path):
            raise _no_file(handle, path)


def _refuse_other_places(handle: DeltaTable, paths: Collection[str]) -> None:
    _refuse_other_names(handle, paths)
    folder = local_folder(handle)
    if folder is not None and (odd := over_odd(folder, paths)):
        raise _no_file(handle, odd[0])


def data_paths(store: Store, name: TableName, files: pa.Table) -> list[str]:
    """Where the files of ``data_files`` lie."""
    # Not DeltaTable.file_uris(): it percent-encodes the folder's own name.
    return [f"{store.table_uri(name)}/{path}" for path in files["path"].to_pylist()]


def _no_file(handle: DeltaTable, path: str) -> IndexDamagedError:
    root, _, name = str(local_folder(handle) or handle.table_uri.rstrip("/")).rpartition("/")
    return IndexDamagedError(
        root, f"the log of {name} names what is no file of the table, {path[:200]!r}"
    )
