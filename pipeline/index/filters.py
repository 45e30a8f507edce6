"""What a caller may ask for, as SQL conditions and as bounds that prune files."""

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

# So many values DuckDB compares while it reads; more are a join, after whole rows were read.
_MAX_LISTED = 20
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Span:
    """``[start_us, end_us)`` since the epoch; None is open."""

    start_us: int | None = None
    end_us: int | None = None

    @classmethod
    def parse(cls, start: When, end: When) -> "Span":
        """From what a user gives, UTC where no zone is named; a date is its midnight.

        Raises:
            ConfigError: no time, or an end that is not after the start.
        """
        span = cls(_to_us(start), _to_us(end))
        if span.start_us is not None and span.end_us is not None and span.end_us <= span.start_us:
            raise ConfigError(f"range from {start} to {end} is empty: the end must come after")
        return span


def _to_us(at: When) -> int | None:
    if at is None:
        return None
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError as exc:
            raise ConfigError(f"{at!r} is no ISO 8601 time; try 2026-01-31T08:00:00Z") from exc
    elif isinstance(at, np.datetime64):
        at = _of_numpy(at)
    elif not isinstance(at, datetime):
        at = datetime.combine(at, time())
    if at != at:  # noqa: PLR0124 - pandas.NaT is a datetime, and never equal to itself
        raise ConfigError(f"{at} is no time; leave that end of the range open with None")
    at = datetime.combine(at.date(), at.timetz())  # a plain one: pandas' own leave the range
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
    # Years are asked first, as a conversion to microseconds wraps around without a word.
    if not MINYEAR <= 1970 + int(at.astype("datetime64[Y]").astype(np.int64)) <= MAXYEAR:
        raise _out_of_range(at)
    us: datetime = at.astype("datetime64[us]").item()
    return us


def _out_of_range(at: object) -> ConfigError:
    return ConfigError(
        f"{at} is not in the years {MINYEAR} to {MAXYEAR} of UTC; leave that end of the range open"
    )


@dataclass(frozen=True, slots=True)
class Cameras:
    """Which cameras; none named means all."""

    exact: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()

    @classmethod
    def parse(cls, names: Names, known: Collection[str] = ()) -> "Cameras":
        """From one name or several, each of which may be a glob such as ``cam*``, but if known."""
        listed = as_list(names)
        return cls(
            tuple(name for name in listed if not is_glob(name, known)),
            tuple(name for name in listed if is_glob(name, known)),
        )

    @property
    def bounds(self) -> list[tuple[str, str]]:
        """Inclusive ranges of names that hold every wanted one; empty means all."""
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
        """One more condition; ``?`` stands for each value."""
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

    def among(self, column: str, wanted: Iterable[str]) -> "Where":
        """Rows whose ``column`` is one of ``wanted``, however many those are."""
        values = list(wanted)
        if 0 < len(values) <= _MAX_LISTED:
            return self.add(f'"{column}" IN ({", ".join("?" * len(values))})', *values)
        return self.add(f'"{column}" IN (SELECT unnest(?::VARCHAR[]))', values)

    def contains(self, column: str, text: str) -> "Where":
        """Rows whose ``column`` has ``text`` in it, whatever the case."""
        if text.lower() == text.upper():  # Chinese, digits: nothing to fold, a third of the work
            return self.add(f'contains("{column}", ?)', text)
        return self.add(f'contains(lower("{column}"), lower(?))', text)

    def also(self, other: "Where") -> "Where":
        """Both."""
        return Where(self.clauses + other.clauses, self.values + other.values)

    @classmethod
    def any_of(cls, conditions: "Iterable[Where]") -> "Where":
        """At least one; of no conditions none holds."""
        some = list(conditions)
        either = " OR ".join(f"({one.sql})" for one in some)
        return cls([f"({either or 'false'})"], [value for one in some for value in one.values])

    @property
    def sql(self) -> str:
        """The whole condition."""
        return " AND ".join(self.clauses) if self.clauses else "true"


def as_list(names: Names) -> list[str]:
    """One name, several or none, as a list."""
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)
