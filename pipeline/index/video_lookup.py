"""Which files of ``videos`` know a video: a commit must not read a million rows to find none."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.index import duck
from pipeline.index.filters import Where
from pipeline.index.store import Store

Hashes = npt.NDArray[np.uint64]


class KnownVideos:
    """Hashes of the ids and uris in each file, read once, as a file never changes: 16 bytes a row.

    A video that is there is never missed; two names of one hash cost a look into a file in vain.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = duck.connect(store)
        self._by_file: dict[str, Hashes] = {}

    def files(self, paths: Sequence[str], names: Collection[str]) -> list[str]:
        """Those of ``paths`` that hold a row whose video_id or uri is among ``names``."""
        gone = set(self._by_file) - set(paths)
        new = [path for path in paths if path not in self._by_file]
        self._by_file.update({path: self._read(path) for path in new})
        for path in gone:
            del self._by_file[path]
        wanted = duck.fetch(
            self._connection,
            "SELECT hash(name) AS hash FROM (SELECT unnest(?::VARCHAR[]) AS name)",
            Where(values=[list(names)]),
        )["hash"].to_numpy()
        return [path for path in paths if _meet(self._by_file[path], wanted)]

    def _read(self, path: str) -> Hashes:
        found = duck.fetch(
            self._connection,
            "SELECT hash(video_id) AS id, hash(uri) AS uri "
            f"FROM {duck.scan(self._store, 'videos', [path], is_mixed=True)}",
        )
        return np.unique(np.concatenate([found["id"].to_numpy(), found["uri"].to_numpy()]))


def _meet(held: Hashes, wanted: Hashes) -> bool:
    at = np.searchsorted(held, wanted)
    return bool(np.any(held[np.minimum(at, len(held) - 1)] == wanted))
