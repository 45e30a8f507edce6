"""Turns local times, as people and recorders write them, into UTC; refuses those with no answer."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pipeline.config import SourcesConfig
from pipeline.config.footage import Ambiguous
from pipeline.errors import SourceError
from pipeline.timebase import datetime_to_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingHints:
    """Camera and start of a recording, from its name or a sidecar; None if unknown."""

    camera: str | None = None
    start_ns: int | None = None
    """UTC by the camera's uncorrected clock."""
    warnings: tuple[str, ...] = ()
    end_ns: int | None = None
    """UTC at which the path says that the recording ends."""
    folder: str | None = None
    """The name of a folder that serves as camera, where nothing else names one."""
    view: str | None = None
    """Of several pictures of one recording, as ``rear``."""
    number: str | None = None
    """What the files of one recording share."""
    rule: str = ""
    """The profile or setting that read the path, "" if none could."""
    template: str = ""
    problem: str = ""
    """Why the time in the path is none, "" if it is one."""
    zone: str = ""
    """The zone that was assumed of the start; "" if the path or the sidecar names one."""
    is_low_resolution: bool = False
    """Whether it is the small twin of another file."""


# Calendars and table formats cannot hold all years beyond these.
_CREDIBLE_YEARS = range(1900, 2200)


def credible(at: datetime) -> datetime:
    """``at``, checked.

    Raises:
        ValueError: no recording can have begun in that year.
    """
    if at.year not in _CREDIBLE_YEARS:
        raise ValueError(f"a recording does not begin in the year {at.year}")
    return at


def hints_at(at: datetime, config: SourcesConfig, *, camera: str | None = None) -> RecordingHints:
    """Hints for a recording that began ``at``; without a zone it is in ``config.timezone``.

    Raises:
        SourceError: the local time does not exist, or it comes twice and ``ambiguous`` is refuse.
    """
    start_ns, warnings = utc_of(at, config.timezone, config.ambiguous)
    zone = "" if at.tzinfo else config.timezone
    return RecordingHints(camera=camera, start_ns=start_ns, warnings=warnings, zone=zone)


def utc_of(at: datetime, timezone: str, ambiguous: Ambiguous) -> tuple[int, tuple[str, ...]]:
    """UTC in nanoseconds of a time, which is in ``timezone`` if it has no zone; and warnings.

    When summer time ends, one hour comes twice; ``ambiguous`` chooses, with a warning. When summer
    time begins, one hour is skipped; times in it are refused. A clock that shows such a time does
    not follow the zone's summer time, so that its other times would be wrong as well.

    Raises:
        SourceError: the local time does not exist, or it comes twice and ``ambiguous`` is refuse.
    """
    if at.tzinfo is not None:
        return datetime_to_ns(at), ()
    zone = ZoneInfo(timezone)
    first, second = (at.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return _utc_ns(first), ()
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != at:
        raise SourceError(
            f"the local time {at} does not exist in {timezone}, where the clocks went"
            " forward then; if this camera's clock does not, set sources.timezone to its fixed"
            " offset, for instance Etc/GMT-1 for UTC+1"
        )
    if ambiguous == "refuse":
        raise SourceError(
            f"the local time {at} comes twice in {timezone}, where the clocks went back"
            " then; set sources.ambiguous to earlier or later, or name the zone in the file name"
        )
    warning = (
        f"the local time {at} comes twice in {timezone};"
        f" the {ambiguous} was taken (sources.ambiguous)"
    )
    return _utc_ns(first if ambiguous == "earlier" else second), (warning,)


def local_to_utc(at: datetime, config: SourcesConfig) -> tuple[int, tuple[str, ...]]:
    """UTC in nanoseconds of a time in a file, and warnings; see ``hints_at``."""
    hints = hints_at(at, config)
    assert hints.start_ns is not None  # noqa: S101 - a time was given
    return hints.start_ns, hints.warnings


def _utc_ns(local: datetime) -> int:
    # Convert to UTC first: Python subtracts two times of one zone without their offsets.
    return datetime_to_ns(local.astimezone(UTC))
