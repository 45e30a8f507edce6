"""Writes a directory of Parquet files, for tools that do not read Delta tables."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ConfigError

# Parquet readers skip names that begin with an underscore.
_MANIFEST = "_timereel_export.json"


def write_parquet_folder(
    target: Path, parts: Iterable[tuple[str, pa.Table]], about: Mapping[str, str]
) -> int:
    """Write each (relative file name, rows) below ``target``; return the number of rows.

    The files are written to a new folder beside ``target``, which then replaces ``target`` by a
    rename. So an export is complete or absent. Between the two renames ``target`` does not exist.

    Raises:
        ConfigError: ``target`` holds a file that no earlier export wrote, or cannot be made.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100 - resolve() would follow a link
    _refuse_foreign_files(target)
    new, former = (target.with_name(f".{target.name}.{word}") for word in ("part", "former"))
    for leftover in (new, former):
        shutil.rmtree(leftover, ignore_errors=True)
    make_folder(new)
    num_rows, names = 0, []
    for name, rows in parts:
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, new / name, compression="zstd")
        num_rows += rows.num_rows
        names.append(name)
    manifest = json.dumps(
        {**about, "num_rows": num_rows, "files": names}, indent=1, ensure_ascii=False
    )
    (new / _MANIFEST).write_text(manifest, encoding="utf-8")
    if target.exists():
        target.rename(former)
    new.rename(target)
    shutil.rmtree(former, ignore_errors=True)
    return num_rows


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, if it does not exist.

    Raises:
        ConfigError: the folder cannot be made; nothing was written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(
            f"{folder}: cannot be made ({exc.strerror}); name another folder"
        ) from exc


def _refuse_foreign_files(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ConfigError(f"{target}: is not a folder; name a new one")
    existing = {str(p.relative_to(target)) for p in target.rglob("*") if not p.is_dir()}
    if not existing:
        return
    try:
        manifest = json.loads((target / _MANIFEST).read_text(encoding="utf-8"))
        foreign = existing - {_MANIFEST, *manifest["files"]}
    except (FileNotFoundError, ValueError, KeyError):
        foreign = existing
    if foreign:
        raise ConfigError(
            f"{target}: holds {min(foreign)}, which no earlier export wrote; nothing was written. "
            "Name a new folder"
        )
