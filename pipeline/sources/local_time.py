"""Wall-clock times as people and recorders write them become UTC, or a clear refusal."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pipeline.config import SourcesConfig
from pipeline.errors import SourceError
from pipeline.timebase import datetime_to_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingHints:
    """What a name or a note says of a recording; None for what it does not say."""

    camera: str | None = None
    start_ns: int | None = None
    """UTC by the camera's own clock."""
    warnings: tuple[str, ...] = ()


# Beyond these, calendars and tables come to their ends.
_CREDIBLE_YEARS = range(1900, 2200)


def credible(at: datetime) -> datetime:
    """``at`` itself.

    Raises:
        ValueError: no recording began in such a year.
    """
    if at.year not in _CREDIBLE_YEARS:
        raise ValueError(f"a recording does not begin in the year {at.year}")
    return at


def hints_at(at: datetime, config: SourcesConfig, *, camera: str | None = None) -> RecordingHints:
    """A recording that began ``at``; without a zone that is a local time of ``config.timezone``.

    The hour that comes twice when summer time ends is read as ``config.ambiguous`` says, with a
    warning. The hour that is left out when it begins is refused: a clock that shows it does not
    follow the zone's summer time, so that every other time it tells would be wrong as well.

    Raises:
        SourceError: the local time does not exist, or comes twice and that is to be refused.
    """
    if at.tzinfo is not None:
        return RecordingHints(camera=camera, start_ns=datetime_to_ns(at))
    zone = ZoneInfo(config.timezone)
    first, second = (at.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return RecordingHints(camera=camera, start_ns=_utc_ns(first))
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != at:
        raise SourceError(
            f"the local time {at} does not exist in {config.timezone}, where the clocks went"
            " forward then; if this camera's clock does not, set sources.timezone to its fixed"
            " offset, for instance Etc/GMT-1 for UTC+1"
        )
    if config.ambiguous == "refuse":
        raise SourceError(
            f"the local time {at} comes twice in {config.timezone}, where the clocks went back"
            " then; set sources.ambiguous to earlier or later, or name the zone in the file name"
        )
    warning = (
        f"the local time {at} comes twice in {config.timezone};"
        f" the {config.ambiguous} was taken (sources.ambiguous)"
    )
    chosen = first if config.ambiguous == "earlier" else second
    return RecordingHints(camera=camera, start_ns=_utc_ns(chosen), warnings=(warning,))


def _utc_ns(local: datetime) -> int:
    # Two times of one zone are subtracted without their offsets, so UTC comes first.
    return datetime_to_ns(local.astimezone(UTC))
