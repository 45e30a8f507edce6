"""Pictures that were made from recordings, kept on this user's disk: made once, and bounded.

An erasure removes them all. Whoever asks makes sure that the footage was not erased since.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipeline.index.sidecars import pictures_folder
from pipeline.index.store import Store

MAX_PICTURES = 10_000
"""About 80 MB; then the tenth that was made first is removed."""


def remembered(store: Store, name: str, make: Callable[[], bytes]) -> bytes:
    """The picture of this name: the one that was kept, or else a new one, which is kept then."""
    folder = _folder(store)
    if folder is None:
        return make()
    path = folder / f"{name}.webp"
    with suppress(OSError):
        return path.read_bytes()
    made = make()
    with suppress(OSError):  # a full disk costs time and no picture
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(made)
        part.replace(path)
        _bound(folder)
    return made


def _folder(store: Store) -> Path | None:
    try:
        return pictures_folder(store)
    except ImportError:  # a read-only index, and without the extra `search` no folder of the user
        return None


def _bound(folder: Path) -> None:
    with os.scandir(folder) as found:
        files = [entry for entry in found if entry.name.endswith(".webp")]
    if len(files) > MAX_PICTURES:
        oldest_first = sorted(files, key=lambda entry: (entry.stat().st_mtime_ns, entry.name))
        for entry in oldest_first[: len(files) - MAX_PICTURES * 9 // 10]:
            Path(entry.path).unlink(missing_ok=True)
