"""Files beside the tables: n-gram index, rollup, pictures made on demand; damaged files."""

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

from pipeline.index.links import odd_files
from pipeline.index.store import DAMAGED, Store
from pipeline.index.store_errors import named_if_unwritable


def search_folder(store: Store) -> Path:
    """The folder of this user's n-gram index."""
    return _folder(store, "search")


def rollup_folder(store: Store) -> Path:
    """The folder of this user's rollup of events."""
    return _folder(store, "rollup")


def pictures_folder(store: Store) -> Path:
    """The folder of pictures that were made for this user from recordings."""
    return _folder(store, "pictures")


def _folder(store: Store, name: str) -> Path:
    folder = _in_index(store, name)
    if store.is_local:
        asked = folder if os.path.lexists(folder) else store.root
        # With the index may come links: what they lead to would be shown, or written over.
        if os.access(asked, os.R_OK | os.W_OK | os.X_OK) and not odd_files(folder):
            return folder
    return _in_cache(store, name)


def remove_sidecars(store: Store) -> dict[str, int]:
    """Remove everything beside the tables that may contain data of rows; return what existed.

    ``search`` counts the n-gram indexes on this machine: they keep the bytes of removed rows, and
    the next search rebuilds them. ``damaged`` counts the folder of files that a repair has moved
    away: these cannot be read, so nobody knows whose data they contain.

    Raises:
        IndexRightsError: this user may not remove them.
    """
    with named_if_unwritable(store.root):
        _remove_all(store, "rollup")
        _remove_all(store, "pictures")
        num_removed = _remove_all(store, "search")
        remove_linked_damaged(store)
        filesystem, damaged = store.filesystem(), f"{store.root}/{DAMAGED}"
        is_damaged = filesystem.exists(damaged)
        if is_damaged:
            filesystem.rm(damaged, recursive=True)
    return {"search": num_removed, "damaged": int(is_damaged)}


def _remove_all(store: Store, name: str) -> int:
    folders = [_in_index(store, name)] if store.is_local else []
    with suppress(ImportError):  # without platformdirs nobody could write to the cache
        folders.append(_in_cache(store, name))
    existing = [folder for folder in folders if folder.is_symlink() or folder.exists()]
    for folder in existing:
        if folder.is_symlink():  # what it leads to is not the index's
            folder.unlink()
        else:
            shutil.rmtree(folder)
    return len(existing)


def remove_linked_damaged(store: Store) -> None:
    """Remove the folder of damaged files if it is a link; what that leads to is not the index's."""
    if store.is_local and (damaged := Path(store.root, DAMAGED)).is_symlink():
        damaged.unlink()


def _in_index(store: Store, name: str) -> Path:
    return Path(store.root) / name


def _in_cache(store: Store, name: str) -> Path:
    import platformdirs  # noqa: PLC0415 - part of the extra `search`

    root = hashlib.blake2b(store.root.encode(), digest_size=8).hexdigest()
    return platformdirs.user_cache_path("timereel") / name / root
