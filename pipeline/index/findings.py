"""What a look at an index has found to be wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipeline.tables.schema import TableName

Kind: TypeAlias = Literal[
    "log",  # set the file aside
    "table",  # make it anew
    "file",  # set it aside and take it out of the table
    "doubled",  # keep one of the rows
    "orphaned",  # drop the rows, whose video is no more
    "underived",  # make events and segments of the video's windows again
    "unanswered",  # let the next run ask what windows do not answer
    "half mended",  # go on with a repair that was killed
]
Key: TypeAlias = tuple[str, str, str]
"""A video under one setting: video_id, task, fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, in words and as what a repair goes by."""

    kind: Kind
    table: TableName
    what: str
    what_is_lost: str
    repair: str
    path: str = ""
    """Of a log or data file; below the table's folder if it is a data file."""
    video: Key = ("", "", "")
    ids: Sequence[str] = ()
    """Of rows of ``table``."""

    def to_json(self) -> dict[str, str]:
        """The words, by their names."""
        told = ("kind", "table", "what", "what_is_lost", "repair")
        return {name: getattr(self, name) for name in told}

    @property
    def work(self) -> tuple[str, str]:
        """Task and fingerprint of the rows."""
        return self.video[1:]

    def __str__(self) -> str:
        return f"{self.table}: {self.what}; {self.what_is_lost}; repair: {self.repair}"
