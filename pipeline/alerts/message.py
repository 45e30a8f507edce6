"""One message to a sink: one alert, or several that were held back, as JSON and as text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pipeline.export.formats import to_json
from pipeline.records import Alert, make_id
from pipeline.records.sanitize import sanitized, xml_text
from pipeline.timebase import ns_to_datetime

MAX_TOLD = 100
"""Alerts of one message; more of them are several."""
_MAX_LINES = 20
"""Of a text for people."""


_MAX_NAME_CHARS = 100
# What chats and phones make mentions, links and markup of.
_CALLS: dict[int, str] = dict(zip(map(ord, "<>@`"), "\u2039\u203a\uff20'", strict=True))
_LEADS = re.compile(r"(?<=[:\]])(?=//|\()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one sink is sent; a try that is repeated sends the same id."""

    message_id: str
    sink: str
    alerts: Sequence[Alert]
    timezone: str
    kind: Literal["alert", "digest", "test"] = "alert"

    @property
    def title(self) -> str:
        """One line."""
        if self.kind == "test":
            return "timereel: a test message"
        first = self.alerts[0].what
        if len(self.alerts) > 1:
            return f"{len(self.alerts)} alerts: {_name(first.rule)}"
        late = "late: " if self.alerts[0].is_late else ""
        more = " (update)" if is_update(self.alerts[0]) else ""
        what = f"{_name(first.rule)}: {_name(first.label)}, {_name(first.camera)}"
        return _harmless(f"{late}{what}{more}")

    @property
    def text(self) -> str:
        """For people: one line for each alert, with its local time."""
        if self.kind == "test":
            return "If you can read this, alerts of this sink arrive."
        zone = ZoneInfo(self.timezone)
        lines = [_line(alert, zone) for alert in self.alerts[:_MAX_LINES]]
        if more := len(self.alerts) - len(lines):
            lines.append(f"and {more} more")
        return "\n".join(lines)

    def to_json(self, at: datetime) -> str:
        """For programs, on one line; sent ``at``."""
        return to_json(
            {
                "id": self.message_id,
                "type": self.kind,
                "sent_at": at,
                "title": self.title,
                "text": self.text,
                "alerts": [_told(alert) for alert in self.alerts],
            }
        )


def is_update(alert: Alert) -> bool:
    """Whether the sink was told of it before, or may have been."""
    return alert.revision > 1


def message_id(alerts: Sequence[Alert]) -> str:
    """Names what is told: these revisions to this sink."""
    return make_id("message", *((alert.row_id, alert.revision) for alert in alerts))


def _told(alert: Alert) -> dict[str, Any]:
    what = alert.what
    return {
        "alert_id": alert.alert_id,
        "revision": alert.revision,
        "is_update": is_update(alert),
        "is_late": alert.is_late,
        "rule": _name(what.rule),
        "kind": what.kind,
        "camera": _name(what.camera),
        "label": _name(what.label),
        "start": ns_to_datetime(what.span.start_ns),
        "end": ns_to_datetime(what.span.end_ns),
        "text": sanitized(what.text),
        "confidence": what.confidence,
        "event_ids": list(map(_name, what.event_ids)),
        "task": _name(what.task),
    }


def _line(alert: Alert, zone: ZoneInfo) -> str:
    what = alert.what
    start, end = (
        ns_to_datetime(ns).astimezone(zone) for ns in (what.span.start_ns, what.span.end_ns)
    )
    marks = [
        word for word, is_so in (("update", is_update(alert)), ("late", alert.is_late)) if is_so
    ]
    told = (
        f"{start:%Y-%m-%d %H:%M:%S %Z} to {end:%H:%M:%S}, {_name(what.camera)}: {_name(what.label)}"
    )
    told += f", {what.text}" if what.text and what.text != what.label else ""
    return _harmless(told + (f" ({', '.join(marks)})" if marks else ""))


def _name(text: str) -> str:
    """A name of strangers, sanitized and shortened."""
    return sanitized(text)[:_MAX_NAME_CHARS]


def _harmless(text: str) -> str:
    """A line for people, in whatever form it is sent: it calls nobody and leads nowhere."""
    return _LEADS.sub(" ", xml_text(text).translate(_CALLS))
