"""What a clock on the wall of some zone shows, and which zones explain a jump of it. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.timebase import NS_PER_S, ns_to_datetime

NEAR_NS = 60 * NS_PER_S
"""Clocks are set, and files end, to about a minute."""

_HOUR_NS = 3600 * NS_PER_S
QUARTER_NS = _HOUR_NS // 4
_MAX_ZONE_NS = 15 * _HOUR_NS
_MINUTES_PER_HOUR, _MINUTES_PER_DAY = 60, 24 * 60

ZONES = (
    "UTC", "Europe/London", "Europe/Berlin", "Europe/Athens", "Europe/Moscow", "Asia/Dubai",
    "Asia/Kolkata", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland",
    "America/Sao_Paulo", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles",
)  # fmt: skip
"""Well-known examples, one for each rule of summer time: the user picks the place."""


def touches(before: datetime, after: datetime, zone: str) -> bool:
    """Whether a clock in ``zone`` shows ``after`` right when it has shown ``before``."""
    before -= timedelta(microseconds=1)
    if not (_exists(before, zone) and _exists(after, zone)):
        return False
    return abs(utc_ns_of(after, zone, 1) - utc_ns_of(before, zone, 0)) <= NEAR_NS


def _exists(wall: datetime, zone: str) -> bool:
    return wall_at(utc_ns_of(wall, zone, 0), zone) == wall


def is_zone_step(step_ns: int) -> bool:
    """Whether zones are so far apart: quarters of an hour, to about a minute."""
    rest_ns = (abs(step_ns) + QUARTER_NS // 2) % QUARTER_NS - QUARTER_NS // 2
    return abs(rest_ns) <= NEAR_NS < abs(step_ns) <= _MAX_ZONE_NS


def offset_ns(wall: datetime, zone: str) -> int:
    """How far the zone is ahead of UTC when its clocks show ``wall``."""
    offset = wall.replace(tzinfo=ZoneInfo(zone)).utcoffset() or timedelta()
    return int(offset.total_seconds()) * NS_PER_S


def fixed_zone(offset_ns: int) -> str:
    """The zone that is always so far ahead of UTC, to the hour; its name has the other sign."""
    hours = round(offset_ns / _HOUR_NS)
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"


def wall_at(utc_ns: int, zone: str) -> datetime:
    """What a clock in the zone shows; "" is UTC."""
    return ns_to_datetime(utc_ns).astimezone(ZoneInfo(zone or "UTC")).replace(tzinfo=None)


def utc_ns_of(wall: datetime, zone: str, fold: int) -> int:
    """UTC in nanoseconds; ``fold`` chooses in the hour that comes twice."""
    at = wall.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)
    return round(at.timestamp() * 1_000_000) * 1000


def length(length_ns: int) -> str:
    """The length in words, to the minute."""
    days, minutes = divmod(round(abs(length_ns) / NS_PER_S / 60), _MINUTES_PER_DAY)
    hours, minutes = divmod(minutes, _MINUTES_PER_HOUR)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "under a minute"
