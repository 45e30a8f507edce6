"""A time in as many pieces as a path has it in: digits of a calendar, or since 1970."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pipeline.sources.local_time import credible
from pipeline.timebase import NS_PER_MS, NS_PER_S, NS_PER_US, datetime_to_ns, ns_to_datetime

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Of RFC 5322 and of Europe: the names of zones that mean one offset each. In hours.
_ZONES = {
    "Z": 0, "UTC": 0, "GMT": 0, "UT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7,
    "MDT": -6, "PST": -8, "PDT": -7, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3,
}  # fmt: skip
_OFFSET = re.compile(r"(?:GMT|UTC)?([+-])(\d{1,2})(?::?(\d\d))?")

PIECES = {
    "%Y": r"\d{4}",
    "%y": r"\d{2}",
    "%m": r"\d{2}",
    "%-m": r"\d{1,2}",
    "%b": "(?i:" + "|".join(_MONTHS) + ")",
    "%d": r"\d{2}",
    "%-d": r"\d{1,2}",
    "%j": r"\d{3}",
    "%H": r"\d{2}",
    "%-H": r"\d{1,2}",
    "%I": r"\d{2}",
    "%-I": r"\d{1,2}",
    "%p": r"[AaPp]\.?[Mm]\.?",
    "%M": r"\d{2}",
    "%-M": r"\d{1,2}",
    "%S": r"\d{2}",
    "%-S": r"\d{1,2}",
    "%f": r"\d{1,9}",
    "%z": r"(?:Z|[+-]\d{2}:?\d{2})",
    "%Z": r"(?:(?:GMT|UTC)[+-]\d{1,2}(?::?\d{2})?|" + "|".join(sorted(_ZONES, reverse=True)) + ")",
}
"""As strftime writes them; with ``-`` they need no leading zero. ``%f`` is the fraction of a
second, and ``%Z`` the name of a zone or ``GMT+1``."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A count since 1970, of times of this century."""

    pattern: str
    unit_ns: int


EPOCHS = {
    "epoch_s": Epoch(r"\d{9,11}(?:\.\d{1,9})?", NS_PER_S),
    "epoch_ms": Epoch(r"\d{12,14}(?:\.\d{1,6})?", NS_PER_MS),
    "epoch_us": Epoch(r"\d{15,17}(?:\.\d{1,3})?", NS_PER_US),
    "epoch_ns": Epoch(r"\d{18,20}", 1),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A whole microsecond, without a zone if the path names none, and the nanoseconds after it."""

    at: datetime
    extra_ns: int = 0

    @property
    def utc_ns(self) -> int:
        """Of a moment that has a zone."""
        return datetime_to_ns(self.at) + self.extra_ns


_OF_A_DAY = frozenset({"%Y", "%y", "%m", "%b", "%d", "%j", "%p", "%z", "%Z"})
_ONE_DAY = timedelta(days=1)


def moment(pieces: Mapping[str, str]) -> Moment | None:
    """The time that the pieces write; None if they are not at least a date and an hour.

    A count since 1970 goes before all other pieces.

    Raises:
        ValueError: it is no time, or no time at which a recording can begin.
    """
    for form, epoch in EPOCHS.items():
        if form in pieces:
            begun = _since_1970(pieces[form], epoch.unit_ns)
            # The fraction of whole seconds may stand elsewhere in the path.
            return begun if form != "epoch_s" or begun.utc_ns % NS_PER_S else _later(begun, pieces)
    day, hour = _day(pieces), _hour(pieces)
    if day is None or hour is None:
        return None
    minute, second = int(pieces.get("%M", "0")), int(pieces.get("%S", "0"))
    since_midnight = timedelta(hours=hour, minutes=minute, seconds=second)
    # Some recorders write the end of a day as 24.00.00.
    if max(minute, second) > 59 or since_midnight > _ONE_DAY:  # noqa: PLR2004
        raise ValueError(f"{hour}:{minute}:{second} is no time of a day")
    zone = _zone(pieces.get("%z") or pieces.get("%Z") or "")
    return _later(Moment(credible((day + since_midnight).replace(tzinfo=zone))), pieces)


def _later(whole: Moment, pieces: Mapping[str, str]) -> Moment:
    """A whole second, and the fraction that the pieces have."""
    fraction_ns = int(pieces.get("%f", "").ljust(9, "0"))
    fraction = timedelta(microseconds=fraction_ns // NS_PER_US)
    return Moment(whole.at + fraction, fraction_ns % NS_PER_US)


def end_moment(
    pieces: Mapping[str, str], start: Moment, pieces_of_start: Mapping[str, str]
) -> Moment | None:
    """As ``moment`` for an end, which has the date and the zone of the start where it names none.

    Without a date of its own it lies at most a day after the start, so perhaps on the next day.
    """
    if not pieces:
        return None
    of_a_day = {name: text for name, text in pieces_of_start.items() if name in _OF_A_DAY}
    end = moment({**of_a_day, **pieces})
    if end is None or not {"%d", "%j", *EPOCHS}.isdisjoint(pieces):
        return end
    if end.at.replace(tzinfo=None) < start.at.replace(tzinfo=None):
        return Moment(end.at + _ONE_DAY, end.extra_ns)
    return end


def _since_1970(text: str, unit_ns: int) -> Moment:
    whole, _, fraction = text.partition(".")
    utc_ns = int(whole) * unit_ns + int(fraction or "0") * unit_ns // 10 ** len(fraction)
    return Moment(credible(ns_to_datetime(utc_ns)), utc_ns % NS_PER_US)


def _day(pieces: Mapping[str, str]) -> datetime | None:
    year = int(pieces.get("%Y") or f"20{pieces.get('%y', '')}")
    month = pieces.get("%m") or pieces.get("%b")
    if not {"%Y", "%y"}.isdisjoint(pieces) and month and "%d" in pieces:
        number = int(month) if month.isdigit() else _MONTHS.index(month.lower()) + 1
        return datetime(year, number, int(pieces["%d"]))  # noqa: DTZ001 - the zone comes later
    if not {"%Y", "%y"}.isdisjoint(pieces) and "%j" in pieces:
        return datetime.strptime(f"{year} {pieces['%j']}", "%Y %j")  # noqa: DTZ007 - the same
    return None


def _hour(pieces: Mapping[str, str]) -> int | None:
    if "%H" in pieces:
        return int(pieces["%H"])
    if "%I" not in pieces or "%p" not in pieces:
        return None
    hour = int(pieces["%I"])
    if not 1 <= hour <= 12:  # noqa: PLR2004 - of a clock face
        raise ValueError(f"{hour} is no hour before or after noon")
    return hour % 12 + (12 if pieces["%p"][0] in "Pp" else 0)


def _zone(text: str) -> timezone | None:
    if not text:
        return None
    if text in _ZONES:
        return timezone(timedelta(hours=_ZONES[text]))
    sign, hours, minutes = _OFFSET.fullmatch(text).groups()  # type: ignore[union-attr]
    offset = timedelta(hours=int(hours), minutes=int(minutes or "0"))
    return timezone(-offset if sign == "-" else offset)
