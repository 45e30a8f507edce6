"""Decides by modification time which files are still being written, and which are new. Pure."""

import re
from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc

from pipeline.errors import ConfigError
from pipeline.records import Source
from pipeline.sources.columns import SourceTable
from pipeline.timebase import datetime_to_ns, seconds_to_ns

_AGE = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


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


def parse_since(text: str, now: datetime, option: str = "--since") -> datetime:
    """Parse a time (ISO 8601, UTC if it has no zone) or an age before ``now`` such as ``2h``.

    Raises:
        ConfigError: it is neither; the message names the ``option``.
    """
    try:
        if _AGE.fullmatch(text.strip()):
            return now - timedelta(seconds=parse_duration_s(text, option))
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise ConfigError(
            f"{option} {text}: is neither an age such as 90s, 30m, 2h or 7d"
            " nor a time such as 2026-03-14T09:00:00Z"
        ) from exc


def parse_duration_s(text: str, option: str) -> float:
    """Seconds of a duration such as ``90s``, ``5m``, ``2h`` or ``7d``.

    Raises:
        ConfigError: it is none; the message names the ``option``.
    """
    if not (duration := _AGE.fullmatch(text.strip())):
        raise ConfigError(f"{option} {text}: is no duration such as 90s, 5m, 2h or 7d")
    return float(duration[1]) * _UNITS_S[duration[2]]
