"""A consistent view of an index for one query: its snapshots as SQL, without stale rows."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Mapping

from pipeline.index import duck
from pipeline.index.filters import ALL, ALWAYS, Cameras, Span
from pipeline.index.snapshot import Snapshot, TableReader
from pipeline.index.store import Store
from pipeline.tables.schema import TableName

# Tables whose rows have the fingerprint of their video.
_WITH_FINGERPRINT: tuple[TableName, ...] = (
    "videos",
    "windows",
    "events",
    "segments",
    "utterances",
    "evidence",
    "slides",
)


class SnapshotView:
    """One snapshot of each table: the newest version at the first read of that table."""

    def __init__(self, store: Store, readers: Mapping[TableName, TableReader]) -> None:
        self._store = store
        self._readers = readers
        self._snapshots: dict[TableName, Snapshot] = {}

    def files(self, table: TableName, span: Span = ALWAYS, cameras: Cameras = ALL) -> list[str]:
        """The files that can hold a row of these cameras that overlaps ``span``."""
        snapshot = self._snapshot(table)
        return [snapshot.paths[i] for i in snapshot.matching(span, cameras)]

    def scan(self, table: TableName, span: Span = ALWAYS, cameras: Cameras = ALL) -> str:
        """Those files for a FROM clause, including stale rows."""
        return self.scan_of(table, self.files(table, span, cameras))

    def scan_of(self, table: TableName, files: list[str]) -> str:
        """Exactly these files of a table for a FROM clause."""
        is_mixed = self._snapshot(table).is_mixed
        return duck.scan(self._store, table, files, is_mixed=is_mixed)

    def source(self, table: TableName, span: Span = ALWAYS, cameras: Cameras = ALL) -> str:
        """The same without stale rows: of each video and task only the newest fingerprint's.

        An event over several files stays if it has the newest fingerprint of one of them. Of two
        such with one id, the one that reaches farther stays.
        """
        rows = self.scan(table, span, cameras)
        has_generations = self._snapshot("videos").has_generations
        # While a video is indexed again, its old row stays, and so do its old windows.
        if table not in (_WITH_FINGERPRINT if has_generations else ("windows", "evidence")):
            return rows
        # An event may have begun in a video that ends before the range.
        videos_span = ALWAYS if has_generations else span
        if self._has_one_fingerprint((table, span), ("videos", videos_span), cameras=cameras):
            return rows
        videos = self.scan("videos", videos_span, cameras)
        if has_generations:
            videos = (
                "(SELECT video_id, task, arg_max(fingerprint, indexed_at) AS fingerprint "
                f"FROM {videos} GROUP BY ALL)"
            )
        is_newest = (
            f"NOT EXISTS (SELECT 1 FROM {videos} v WHERE "
            "v.video_id = r.video_id AND v.task = r.task AND v.fingerprint <> r.fingerprint)"
        )
        if has_generations and table == "events":
            # One that begins in a file with newer answers may be all that is told of the next file.
            files = "list_transform(r.parts, lambda part: part.video_id)"
            newest = (
                f"SELECT list(video_id) FROM {videos} v WHERE "
                "v.task = r.task AND v.fingerprint = r.fingerprint"
            )
            is_newest_of_one = f"len(r.parts) > 1 AND list_has_any({files}, ({newest}))"
            return (
                f"(SELECT r.* FROM {rows} r WHERE {is_newest} OR {is_newest_of_one} "
                "QUALIFY row_number() OVER (PARTITION BY r.task, r.event_id "
                f'ORDER BY r."end" DESC, {is_newest} DESC) = 1)'
            )
        return f"(SELECT r.* FROM {rows} r WHERE {is_newest})"

    def _has_one_fingerprint(self, *scans: tuple[TableName, Span], cameras: Cameras) -> bool:
        fingerprints: set[str | None] = set()
        for table, span in scans:
            snapshot = self._snapshot(table)
            for i in snapshot.matching(span, cameras):
                fingerprints.update(snapshot.fingerprints[i])
        return len(fingerprints) <= 1 and None not in fingerprints

    def _snapshot(self, table: TableName) -> Snapshot:
        if table not in self._snapshots:
            self._snapshots[table] = self._readers[table].latest()
        return self._snapshots[table]
