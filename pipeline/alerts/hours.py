"""Local hours of the week as ranges of UTC.

The time of day is that of a clock on the wall: an hour that comes twice when summer time ends
counts twice, and one that is skipped never.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.config.alerts import WeekHours
from pipeline.timebase import TimeRange, datetime_to_ns, joined, ns_to_datetime

# Two changes of the clock are never closer together.
_STEP = timedelta(hours=6)
_SECOND = timedelta(seconds=1)


def within(span: TimeRange, hours: Iterable[str], timezone: str) -> list[TimeRange]:
    """The parts of a range of UTC that lie in these hours, ascending; all of it without any."""
    wanted = [WeekHours.parse(text) for text in hours]
    if not wanted:
        return [span]
    parts = [
        TimeRange(max(at.start_ns, span.start_ns), min(at.end_ns, span.end_ns))
        for start, end, offset in _even_parts(span, ZoneInfo(timezone))
        for at in _in_hours(start, end, offset, wanted)
        if at.overlaps(span)
    ]
    return joined(parts)


def _even_parts(span: TimeRange, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """Parts of a range, each with what its local clock is ahead of UTC."""
    start = ns_to_datetime(span.start_ns)
    end = ns_to_datetime(span.end_ns - 1) + timedelta(microseconds=1)
    while start < end:
        until = min(start + _STEP, end)
        offset = _ahead(start, zone)
        if _ahead(until, zone) != offset:
            until = _change(start, until, zone)
        yield start, until, offset
        start = until


def _ahead(at: datetime, zone: ZoneInfo) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101 - an aware datetime has one
    return offset


def _change(start: datetime, end: datetime, zone: ZoneInfo) -> datetime:
    """The first whole second after ``start`` at which another offset holds."""
    before, low, high = _ahead(start, zone), start.replace(microsecond=0), end
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        low, high = (middle, high) if _ahead(middle, zone) == before else (low, middle)
    return high.replace(microsecond=0)


def _in_hours(
    start: datetime, end: datetime, offset: timedelta, wanted: Iterable[WeekHours]
) -> Iterator[TimeRange]:
    """The wanted hours in a part of UTC whose local clock is ``offset`` ahead."""
    first, last = (at + offset for at in (start, end))
    # Hours may have begun on the day before.
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=1)
    while midnight < last:
        for hours in wanted:
            opened = max(midnight + timedelta(minutes=hours.start_min), first)
            closed = min(midnight + timedelta(minutes=hours.end_min), last)
            if midnight.weekday() in hours.days and opened < closed:
                yield TimeRange(datetime_to_ns(opened - offset), datetime_to_ns(closed - offset))
        midnight += timedelta(days=1)
