"""One look at an index: which rows of which files count, as SQL."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Mapping

from pipeline.index import duck
from pipeline.index.filters import ALL, ALWAYS, Cameras, Span
from pipeline.index.snapshot import Snapshot, TableReader
from pipeline.index.store import Store
from pipeline.tables.schema import TableName

# Tables whose rows carry the fingerprint of their video's answers.
_OF_GENERATIONS: tuple[TableName, ...] = ("videos", "windows", "events", "segments")


class SnapshotView:
    """Of each table the version that was there when it was first asked for, and no other."""

    def __init__(self, store: Store, readers: Mapping[TableName, TableReader]) -> None:
        self._store = store
        self._readers = readers
        self._seen: dict[TableName, Snapshot] = {}

    def files(self, table: TableName, span: Span = ALWAYS, cameras: Cameras = ALL) -> list[str]:
        """The files that can hold a row of these cameras that overlaps ``span``."""
        snapshot = self._snapshot(table)
        return [snapshot.paths[i] for i in snapshot.matching(span, cameras)]

    def scan(self, table: TableName, span: Span = ALWAYS, cameras: Cameras = ALL) -> str:
        """Those files in a FROM clause, stale rows and all."""
        return self.scan_of(table, self.files(table, span, cameras))

    def scan_of(self, table: TableName, files: list[str]) -> str:
        """Exactly these files of a table in a FROM clause."""
        is_mixed = self._snapshot(table).is_mixed
        return duck.scan(self._store, table, files, is_mixed=is_mixed)

    def source(self, table: TableName, span: Span = ALWAYS, cameras: Cameras = ALL) -> str:
        """The same without stale rows: of each video and task those of the newest fingerprint."""
        found = self.scan(table, span, cameras)
        has_generations = self._snapshot("videos").has_generations
        # While a video is done again its old row stands, and with it the old windows.
        if table not in (_OF_GENERATIONS if has_generations else ("windows",)):
            return found
        # An event may have begun in a file that ends before the range.
        near = ALWAYS if has_generations else span
        if self._one_fingerprint((table, span), ("videos", near), cameras=cameras):
            return found
        videos = self.scan("videos", near, cameras)
        if has_generations:
            videos = (
                "(SELECT video_id, task, arg_max(fingerprint, indexed_at) AS fingerprint "
                f"FROM {videos} GROUP BY ALL)"
            )
        return (
            f"(SELECT r.* FROM {found} r WHERE NOT EXISTS (SELECT 1 FROM {videos} v WHERE "
            "v.video_id = r.video_id AND v.task = r.task AND v.fingerprint <> r.fingerprint))"
        )

    def _one_fingerprint(self, *held_in: tuple[TableName, Span], cameras: Cameras) -> bool:
        held: set[str | None] = set()
        for table, span in held_in:
            snapshot = self._snapshot(table)
            for i in snapshot.matching(span, cameras):
                held.update(snapshot.fingerprints[i])
        return len(held) <= 1 and None not in held

    def _snapshot(self, table: TableName) -> Snapshot:
        if table not in self._seen:
            self._seen[table] = self._readers[table].latest()
        return self._seen[table]
