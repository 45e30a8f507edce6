"""What lies beside the tables: what a search has read, in the index or a cache, and damage."""

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

from pipeline.index.store import DAMAGED, Store


def search_folder(store: Store) -> Path:
    """Where a search of this user makes its sidecar now."""
    if store.is_local and os.access(store.root, os.W_OK):
        return _in_index(store)
    return _in_cache(store)


def forget(store: Store) -> dict[str, int]:
    """Remove, as a whole, what lies beside the tables and may tell of rows; how many there were.

    Of ``search`` the sidecars on this machine, whose segments keep the bytes of rows that are
    forgotten: the next search reads anew. ``damaged`` is what a repair has set aside: it cannot be
    read, so nobody knows of whom it tells.
    """
    folders = [_in_index(store)] if store.is_local else []
    with suppress(ImportError):  # without it no search could be made either
        folders.append(_in_cache(store))
    held = [folder for folder in folders if folder.exists()]
    for folder in held:
        shutil.rmtree(folder)
    filesystem, damaged = store.filesystem(), f"{store.root}/{DAMAGED}"
    is_damaged = filesystem.exists(damaged)
    if is_damaged:
        filesystem.rm(damaged, recursive=True)
    return {"search": len(held), "damaged": int(is_damaged)}


def _in_index(store: Store) -> Path:
    return Path(store.root) / "search"


def _in_cache(store: Store) -> Path:
    import platformdirs  # noqa: PLC0415 - of the extra `search`

    name = hashlib.blake2b(store.root.encode(), digest_size=8).hexdigest()
    return platformdirs.user_cache_path("timereel") / "search" / name
