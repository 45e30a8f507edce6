"""Ranges of time, cameras and conditions: as SQL, and as bounds that prune files."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time
from typing import Any, TypeAlias

import numpy as np

from pipeline.errors import ConfigError
from pipeline.records.camera_names import is_glob, literal_prefix
from pipeline.timebase import NS_PER_US, datetime_to_ns

When: TypeAlias = datetime | date | np.datetime64 | str | None
Names: TypeAlias = str | Iterable[str] | None

# DuckDB compares up to this many values while it reads; it joins more, after it has read whole
# rows.
_MAX_LISTED = 20
WAS_READ = "(status <> 'failed' OR len(footage) > 0)"
"""Condition for rows of ``videos``: the frames are known, whether or not a model answered."""
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Span:
    """``[start_us, end_us)`` in microseconds since the epoch; None is an open end."""

    start_us: int | None = None
    end_us: int | None = None

    @classmethod
    def parse(cls, start: When, end: When) -> "Span":
        """Parse the times that a user gives: UTC if they name no zone; a date is its midnight.

        Raises:
            ConfigError: a value is no time, or the end is not after the start.
        """
        span = cls(_to_us(start), _to_us(end))
        if span.start_us is not None and span.end_us is not None and span.end_us <= span.start_us:
            raise ConfigError(
                f"range from {start} to {end} is empty: the end must be after the start"
            )
        return span


def _to_us(at: When) -> int | None:
    if at is None:
        return None
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError as exc:
            raise ConfigError(f"{at!r} is not an ISO 8601 time; try 2026-01-31T08:00:00Z") from exc
    elif isinstance(at, np.datetime64):
        at = _of_numpy(at)
    elif not isinstance(at, datetime):
        at = datetime.combine(at, time())
    if at != at:  # noqa: PLR0124 - pandas.NaT is a datetime, and never equal to itself
        raise ConfigError(f"{at} is no time; leave that end of the range open with None")
    at = datetime.combine(at.date(), at.timetz())  # pandas' datetimes fail outside their own range
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    try:
        at = at.astimezone(UTC)
    except (OverflowError, ValueError) as exc:
        raise _out_of_range(at) from exc
    return datetime_to_ns(at) // NS_PER_US


def _of_numpy(at: np.datetime64) -> datetime:
    if np.isnat(at):
        raise ConfigError(f"{at} is no time; leave that end of the range open with None")
    # Check the year first, because a conversion to microseconds overflows silently.
    if not MINYEAR <= 1970 + int(at.astype("datetime64[Y]").astype(np.int64)) <= MAXYEAR:
        raise _out_of_range(at)
    us: datetime = at.astype("datetime64[us]").item()
    return us


def _out_of_range(at: object) -> ConfigError:
    return ConfigError(
        f"{at} is outside the years {MINYEAR} to {MAXYEAR} in UTC; leave that end of the range open"
    )


@dataclass(frozen=True, slots=True)
class Cameras:
    """A choice of cameras; without any name it means all cameras."""

    exact: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()

    @classmethod
    def parse(cls, names: Names, known: Collection[str] = ()) -> "Cameras":
        """Parse one name or several; each may be a glob such as ``cam*``, unless it is known."""
        listed = list_names(names)
        return cls(
            tuple(name for name in listed if not is_glob(name, known)),
            tuple(name for name in listed if is_glob(name, known)),
        )

    @property
    def bounds(self) -> list[tuple[str, str]]:
        """Inclusive ranges of names that include every wanted camera; empty means all."""
        prefixes = map(literal_prefix, self.globs)
        return [(name, name) for name in self.exact] + [
            (prefix, prefix + _LAST_CHARACTER) for prefix in prefixes
        ]


ALWAYS = Span()
ALL = Cameras()


@dataclass(slots=True)
class Where:
    """Conditions that must all hold, with their values."""

    clauses: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, clause: str, *values: object) -> "Where":
        """Add a condition; it has one ``?`` for each value."""
        self.clauses.append(clause)
        self.values.extend(values)
        return self

    def overlaps(self, span: Span) -> "Where":
        """Rows that share an instant with ``span``."""
        if span.end_us is not None:
            self.add('"start" < make_timestamptz(?)', span.end_us)
        if span.start_us is not None:
            self.add('"end" > make_timestamptz(?)', span.start_us)
        return self

    def of(self, cameras: Cameras) -> "Where":
        """Rows of the wanted cameras."""
        if cameras.exact or cameras.globs:
            globs = ["camera GLOB ?"] * len(cameras.globs)
            exact = [f"camera IN ({', '.join('?' * len(cameras.exact))})"] if cameras.exact else []
            self.add(f"({' OR '.join(exact + globs)})", *cameras.exact, *cameras.globs)
        return self

    def is_one_of(self, column: str, wanted: Iterable[str]) -> "Where":
        """Rows whose ``column`` is one of the ``wanted`` values, of which there may be many."""
        values = list(wanted)
        if 0 < len(values) <= _MAX_LISTED:
            return self.add(f'"{column}" IN ({", ".join("?" * len(values))})', *values)
        return self.add(f'"{column}" IN (SELECT unnest(?::VARCHAR[]))', values)

    def contains(self, column: str, text: str) -> "Where":
        """Rows whose ``column`` contains ``text``, ignoring case."""
        if text.lower() == text.upper():  # Chinese or digits have no case: a third of the work
            return self.add(f'contains("{column}", ?)', text)
        return self.add(f'contains(lower("{column}"), lower(?))', text)

    def also(self, other: "Where") -> "Where":
        """The conditions of both."""
        return Where(self.clauses + other.clauses, self.values + other.values)

    @classmethod
    def any_of(cls, conditions: "Iterable[Where]") -> "Where":
        """At least one of the conditions; false if there are none."""
        wheres = list(conditions)
        either = " OR ".join(f"({where.sql})" for where in wheres)
        return cls(
            [f"({either or 'false'})"], [value for where in wheres for value in where.values]
        )

    @property
    def sql(self) -> str:
        """All conditions as SQL."""
        return " AND ".join(self.clauses) if self.clauses else "true"


def list_names(names: Names) -> list[str]:
    """One name, several or none, as a list."""
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)
