"""A fault that a check of an index has found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipeline.tables.schema import TableName

Kind: TypeAlias = Literal[
    "log",  # move the file to _damaged
    "table",  # make a new table
    "file",  # move it to _damaged and remove it from the table
    "doubled",  # keep one of the rows
    "orphaned",  # remove the rows, whose video does not exist
    "underived",  # derive events and segments from the video's windows again
    "unanswered",  # let the next run ask the engine about footage without windows
    "half mended",  # continue a repair that was killed
]
Key: TypeAlias = tuple[str, str, str]
"""A video under one configuration: video_id, task, fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault: as texts for a person, and as the keys that a repair needs."""

    kind: Kind
    table: TableName
    what: str
    what_is_lost: str
    repair: str
    path: str = ""
    """Path of a log file, or of a data file relative to the table's folder."""
    video: Key = ("", "", "")
    ids: Sequence[str] = ()
    """Ids of rows of ``table``."""

    def to_json(self) -> dict[str, str]:
        """The texts, by the names of their fields."""
        names = ("kind", "table", "what", "what_is_lost", "repair")
        return {name: getattr(self, name) for name in names}

    @property
    def work(self) -> tuple[str, str]:
        """Task and fingerprint of the rows."""
        return self.video[1:]

    def __str__(self) -> str:
        return f"{self.table}: {self.what}; {self.what_is_lost}; repair: {self.repair}"
