"""Symbolic links in the folder of a local index: what they lead to is not the index's.

An index may come from somebody else, and a link in it may name any folder of this machine. So no
table, log or data file is read, written or removed through one. The folder of the index itself may
be a link, as whoever names it has chosen it.
"""

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

LOG_FOLDER = "_delta_log"


def linked_part(table: Path) -> str:
    """The folder of a table, or that of its log, if it is a link; else ""."""
    for path in (table, table / LOG_FOLDER):
        if path.is_symlink():
            return str(path.relative_to(table.parent))
    return ""


def linked_log_file(table: Path) -> str:
    """A file of a table's log that is a link; "" if there is none."""
    name = min(_links_in(table / LOG_FOLDER), default="")
    return name and f"{table.name}/{LOG_FOLDER}/{name}"


def all_links(table: Path) -> list[str]:
    """Every link in a table: its own folder, or files and folders below, by path in the index."""
    found = [table] if table.is_symlink() else []
    if not found:
        for folder, folders, names in os.walk(table):
            found += [
                path for name in (*folders, *names) if (path := Path(folder, name)).is_symlink()
            ]
    return sorted(str(path.relative_to(table.parent)) for path in found)


def over_links(folder: Path, paths: Iterable[str]) -> list[str]:
    """The paths below a local folder that are symbolic links, or lie behind one."""
    links: dict[PurePosixPath, frozenset[str]] = {}

    def is_link(part: PurePosixPath) -> bool:
        if part.parent not in links:
            links[part.parent] = _links_in(folder / part.parent)
        return part.name in links[part.parent]

    # From the top: a folder is not even listed if it is a link.
    parts = ((path, PurePosixPath(path)) for path in paths)
    return [path for path, pure in parts if any(map(is_link, (*reversed(pure.parents[:-1]), pure)))]


def _links_in(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_symlink())
    except OSError:  # a file that is not there is named by whoever reads it
        return frozenset()
