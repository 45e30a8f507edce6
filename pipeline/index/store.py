"""The location of an index: its folder, its storage options and its Delta tables."""

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
from pipeline.index.durable_commits import sync_commits, synced
from pipeline.index.links import ODD_FILE, linked_part
from pipeline.index.log_entries import log_files
from pipeline.index.log_gate import check_log
from pipeline.index.store_errors import cause_of, named_if_unwritable, refusing_values
from pipeline.storage.access import masked
from pipeline.tables.schema import SCHEMA_VERSION, TABLES, TableName

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

VERSION_PROPERTY = "timereel.schema_version"
# Set once, never removed: files of a table may lack columns that were added later, and a video may
# have rows of several fingerprints (index --keep).
MIXED_PROPERTY = "timereel.mixed_columns"
GENERATIONS_PROPERTY = "timereel.generations"
# A property of ``videos``: the tables that were made. If one of them is missing, it was lost; any
# other table is newer than the index. Indexes older than this property have these tables:
TABLES_PROPERTY = "timereel.tables"
_FIRST_TABLES: frozenset[TableName] = frozenset({"videos", "windows", "events", "segments"})

# The folder below the index to which a repair moves damaged files, and a file that exists during
# it.
DAMAGED = "_damaged"
REPAIRING = f"{DAMAGED}/repair-is-not-finished"

