"""Which events are told to somebody, when, and through what."""

import re
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from pipeline.config.engines import Variable, WebhookUrl, may_name_a_key
from pipeline.config.section import Seconds, Section

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(
    r"(?:(?P<days>[a-z,-]+)(?: +|$))?(?:(?P<h1>\d\d):(?P<m1>\d\d)-(?P<h2>\d\d):(?P<m2>\d\d))?"
)
_MINUTES_PER_DAY = 24 * 60

Late = Literal["send", "digest", "drop"]


class WeekHours(Section):
    """Hours of some days of the week, by a clock on the wall."""

    days: frozenset[int]
    """0 is Monday."""
    start_min: int
    """Minutes after midnight."""
    end_min: int
    """Minutes after the same midnight; beyond 24 hours where they end on the next day."""

    @classmethod
    def parse(cls, text: str) -> "WeekHours":
        """From a text such as ``22:00-06:00``, ``mon-fri 08:00-18:00`` or ``sat,sun``."""
        found = _HOURS.fullmatch(text.strip().lower())
        if not found or not text.strip():
            raise ValueError(f"{text!r} are no hours; try 22:00-06:00 or 'sat,sun 08:00-18:00'")
        start, end = 0, _MINUTES_PER_DAY
        if found["h1"]:
            start = _minutes(text, found["h1"], found["m1"])
            end = _minutes(text, found["h2"], found["m2"])
        if start >= end:
            end += _MINUTES_PER_DAY
        days = frozenset(_days(text, found["days"])) if found["days"] else frozenset(range(7))
        return cls(days=days, start_min=start, end_min=end)


def _minutes(text: str, hours: str, minutes: str) -> int:
    at = int(hours) * 60 + int(minutes)
    if int(minutes) >= 60 or at > _MINUTES_PER_DAY:  # noqa: PLR2004 - minutes of an hour
        raise ValueError(f"{text!r}: {hours}:{minutes} is no time of a day")
    return at


def _days(text: str, names: str) -> list[int]:
    days: list[int] = []
    for part in names.split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"{text!r}: {part!r} is no day; days are {', '.join(_DAYS)}")
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        days += [day % 7 for day in range(start, end + 1 + (7 if end < start else 0))]
    return days


def _checked_hours(hours: tuple[str, ...]) -> tuple[str, ...]:
    for one in hours:
        WeekHours.parse(one)
    return hours


class RuleConfig(Section):
    """What is told: events that meet all of the conditions, many of them, or that there is none."""

    labels: tuple[str, ...] = ()
    """Of the events; without any, every label counts."""
    cameras: tuple[str, ...] = ()
    """Names or globs such as `gate*`; without any, every camera counts."""
    task: str | None = None
    """Only events of this task."""
    text: str | None = None
    """Only events with this in their text, ignoring case."""
    fields: dict[str, str] = Field(default_factory=dict)
    """Only events whose extra fields have these values."""
    zones: tuple[str, ...] = ()
    """Only events that tell of these zones; `none` is what an engine saw."""
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    """Events that are less sure, or do not say how sure, do not count."""
    min_duration_s: Seconds = Field(default=0.0, ge=0)
    """Shorter events do not count."""
    hours: tuple[str, ...] = ()
    """Local hours in which an event must lie in part, such as `22:00-06:00` or
    `mon-fri 18:00-24:00`; without any, every hour counts."""
    at_least: int = Field(default=1, ge=1, le=10_000)
    """So many events must begin within `within_s`; they are one alert."""
    within_s: Seconds = Field(default=60.0, gt=0)
    """The span in which `at_least` events must begin."""
    absent_s: Seconds | None = Field(default=None, gt=0)
    """Tell that no such event was found for so long, in footage that was looked at without a gap.
    None tells of events that were found."""
    same_within_s: Seconds = Field(default=5.0, ge=0)
    """Events of one camera and label that are this close belong to the same alert."""
    update_s: Seconds = Field(default=30.0, ge=0)
    """An alert that has grown by at least so much is told again, as an update."""
    late_after_s: Seconds = Field(default=86_400.0, gt=0)
    """Events that ended longer ago when they are found are late. A new rule tells nothing of older
    ones that are in the index already."""
    late: Late = "digest"
    """What becomes of late alerts: `send` as any other, one `digest` of all that are found
    together, or `drop`."""
    throttle_s: Seconds = Field(default=0.0, ge=0)
    """After a message, this rule says nothing of the same camera for so long; what comes meanwhile
    is told together afterwards."""
    quiet: tuple[str, ...] = ()
    """Local hours in which nothing is sent; what comes meanwhile is told together afterwards."""
    digest_s: Seconds = Field(default=0.0, ge=0)
    """Alerts are collected for so long and told together; 0 tells each at once."""
    sinks: tuple[str, ...] = ()
    """Names of `alerts.sinks`; without any, all of them."""

    _hours = field_validator("hours", "quiet")(_checked_hours)

    @model_validator(mode="after")
    def _check_kind(self) -> "RuleConfig":
        if self.absent_s is not None and self.at_least > 1:
            raise ValueError("absent_s and at_least: a rule tells of one of them; make two rules")
        return self


