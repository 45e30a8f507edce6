"""What a power cut, a bad disk or a careless hand does to the files of an index."""

import shutil
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable


def entries(index: Path, table: str) -> list[Path]:
    return sorted((index / table / "_delta_log").glob("*.json"))


def data_file(index: Path, table: str) -> Path:
    paths = pa.table(DeltaTable(index / table).get_add_actions(flatten=True))["path"]
    return index / table / paths[0].as_py()


def cut_in_two(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    held = bytearray(path.read_bytes())
    for i in range(4, len(held) - 8, 50):
        held[i] ^= 0x55
    path.write_bytes(held)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


DAMAGE = {
    "newest entry empty": lambda index, table: empty(entries(index, table)[-1]),
    "entry in between empty": lambda index, table: empty(entries(index, table)[1]),
    "newest entry cut": lambda index, table: cut_in_two(entries(index, table)[-1]),
    "newest entry garbage": lambda index, table: garbage(entries(index, table)[-1]),
    "newest entry of zeros": lambda index, table: entries(index, table)[-1].write_bytes(bytes(512)),
    "entry in between missing": lambda index, table: entries(index, table)[-2].unlink(),
    "first entry missing": lambda index, table: entries(index, table)[0].unlink(),
    "log gone": lambda index, table: shutil.rmtree(index / table / "_delta_log"),
    "table gone": lambda index, table: shutil.rmtree(index / table),
    "file missing": lambda index, table: data_file(index, table).unlink(),
    "file empty": lambda index, table: empty(data_file(index, table)),
    "file cut": lambda index, table: cut_in_two(data_file(index, table)),
    "file flipped": lambda index, table: flip(data_file(index, table)),
}
