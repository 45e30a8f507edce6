"""Where an index is: its folder, its storage options, and its Delta tables."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlparse

from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from pipeline.errors import ConfigError, IndexDamagedError, IndexFormatError
from pipeline.index.durable_commits import named_if_full, sync_commits, synced
from pipeline.index.log_entries import log_files
from pipeline.tables.schema import SCHEMA_VERSION, TABLES, TableName

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

VERSION_PROPERTY = "timereel.schema_version"
# Set once and for good: files of a table may differ in their columns (they were added later), and
# a video may have rows of several fingerprints (index --keep).
MIXED_PROPERTY = "timereel.mixed_columns"
GENERATIONS_PROPERTY = "timereel.generations"
# Of ``videos``: the tables that were made. One of them that is not there was lost; any other is
# younger than the index. Indexes that are older than this property had these:
TABLES_PROPERTY = "timereel.tables"
_FIRST_TABLES: frozenset[TableName] = frozenset({"videos", "windows", "events", "segments"})

# What a repair sets aside lies here, below the index; and a file while it is at work.
DAMAGED = "_damaged"
REPAIRING = f"{DAMAGED}/repair-is-not-finished"

# Columns whose bounds the log keeps per file. Long texts would bloat it and prune nothing.
_STATISTICS = (
    "camera,start,end,status,label,level,video_id,task,fingerprint,shard_id,event_id,state,run_id"
)
_CHECKPOINT_COMMITS = 50
# What delta-rs calls a setting -> what s3fs calls it. Both read the usual environment themselves.
_S3_ARGUMENTS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_ENDPOINT_URL": "endpoint_url",
}
# delta-rs builds a host name from the path and panics at these.
_FORBIDDEN = frozenset("[]^|\\") | frozenset(map(chr, range(32)))
# The table library colours its errors.
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Store:
    """One index folder; local path, ``s3://``, ``gs://`` or ``az://`` without trailing slash."""

    root: str
    storage_options: Mapping[str, str] = field(default_factory=dict)
    is_mending: bool = False
    """Whether this is for the repair itself, which alone may read what is half mended."""

    @classmethod
    def at(cls, uri: str | Path, storage_options: Mapping[str, str] | None = None) -> Self:
        """The folder as everything below names it: absolute if local, ``file://`` resolved.

        Raises:
            ConfigError: the name holds a character that the table library cannot store.
        """
        text = str(uri)
        if text.startswith("file://"):
            text = unquote(urlparse(text).path)
        root = text.rstrip("/") if "://" in text else str(Path(text).absolute())
        if taken := sorted(_FORBIDDEN & set(root)):
            raise ConfigError(
                f"index folder {root!r}: {' '.join(map(repr, taken))} cannot be part of its "
                "name; choose another folder"
            )
        return cls(root, dict(storage_options or {}))

    @property
    def is_local(self) -> bool:
        """Whether the files can be opened by their path alone."""
        return "://" not in self.root

    @property
    def is_half_mended(self) -> bool:
        """Whether a repair is at work, or was killed; only known of a local index."""
        return self.is_local and os.path.exists(f"{self.root}/{REPAIRING}")  # noqa: PTH110 - at every look

    def table_uri(self, name: TableName) -> str:
        """Folder of one table."""
        return f"{self.root}/{name}"

    def tables(self) -> tuple[TableName, ...]:
        """The tables that are here; an index that is older than a table lacks it.

        Raises:
            IndexDamagedError: one was here and is no more.
        """
        held = tuple(filter(self.holds, TABLES))
        for name in TABLES:
            if name not in held:
                self.refuse_lost(name)
        return held

    def filesystem(self) -> "AbstractFileSystem":
        """The files of the index, for what the table library has no call for.

        Raises:
            ConfigError: the package for this kind of URL is not installed.
        """
        import fsspec  # noqa: PLC0415 - with all of asyncio; a local query needs neither

        given = {key.upper(): value for key, value in self.storage_options.items()}
        arguments: dict[str, Any] = {
            theirs: given[ours] for ours, theirs in _S3_ARGUMENTS.items() if ours in given
        }
        protocol = "file" if self.is_local else self.root.partition("://")[0]
        try:
            # Another process may have written since: what a listing said is never kept.
            return fsspec.filesystem(protocol, use_listings_cache=False, **arguments)
        except (ImportError, ValueError) as exc:
            raise ConfigError(
                f"index at {self.root}: {exc}; for s3:// install timereel[s3], for others the "
                "fsspec package of their protocol"
            ) from exc

    def handle(self, name: TableName) -> DeltaTable:
        """The table as it is now.

        Raises:
            IndexFormatError: there is none, it is not one of ours, or it is newer than this code.
            IndexDamagedError: it is gone from an index, or its log cannot be read.
            ConfigError: the store does not answer.
        """
        if self.is_half_mended and not self.is_mending:
            raise IndexDamagedError(self.root, "a repair was not finished")
        try:
            table = DeltaTable(self.table_uri(name), storage_options=dict(self.storage_options))
        except TableNotFoundError as exc:
            self.refuse_lost(name)
            raise self._no_index() from exc
        except OSError as exc:
            raise self._out_of_reach("read", exc) from exc
        except DeltaError as exc:
            raise self._unreadable(name, exc) from exc
        self.check_entries(name, table.version() - _CHECKPOINT_COMMITS, table.version())
        written_by = table.metadata().configuration.get(VERSION_PROPERTY)
        if written_by is None or not written_by.isdecimal():
            raise self._no_index()
        if int(written_by) > SCHEMA_VERSION:
            raise IndexFormatError(
                f"index at {self.root}: {name} has schema version {written_by}, this timereel "
                f"reads up to {SCHEMA_VERSION}; install a newer timereel"
            )
        return table

    def check_entries(self, name: TableName, first: int, last: int) -> None:
        """Refuse a table with an empty log entry among ``first`` to ``last``, or next to it.

        A power cut leaves such of an entry that was not synced, and the table library takes it
        for a commit that changed nothing. Object stores have no half-written objects.
        """
        if not self.is_local:
            return
        log = f"{self.table_uri(name)}/_delta_log"
        for version in range(max(first, 0), last + 2):
            try:
                is_empty = os.stat(f"{log}/{version:020}.json").st_size == 0  # noqa: PTH116 - a third of the time
            except FileNotFoundError:
                continue
            if is_empty:
                raise IndexDamagedError(self.root, f"{name}: log entry {version} is empty")

    def refuse_lost(self, name: TableName) -> None:
        """Refuse an index that has had this table, which is not there now.

        Raises:
            IndexDamagedError: so it is.
        """
        if name != "videos":
            is_lost = self.holds("videos") and self.had(name)
        else:
            # Made last, and no row is written before: others without rows, which two processes may
            # have made in two commits, are those of a first run that was killed. Looked for again,
            # since another process may just be making it.
            others = (other for other in TABLES if other != name and self.holds(other))
            is_lost = any(self.handle(other).file_uris() for other in others)
            is_lost = is_lost and not self.holds(name)
        if is_lost:
            raise IndexDamagedError(self.root, f"the table {name} is gone")

    def had(self, name: TableName) -> bool:
        """Whether the index has got this table once; one that is younger than the index may not."""
        return name in _FIRST_TABLES or (self.holds("videos") and name in self._tables_made())

    def _tables_made(self) -> set[str]:
        noted = self.handle("videos").metadata().configuration.get(TABLES_PROPERTY) or ""
        return {*_FIRST_TABLES, *noted.split(",")}

    def note_tables(self) -> None:
        """Write down in ``videos`` which tables there are, so that one that is lost is missed."""
        if missing := set(TABLES) - self._tables_made():
            noted = ",".join(sorted(self._tables_made() | missing))
            with synced(self.handle("videos")) as table:
                table.alter.set_table_properties(
                    {TABLES_PROPERTY: noted}, raise_if_not_exists=False
                )

    def holds(self, name: TableName) -> bool:
        """Whether the table is here; one that was added to the schema later may not be."""
        options = dict(self.storage_options)
        try:
            return bool(DeltaTable.is_deltatable(self.table_uri(name), storage_options=options))
        except OSError as exc:
            raise self._out_of_reach("read", exc) from exc

    def create(self) -> None:
        """Make what is missing: tables, and columns that were added since; else does nothing.

        Two processes may do this at once: of two first commits the store accepts one. ``videos``
        is created last, so that it speaks for all.

        Raises:
            IndexDamagedError: a table was here and is no more; an empty one would hide that.
        """
        if self.holds("videos"):
            self.tables()
        else:
            self.refuse_lost("videos")
        for name in sorted(TABLES, key=lambda name: name == "videos"):
            if self.holds(name):
                self._add_columns(name)
            else:
                self.create_table(name)

    def mark(self, name: TableName, prop: str) -> None:
        """Set a property of a table, once."""
        table = self.handle(name)
        if not is_marked(table, prop):
            with synced(table):
                table.alter.set_table_properties({prop: "true"}, raise_if_not_exists=False)

    def _add_columns(self, name: TableName) -> None:
        if missing := set(TABLES[name].names) - set(columns_of(self.handle(name))):
            # First, so that no reader meets files of two kinds unprepared.
            self.mark(name, MIXED_PROPERTY)
            declared = Schema.from_arrow(TABLES[name])
            added = [field for field in declared.fields if field.name in missing]
            with synced(self.handle(name)) as table:
                table.alter.add_columns(added)

    def create_table(self, name: TableName) -> None:
        """Make one table if it is missing, as in an index that is older than it."""
        try:
            with named_if_full(self.table_uri(name)):
                made = self._create_table(name)
                sync_commits(made, since=-1)
        except DeltaError as exc:
            if not self.holds(name):
                raise self._out_of_reach("made", exc) from exc
            self.handle(name)  # Somebody else was first. If not, this raises what is wrong.

    def _create_table(self, name: TableName) -> DeltaTable:
        known = set(TABLES[name].names)
        return DeltaTable.create(
            self.table_uri(name),
            TABLES[name],
            mode="ignore",
            partition_by=["date"],
            configuration={
                VERSION_PROPERTY: str(SCHEMA_VERSION),
                TABLES_PROPERTY: ",".join(sorted(TABLES)) if name == "videos" else None,
                "delta.checkpointInterval": str(_CHECKPOINT_COMMITS),
                "delta.dataSkippingStatsColumns": ",".join(
                    column for column in _STATISTICS.split(",") if column in known
                ),
            },
            storage_options=dict(self.storage_options),
            raise_if_key_not_exists=False,
        )

    def _unreadable(self, name: TableName, exc: Exception) -> Exception:
        """What is wrong with a log that the table library refuses."""
        files = log_files(self.filesystem(), f"{self.table_uri(name)}/_delta_log")
        if wrong := next((file for file in files if file.problem), None):
            return IndexDamagedError(self.root, f"{name}: {wrong}")
        return self._out_of_reach("read", exc)

    def _out_of_reach(self, what: str, exc: Exception) -> ConfigError:
        cause = " ".join(_COLOURS.sub("", str(exc)).split())
        return ConfigError(
            f"index at {self.root}: cannot be {what}: {cause}; check the name, your rights and, of "
            "a bucket, AWS_ENDPOINT_URL and the credentials"
        )

    def _no_index(self) -> IndexFormatError:
        return IndexFormatError(
            f"no index at {self.root}: run timereel index ... --index {self.root} first"
        )


def columns_of(table: DeltaTable) -> list[str]:
    """Names of the columns that a table has, known to this code or not."""
    return [field.name for field in table.schema().fields]


def is_marked(table: DeltaTable, prop: str) -> bool:
    """Whether ``Store.mark`` has set the property."""
    return bool(table.metadata().configuration.get(prop) == "true")
