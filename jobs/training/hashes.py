"""Hashes that show whether a checkpoint directory is complete, in the format of sha256sum."""

import hashlib
from pathlib import Path
from typing import Final

HASHES_NAME: Final = "SHA256SUMS"


def write_hashes(directory: Path) -> None:
    """Write the SHA-256 of every file of the directory into it."""
    lines = [
        f"{_hash(path)}  {path.name}\n"
        for path in sorted(directory.iterdir())
        if path.is_file() and path.name != HASHES_NAME
    ]
    (directory / HASHES_NAME).write_text("".join(lines))


def broken_files(directory: Path) -> list[str]:
    """The names of files that are missing or have changed since they were hashed."""
    broken: list[str] = []
    for line in (directory / HASHES_NAME).read_text().splitlines():
        expected, _, name = line.partition("  ")
        path = directory / name
        if not path.is_file() or _hash(path) != expected:
            broken.append(name)
    return broken


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
