"""Finds the data files of ``videos`` that hold a video, so that a commit need not read all rows."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.index.filters import Where
from pipeline.index.open_tables import OpenTables

Hashes = npt.NDArray[np.uint64]


class KnownVideos:
    """Hashes of the ids and uris in each file, 16 bytes per row; read once, as files never change.

    An existing video is never missed. If two names have the same hash, a file is read in vain.
    """

    def __init__(self, index: OpenTables) -> None:
        self._index = index
        self._by_file: dict[str, Hashes] = {}

    def files(self, paths: Sequence[str], names: Collection[str]) -> list[str]:
        """Those of ``paths`` that may hold a row whose video_id or uri is in ``names``."""
        removed = set(self._by_file) - set(paths)
        new = [path for path in paths if path not in self._by_file]
        self._by_file.update({path: self._read(path) for path in new})
        for path in removed:
            del self._by_file[path]
        wanted = self._index.fetch(
            "SELECT hash(name) AS hash FROM (SELECT unnest(?::VARCHAR[]) AS name)",
            Where(values=[list(names)]),
        )["hash"].to_numpy()
        return [path for path in paths if _have_common(self._by_file[path], wanted)]

    def _read(self, path: str) -> Hashes:
        source = self._index.source_of_files("videos", [path])
        sql = f"SELECT hash(video_id) AS id, hash(uri) AS uri FROM {source}"
        rows = self._index.fetch(sql, Where())
        return np.unique(np.concatenate([rows["id"].to_numpy(), rows["uri"].to_numpy()]))


def _have_common(hashes: Hashes, wanted: Hashes) -> bool:
    positions = np.searchsorted(hashes, wanted)
    return bool(np.any(hashes[np.minimum(positions, len(hashes) - 1)] == wanted))
