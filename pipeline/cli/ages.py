"""Ages and durations such as ``2h``, as options name them."""

import re
from datetime import UTC, datetime, timedelta

from pipeline.errors import ConfigError

_AGE = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


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
