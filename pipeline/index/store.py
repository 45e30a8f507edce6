"""Where an index is: its folder, its storage options, and its Delta tables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlparse

from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from pipeline.errors import ConfigError, IndexFormatError
from pipeline.schema import SCHEMA_VERSION, TABLES, TableName

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

VERSION_PROPERTY = "timereel.schema_version"
# Set once and for good: files of a table may differ in their columns (they were added later), and
# a video may have rows of several fingerprints (index --keep).
MIXED_PROPERTY = "timereel.mixed_columns"
GENERATIONS_PROPERTY = "timereel.generations"

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

    def table_uri(self, name: TableName) -> str:
        """Folder of one table."""
        return f"{self.root}/{name}"

    def tables(self) -> tuple[TableName, ...]:
        """The tables that are here; an index that is older than a table lacks it."""
        return tuple(filter(self.holds, TABLES))

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
            ConfigError: the store does not answer.
        """
        try:
            table = DeltaTable(self.table_uri(name), storage_options=dict(self.storage_options))
        except TableNotFoundError as exc:
            raise self._no_index() from exc
        except OSError as exc:
            raise self._out_of_reach("read", exc) from exc
        written_by = table.metadata().configuration.get(VERSION_PROPERTY)
        if written_by is None or not written_by.isdecimal():
            raise self._no_index()
        if int(written_by) > SCHEMA_VERSION:
            raise IndexFormatError(
                f"index at {self.root}: {name} has schema version {written_by}, this timereel "
                f"reads up to {SCHEMA_VERSION}; install a newer timereel"
            )
        return table

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
        """
        for name in sorted(TABLES, key=lambda name: name == "videos"):
            if self.holds(name):
                self._add_columns(name)
            else:
                self.create_table(name)

    def mark(self, name: TableName, prop: str) -> None:
        """Set a property of a table, once."""
        table = self.handle(name)
        if not is_marked(table, prop):
            table.alter.set_table_properties({prop: "true"}, raise_if_not_exists=False)

    def _add_columns(self, name: TableName) -> None:
        if missing := set(TABLES[name].names) - set(columns_of(self.handle(name))):
            # First, so that no reader meets files of two kinds unprepared.
            self.mark(name, MIXED_PROPERTY)
            declared = Schema.from_arrow(TABLES[name])
            added = [field for field in declared.fields if field.name in missing]
            self.handle(name).alter.add_columns(added)

    def create_table(self, name: TableName) -> None:
        """Make one table if it is missing, as in an index that is older than it."""
        known = set(TABLES[name].names)
        try:
            DeltaTable.create(
                self.table_uri(name),
                TABLES[name],
                mode="ignore",
                partition_by=["date"],
                configuration={
                    VERSION_PROPERTY: str(SCHEMA_VERSION),
                    "delta.checkpointInterval": str(_CHECKPOINT_COMMITS),
                    "delta.dataSkippingStatsColumns": ",".join(
                        column for column in _STATISTICS.split(",") if column in known
                    ),
                },
                storage_options=dict(self.storage_options),
                raise_if_key_not_exists=False,
            )
        except DeltaError as exc:
            if not self.holds(name):
                raise self._out_of_reach("made", exc) from exc
            self.handle(name)  # Somebody else was first. If not, this raises what is wrong.

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
