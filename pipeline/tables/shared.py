"""The kinds of columns that several tables have: times, files, and what made a row.

Tables hold UTC in microseconds, and media time in seconds of the file. Both are rounded down, and
no range is rounded to nothing. Every range is half-open.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, ClassVar, Self

import pyarrow as pa

from pipeline.tables.columns import Column, Row
from pipeline.timebase import (
    NS_PER_S,
    NS_PER_US,
    TimeRange,
    datetime_to_ns,
    ns_to_datetime,
    seconds_to_ns,
)

TIME = pa.timestamp("us", tz="UTC")
DATE = pa.date32()
STRING = pa.string()
STRINGS = pa.list_(STRING)
TEXT_BY_NAME = pa.map_(STRING, STRING)
INT32 = pa.int32()
INT64 = pa.int64()
FLOAT32 = pa.float32()
SECONDS = pa.float64()


def utc_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table as Python values; its times are aware, in UTC.

    For a time with a zone ``to_pylist`` imports pandas, which takes a third of a command's time.
    """
    schema = pa.schema(
        field.with_type(pa.timestamp("us")) if field.type == TIME else field
        for field in table.schema
    )
    rows: list[dict[str, Any]] = table.cast(schema).to_pylist()
    times = [field.name for field in table.schema if field.type == TIME]
    for row in rows:
        row.update({name: row[name] and row[name].replace(tzinfo=UTC) for name in times})
    return rows


PROVENANCE: list[Column[Any]] = [
    Column("task", STRING, "Name of the task that was asked."),
    Column("model", STRING, "The model that answered, or the engine without one."),
    Column("prompt_id", STRING, "Names the text of the prompt."),
    Column("fingerprint", STRING, "Hash of all settings that decide an answer, task and model."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What made the rows of one run."""

    COLUMNS: ClassVar = tuple(column.name for column in PROVENANCE)

    task: str
    model: str
    prompt_id: str
    fingerprint: str
    config: str

    @classmethod
    def of_row(cls, row: Row, config: str = "") -> Self:
        """What made a row that is stored."""
        return cls(config=config, **{name: row[name] for name in cls.COLUMNS})

    def columns(self) -> dict[str, str]:
        """The columns that every row carries."""
        return {name: getattr(self, name) for name in self.COLUMNS}


def range_columns(*, camera: str, utc: str) -> list[Column[Any]]:
    """The columns that most tables begin with: those that file statistics are asked for.

    Args:
        camera: path of the camera's name.
        utc: path of the range.
    """
    get = attrgetter(utc)
    return [
        Column(
            "date",
            DATE,
            "UTC date of `start`.",
            to_row=lambda record: instant(get(record).start_ns).date(),
        ),
        Column("camera", STRING, "Name of the camera.", path=camera),
        *utc_range(utc),
    ]


def utc_range(path: str = "") -> list[Column[Any]]:
    """Two columns for the range of UTC at ``path``; without it for a record that is one."""
    get: Callable[[Any], TimeRange] = attrgetter(path) if path else lambda record: record
    return [
        Column(
            "start",
            TIME,
            "Where it begins.",
            path=path,
            to_row=lambda record: instant(get(record).start_ns),
            from_row=_utc_of_row,
        ),
        Column(
            "end",
            TIME,
            "Where it ends.",
            to_row=lambda record: instant(_end_ns(get(record))),
            ends="start",
        ),
    ]


def utc_instant(name: str, doc: str, *, path: str) -> Column[Any]:
    """A column for the instant at ``path``, in nanoseconds."""
    get = attrgetter(path)
    return Column(
        name,
        TIME,
        doc,
        path=path,
        to_row=lambda record: instant(get(record)),
        from_row=lambda row: datetime_to_ns(row[name]),
    )


def file_columns(*, video_id: str, uri: str) -> list[Column[Any]]:
    """The columns that name a file, by the paths of its id and its URI."""
    return [
        Column(
            "video_id", STRING, "Id of the video: hash of content, camera and start.", path=video_id
        ),
        Column("uri", STRING, "The file it is in.", path=uri),
    ]


def media_range(path: str, *, is_stored_exactly: bool = False) -> list[Column[Any]]:
    """Two columns for the range of media time at ``path``, for players: seconds in the file.

    Where ``exact_media_range`` stands beside them, that gives the range back.
    """
    get = attrgetter(path)
    return [
        Column(
            "media_start",
            SECONDS,
            "Seconds in the file where it begins.",
            path="" if is_stored_exactly else path,
            to_row=lambda record: seconds(get(record).start_ns),
            from_row=_media_of_row,
        ),
        Column(
            "media_end",
            SECONDS,
            "Seconds in the file where it ends.",
            to_row=lambda record: seconds(_end_ns(get(record))),
            ends="media_start",
        ),
    ]


def exact_media_range(path: str) -> list[Column[Any]]:
    """Two columns for the same, which lose nothing; null in rows of an older timereel."""
    return [
        Column(
            "media_start_ns",
            INT64,
            "`media_start` to the nanosecond; null in rows of an older timereel.",
            path=path,
            to_row=attrgetter(f"{path}.start_ns"),
            from_row=_exact_media_of_row,
            nullable=True,
        ),
        Column(
            "media_end_ns",
            INT64,
            "`media_end` to the nanosecond: windows add up to their shard exactly.",
            to_row=attrgetter(f"{path}.end_ns"),
            nullable=True,
        ),
    ]


def instant(utc_ns: int) -> datetime:
    """A time as tables hold it, rounded down to the microsecond."""
    return ns_to_datetime(utc_ns)


def seconds(ns: int) -> float:
    """Seconds as tables hold them, rounded down to the microsecond."""
    return ns // NS_PER_US / (NS_PER_S // NS_PER_US)


def _end_ns(span: TimeRange) -> int:
    return max(span.end_ns, span.start_ns + NS_PER_US)


def _utc_of_row(row: Row) -> TimeRange:
    return TimeRange(datetime_to_ns(row["start"]), datetime_to_ns(row["end"]))


def _media_of_row(row: Row) -> TimeRange:
    return TimeRange(seconds_to_ns(row["media_start"]), seconds_to_ns(row["media_end"]))


def _exact_media_of_row(row: Row) -> TimeRange:
    if row["media_start_ns"] is None:
        return _media_of_row(row)
    return TimeRange(row["media_start_ns"], row["media_end_ns"])