# Columns whose bounds the transaction log keeps per file. Long texts would only make it large.
_STATISTICS = (
    "camera,start,end,status,label,level,video_id,task,fingerprint,shard_id,event_id,state,run_id"
)
_CHECKPOINT_COMMITS = 50
# The name of a setting in delta-rs -> in s3fs. Both read the usual environment variables
# themselves.
_S3_ARGUMENTS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_ENDPOINT_URL": "endpoint_url",
}
# delta-rs builds a host name from the path and panics at these characters.
_FORBIDDEN = frozenset("[]^|\\") | frozenset(map(chr, range(32)))
# As container@account; a password would follow a colon.
_CONTAINER = re.compile(r"(?:abfss?|az|azure|wasbs?|adl)://[^:/?#]*@")
_DECIMAL = re.compile("[0-9]{1,9}")
# It also takes these for one character, and looks in another folder.
_PERCENT_CODE = re.compile("%[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True)
class Store:
    """One index folder: a local path, ``s3://``, ``gs://`` or ``az://``, without trailing slash."""

    root: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """May hold credentials, so it is not shown."""
    is_for_repair: bool = False
    """Whether a check or repair uses it; only these may read an index with an unfinished repair."""

    @classmethod
    def at(cls, uri: str | Path, storage_options: Mapping[str, str] | None = None) -> Self:
        """The store of a folder: an absolute path if local, without ``file://``.

        Raises:
            ConfigError: the name holds a character that the table library cannot store.
        """
        text = str(uri)
        if text.startswith("file://"):
            text = unquote(urlparse(text).path)
        root = text.rstrip("/") if "://" in text else str(Path(text).absolute())
        if (shown := masked(root)) != root and not _CONTAINER.match(root):
            raise ConfigError(
                f"index folder {shown}: names a user or a password; leave them out, credentials"
                " come from the environment"
            )
        if forbidden := sorted(_FORBIDDEN & set(root)):
            raise ConfigError(
                f"index folder {root!r}: its name must not contain "
                f"{' '.join(map(repr, forbidden))}; choose another folder"
            )
        if code := _PERCENT_CODE.search(root):
            raise ConfigError(
                f"index folder {root!r}: its name must not contain {code[0]!r}, which table"
                " libraries read as another character; choose another folder"
            )
        return cls(root, dict(storage_options or {}))

    @property
    def is_local(self) -> bool:
        """Whether the index is on a local file system."""
        return "://" not in self.root

    @property
    def has_unfinished_repair(self) -> bool:
        """Whether a repair is running or was killed; only known of a local index."""
        return self.is_local and os.path.exists(f"{self.root}/{REPAIRING}")  # noqa: PTH110 - called for every query

    def table_uri(self, name: TableName) -> str:
        """The folder of one table."""
        return f"{self.root}/{name}"

    def tables(self) -> tuple[TableName, ...]:
        """The tables that exist; an index that is older than a table lacks it.

        Raises:
            IndexDamagedError: a table that once existed is missing.
        """
        existing = tuple(filter(self.holds, TABLES))
        for name in TABLES:
            if name not in existing:
                self.refuse_lost(name)
        return existing

    def filesystem(self) -> "AbstractFileSystem":
        """The file system of the index, for operations that the table library does not offer.

        Raises:
            ConfigError: the package for this kind of URL is not installed.
        """
        import fsspec  # noqa: PLC0415 - it imports asyncio; a local query needs neither

        options = {key.upper(): value for key, value in self.storage_options.items()}
        arguments: dict[str, Any] = {
            argument: options[name] for name, argument in _S3_ARGUMENTS.items() if name in options
        }
        protocol = "file" if self.is_local else self.root.partition("://")[0]
        try:
            # No cache of listings, because another process may write at any time.
            return fsspec.filesystem(protocol, use_listings_cache=False, **arguments)
        except (ImportError, ValueError) as exc:
            raise ConfigError(
                f"index at {self.root}: {exc}; for s3:// install timereel[s3], for others the "
                "fsspec package of their protocol"
            ) from exc

    def handle(self, name: TableName) -> DeltaTable:
        """A handle on the newest version of the table.

        Raises:
            IndexFormatError: there is no such table, timereel did not make it, or it is newer than
                this code.
            IndexDamagedError: the table was lost from an index, or its log cannot be read.
            ConfigError: the store does not answer.
        """
        if self.has_unfinished_repair and not self.is_for_repair:
            raise IndexDamagedError(self.root, "a repair was not finished")
        self._refuse_links(name)
        try:
            checked = self.check_log(name)
            table = self.table_at(name)
            if table.version() > checked:  # somebody committed in between
                self.check_log(name)
        except TableNotFoundError as exc:
            self.refuse_lost(name)
            raise self._no_index() from exc
        except OSError as exc:
            raise self._out_of_reach("read", exc) from exc
        except DeltaError as exc:
            raise self._unreadable(name, exc) from exc
        written_by = table.metadata().configuration.get(VERSION_PROPERTY)
        if written_by is None or not _DECIMAL.fullmatch(written_by):
            raise self._no_index()
        if int(written_by) > SCHEMA_VERSION:
            raise IndexFormatError(
                f"index at {self.root}: {name} has schema version {written_by}, but this timereel "
                f"reads only up to {SCHEMA_VERSION}; install a newer timereel"
            )
        if table.protocol().min_reader_version != 1:  # it has deletion vectors, or other features
            raise IndexFormatError(
                f"index at {self.root}: another program has given {name} features that timereel"
                " does not read; write to an index with timereel only"
            )
        return table

    def table_at(self, name: TableName, version: int | None = None) -> DeltaTable:
        """One version of the table, else the newest, as the table library reads its log.

        Raises:
            DeltaError: it refuses the log, or has no such version.
            OSError: the store does not answer.
        """
        with refusing_values():
            return DeltaTable(
                self.table_uri(name), version=version, storage_options=dict(self.storage_options)
            )

    def _refuse_links(self, name: TableName) -> None:
        try:
            part = linked_part(Path(self.table_uri(name))) if self.is_local else ""
        except OSError as exc:
            raise self._out_of_reach("read", exc) from exc
        if part:
            raise IndexDamagedError(self.root, f"{part} {ODD_FILE}")

    def check_log(self, name: TableName, after: int | None = None) -> int:
        """Refuse a table whose log is damaged or leads out of it; the newest version of the log.

        An empty entry is damage, too: a power cut may leave one, and the table library treats it as
        a commit without changes. ``after`` is the version that a reader already has.

        Raises:
            IndexDamagedError: the fault of one file of the log.
            ConfigError: the store does not answer, or this user may not read it.
        """
        try:
            version, fault = check_log(self.table_uri(name), self.storage_options, after)
        except OSError as exc:
            raise self._out_of_reach("read", exc) from exc
        if fault:
            raise IndexDamagedError(self.root, f"{name}: {fault}")
        return version

    def refuse_lost(self, name: TableName) -> None:
        """Refuse an index that once had this table, if the table is missing now.

        Raises:
            IndexDamagedError: the table was lost.
        """
        if name != "videos":
            is_lost = self.holds("videos") and self.had(name)
        else:
            # ``videos`` is made last, before any row is written. So if no other table has files, a
            # first run was killed while it made the tables (perhaps two runs in two commits), and
            # nothing is lost. Check once more that it is missing, as another process may make it
            # now.
            others = (other for other in TABLES if other != name and self.holds(other))
            is_lost = any(self.handle(other).file_uris() for other in others)
            is_lost = is_lost and not self.holds(name)
        if is_lost:
            raise IndexDamagedError(self.root, f"the table {name} is gone")

    def had(self, name: TableName) -> bool:
        """Whether the index ever had this table; it may lack one that is newer than the index."""
        return name in _FIRST_TABLES or (self.holds("videos") and name in self._tables_made())

    def _tables_made(self) -> set[str]:
        recorded = self.handle("videos").metadata().configuration.get(TABLES_PROPERTY) or ""
        return {*_FIRST_TABLES, *recorded.split(",")}

    def record_tables(self) -> None:
        """Record in ``videos`` which tables exist, so that the loss of one is noticed."""
        if missing := set(TABLES) - self._tables_made():
            recorded = ",".join(sorted(self._tables_made() | missing))
            with synced(self.handle("videos")) as table:
                table.alter.set_table_properties(
                    {TABLES_PROPERTY: recorded}, raise_if_not_exists=False
                )

    def holds(self, name: TableName) -> bool:
        """Whether the table exists; one that was added to the schema later may be missing."""
        self._refuse_links(name)
        options = dict(self.storage_options)
        try:
            return bool(DeltaTable.is_deltatable(self.table_uri(name), storage_options=options))
        except OSError as exc:
            raise self._out_of_reach("read", exc) from exc

    def create(self) -> None:
        """Make missing tables; for missing columns see ``writable``.

        Two processes may do this at once, since the store accepts only one of two first commits.
        ``videos`` is created last, so it exists only if all others do.

        Raises:
            IndexDamagedError: a table was lost; a new, empty one would hide that.
        """
        if self.holds("videos"):
            self.tables()
        else:
            self.refuse_lost("videos")
        for name in sorted(TABLES, key=lambda name: name == "videos"):
            if not self.holds(name):
                self.create_table(name)

    def mark(self, name: TableName, prop: str) -> None:
        """Set a property of a table to true, if it is not set yet."""
        table = self.handle(name)
        if not is_marked(table, prop):
            with synced(table):
                table.alter.set_table_properties({prop: "true"}, raise_if_not_exists=False)

    def writable(self, name: TableName) -> DeltaTable:
        """As ``handle``; before, a table of an older version gets the columns that it lacks."""
        table = self.handle(name)
        missing = set(TABLES[name].names) - set(columns_of(table))
        if not missing:
            return table
        # Set the property first, so that no reader finds files with different columns without it.
        self.mark(name, MIXED_PROPERTY)
        declared = Schema.from_arrow(TABLES[name])
        with synced(self.handle(name)) as table:
            table.alter.add_columns([field for field in declared.fields if field.name in missing])
        return self.handle(name)

    def create_table(self, name: TableName) -> None:
        """Make one table if it is missing, as in an index that is older than the table."""
        try:
            with named_if_unwritable(self.table_uri(name)):
                table = self._create_table(name)
                sync_commits(table, since=-1)
        except DeltaError as exc:
            if not self.holds(name):
                raise self._out_of_reach("made", exc) from exc
            self.handle(name)  # Another process was first. If not, this raises the error.

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
        """The error for a log that the table library refuses."""
        files = log_files(self.filesystem(), f"{self.table_uri(name)}/_delta_log")
        if damaged := next((file for file in files if file.problem), None):
            return IndexDamagedError(self.root, f"{name}: {damaged}")
        return self._out_of_reach("read", exc)

    def _out_of_reach(self, what: str, exc: Exception) -> ConfigError:
        cause = cause_of(exc, self.storage_options)
        return ConfigError(
            f"index at {self.root}: cannot be {what}: {cause}; check the name, your rights and, "
            "for a bucket, AWS_ENDPOINT_URL and the credentials"
        )

    def _no_index(self) -> IndexFormatError:
        return IndexFormatError(
            f"no index at {self.root}: run timereel index ... --index {self.root} first"
        )


def columns_of(table: DeltaTable) -> list[str]:
    """Names of the columns of a table, including columns that this code does not know."""
    return [field.name for field in table.schema().fields]


def is_marked(table: DeltaTable, prop: str) -> bool:
    """Whether ``Store.mark`` has set the property."""
    return bool(table.metadata().configuration.get(prop) == "true")
