"""Which files lie beside a recording."""

from functools import partial
from pathlib import Path

from pipeline.records.sanitize import storable
from pipeline.storage import retry
from pipeline.storage.access import HTTP_PORTS, Access, is_remote, local_path, scheme_of
from pipeline.storage.locations import filesystem


def names_beside(uri: str, access: Access) -> list[str]:
    """The names in the folder of a recording; none on a web server, which lists no folders.

    Names that no table can hold are left out, as they are no Unicode.

    Raises:
        UnreachableError: the medium does not answer.
    """
    folder = uri.rpartition("/")[0]
    names = retry.retried(partial(_names, folder, access), f"{folder}: cannot be listed")
    return [name for name in names if storable(name) == name]


def _names(folder: str, access: Access) -> list[str]:
    if not is_remote(folder):
        return [path.name for path in Path(local_path(folder)).iterdir()]
    if scheme_of(folder) in HTTP_PORTS:
        return []
    store, path = filesystem(folder, access)
    return [entry.rpartition("/")[2] for entry in store.ls(path, detail=False)]
