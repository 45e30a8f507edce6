"""Files in the folder of a local index that are not plain: links, pipes, devices, sockets.

An index may come from somebody else. A symbolic link in it may name any folder of this machine, and
whoever opens a pipe waits for its writer. So no table, log or data file is read, written or removed
through one. The folder of the index itself may be a link, as whoever names it has chosen it.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

LOG_FOLDER = "_delta_log"
ODD_FILE = "is a symbolic link or a special file, which is not opened"


def linked_part(table: Path) -> str:
    """The folder of a table, or that of its log, if it is a link; else ""."""
    for path in (table, table / LOG_FOLDER):
        if path.is_symlink():
            return str(path.relative_to(table.parent))
    return ""


def is_odd(mode: int) -> bool:
    """Whether what has this mode is neither a file nor a folder."""
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def odd_files(top: Path) -> list[str]:
    """Every odd file in a folder of an index: itself, or one below, by path in the index."""
    found = [top] if top.is_symlink() else []
    if not found:
        for folder, _, _ in os.walk(top):
            found += [Path(folder, name) for name in _odd_in(folder)]
    return sorted(str(path.relative_to(top.parent)) for path in found)


def over_odd(folder: Path, paths: Iterable[str]) -> list[str]:
    """The paths below a local folder that are odd files, or lie behind one."""
    known: dict[str, frozenset[str]] = {}
    behind: dict[str, bool] = {"": False}

    def is_behind(path: str) -> bool:
        if path not in behind:
            parent, _, name = path.rpartition("/")
            # From the top: a folder is not even listed if it is a link.
            behind[path] = is_behind(parent) or name in odd_in(parent)
        return behind[path]

    def odd_in(parent: str) -> frozenset[str]:
        if parent not in known:
            known[parent] = _odd_in(f"{folder}/{parent}")
        return known[parent]

    parts = ((path, *path.rpartition("/")) for path in paths)
    return [path for path, parent, _, name in parts if is_behind(parent) or name in odd_in(parent)]


def _odd_in(folder: str) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(
                entry.name
                for entry in entries
                if not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False))
            )
    except OSError:  # a file that is not there is named by whoever reads it
        return frozenset()
