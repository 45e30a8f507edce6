"""A plain directory of Parquet files, for readers that know nothing of an index."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ConfigError

# Readers pass over names that begin with an underscore.
_MARK = "_timereel_export.json"


def write_parquet_folder(
    target: Path, parts: Iterable[tuple[str, pa.Table]], about: Mapping[str, str]
) -> int:
    """Write each (relative file name, rows) below ``target``; number of rows.

    Everything is written beside ``target`` and then takes its name, so it is there whole or not at
    all, and an earlier export gives way at once. Between the two there is none for an instant.

    Raises:
        ConfigError: ``target`` holds anything that is not of an earlier export, or cannot be made.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100 - resolve() would follow a link
    _refuse_strangers(target)
    fresh, former = (target.with_name(f".{target.name}.{word}") for word in ("part", "former"))
    for left_behind in (fresh, former):
        shutil.rmtree(left_behind, ignore_errors=True)
    make_folder(fresh)
    num_rows, names = 0, []
    for name, rows in parts:
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, fresh / name, compression="zstd")
        num_rows += rows.num_rows
        names.append(name)
    mark = {**about, "num_rows": num_rows, "files": names}
    (fresh / _MARK).write_text(json.dumps(mark, indent=1, ensure_ascii=False), encoding="utf-8")
    if target.exists():
        target.rename(former)
    fresh.rename(target)
    shutil.rmtree(former, ignore_errors=True)
    return num_rows


def make_folder(folder: Path) -> None:
    """Make it, with its parents, unless it is there.

    Raises:
        ConfigError: it cannot be made; nothing was written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(
            f"{folder}: cannot be made ({exc.strerror}); name another folder"
        ) from exc


def _refuse_strangers(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ConfigError(f"{target}: is not a folder; name a new one")
    held = {str(p.relative_to(target)) for p in target.rglob("*") if not p.is_dir()}
    if not held:
        return
    try:
        mark = json.loads((target / _MARK).read_text(encoding="utf-8"))
        strangers = held - {_MARK, *mark["files"]}
    except (FileNotFoundError, ValueError, KeyError):
        strangers = held
    if strangers:
        raise ConfigError(
            f"{target}: holds {min(strangers)}, which is not of an earlier export; nothing "
            "was written. Name a new folder"
        )
