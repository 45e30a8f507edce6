"""Which weights a model folder holds: a name made from what is in it, not from where it lies."""

import hashlib
from functools import lru_cache, partial
from pathlib import Path

_WEIGHT_SUFFIXES = frozenset({".safetensors", ".bin", ".gguf", ".pt", ".pth"})
_DETECTOR = "model.yaml"
"""Describes a detector. In other folders all files count, since they always have."""
_FOR_PEOPLE = ("README", "LICENSE", "NOTICE")
_MAX_FILE_BYTES = 4 * 10**9
_SAMPLES = 64
_SAMPLE_BYTES = 64 * 1024


def weights_id(model: str) -> str | None:
    """24 hex digits naming the content of a model folder; None if ``model`` is no folder here.

    Everything but the weights is read whole. Of each weight file count its name, its size, its
    beginning (a safetensors header names every tensor) and samples all over it: a few MB for a
    model of any size. Training moves all weights, so that no trained copy has equal samples; one
    that differs in a single tensor may pass for the same. Hidden files do not count, nor in the
    folder of a detector what is written for people.
    """
    folder = Path(model)
    if not folder.is_dir():
        return None
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part[0] == "." for part in path.relative_to(folder).parts)
    )
    if (folder / _DETECTOR).is_file():
        files = [path for path in files if not path.name.startswith(_FOR_PEOPLE)]
    stats = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return _digest(str(folder), stats)


def file_id(path: str) -> str | None:
    """24 hex digits naming the content of a file; None if there is no such file of 4 GB or less."""
    file = Path(path)
    if not file.is_file() or (stat := file.stat()).st_size > _MAX_FILE_BYTES:
        return None
    return _digest_of_file(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest_of_file(path: str, num_bytes: int, modified_ns: int) -> str:  # noqa: ARG001 - a file that changed is read anew
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=12)).hexdigest()


# Once per state of the folder: the fingerprint is asked for often.
@lru_cache(maxsize=8)
def _digest(folder: str, stats: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for name, size, _ in stats:
        path = Path(name)
        digest.update(f"{path.relative_to(folder)}\x1f{size}\x1f".encode())
        with path.open("rb") as file:
            if path.suffix not in _WEIGHT_SUFFIXES or size <= _SAMPLES * _SAMPLE_BYTES:
                digest.update(file.read())
                continue
            for sample in range(_SAMPLES):
                file.seek(sample * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()
