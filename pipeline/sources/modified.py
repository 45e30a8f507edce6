"""Decides by modification time which files are still being written, and which are new. Pure."""

from datetime import datetime

import pyarrow.compute as pc

from pipeline.records import Source
from pipeline.sources.columns import SourceTable
from pipeline.timebase import datetime_to_ns, seconds_to_ns


def is_being_written(source: Source, settle_s: float, now: datetime) -> bool:
    """Whether the file was modified less than ``settle_s`` ago.

    A time at least that far in the future comes from a wrong clock and does not count. A file
    without a time counts as complete.
    """
    if source.mtime_ns is None:
        return False
    return abs(datetime_to_ns(now) - source.mtime_ns) < seconds_to_ns(settle_s)


def still_written(num_files: int) -> str:
    """The message that says how many files are still being written."""
    return f"{'1 file is' if num_files == 1 else f'{num_files} files are'} still being written"


def modified_since(sources: SourceTable, since: datetime) -> SourceTable:
    """The sources that were modified at ``since`` or later, and those without a known time."""
    modified = pc.field("mtime_ns")
    return sources.filter(modified.is_null() | (modified >= datetime_to_ns(since)))