class SinkConfig(Section):
    """Where alerts go: exactly one of the settings up to `apprise_env` that names a place."""

    jsonl: str | None = None
    """A local file to which each message is added as one line of JSON."""
    webhook: WebhookUrl | None = None
    """A URL that gets each message as JSON by POST; a status of 200 to 299 says that it has it."""
    webhook_env: Variable | None = None
    """The environment variable that holds such a URL, where the URL is a secret itself."""
    secret_env: Variable | None = None
    """The environment variable that holds the secret with which webhooks are signed."""
    command: tuple[str, ...] | None = None
    """A program and its arguments, run without a shell; it gets the message as JSON on stdin. Every
    user of the machine can see them, so no key may be among them."""
    apprise_env: Variable | None = None
    """The environment variable that holds the URLs of Apprise, separated by blanks: e-mail, Slack,
    Teams, ntfy and many others. Needs the extra `alerts`."""
    timeout_s: float = Field(default=10.0, gt=0, le=60)
    """Of one try."""
    retry_s: float = Field(default=5.0, gt=0, le=3600)
    """Wait after a failed try; it doubles with each, up to an hour."""
    give_up_s: Seconds = Field(default=86_400.0, gt=0)
    """A message that cannot be delivered for so long is dead; `alerts resend` revives it."""

    @field_validator("command")
    @classmethod
    def _holds_no_key(cls, command: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for argument in command or ():
            name = re.split("[:= ]", argument.lstrip("-"), maxsplit=1)[0]
            if may_name_a_key(name):
                raise ValueError(
                    f"{name} may be a key, and every user of the machine sees a command line; let"
                    " the program read it from an environment variable"
                )
        return command

    @model_validator(mode="after")
    def _check_one(self) -> "SinkConfig":
        kinds = ("jsonl", "webhook", "webhook_env", "command", "apprise_env")
        if len([kind for kind in kinds if getattr(self, kind)]) != 1:
            raise ValueError(f"must have exactly one of {', '.join(kinds)}")
        if self.secret_env and not (self.webhook or self.webhook_env):
            raise ValueError("secret_env: only a webhook is signed")
        return self


class AlertsConfig(Section):
    """What `timereel alerts` tells. A config may name commands and URLs, an index never."""

    timezone: str = "UTC"
    """IANA zone of all hours; they follow its summer time."""
    rules: dict[str, RuleConfig] = Field(default_factory=dict)
    """By a name of their own, which stays with their alerts."""
    sinks: dict[str, SinkConfig] = Field(default_factory=dict)
    """By a name of their own."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError) as exc:
            raise ValueError(f"{name!r} is no IANA time zone; try Europe/Berlin") from exc
        return name

    @model_validator(mode="after")
    def _check_sinks(self) -> "AlertsConfig":
        for name, rule in self.rules.items():
            if unknown := sorted(set(rule.sinks) - set(self.sinks)):
                raise ValueError(f"rules.{name}.sinks: there is no sink {unknown[0]!r}")
            if not self.sinks:
                raise ValueError(f"rules.{name}: there is no sink to tell; add one to alerts.sinks")
        return self

    def sinks_of(self, rule: str) -> tuple[str, ...]:
        """Names of the sinks that a rule tells."""
        return self.rules[rule].sinks or tuple(self.sinks)
