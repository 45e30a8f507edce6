"""What was found against what was found before: each happening is one alert, and keeps its id.

An alert is known by its rule, camera and label, and by its time: an id of an event changes when a
late file or another model moves its first observation.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pipeline.alerts.rules import Found, join
from pipeline.config.alerts import AlertsConfig, RuleConfig
from pipeline.records import Alert, Happening, make_id
from pipeline.timebase import TimeRange, ns_to_datetime, seconds_to_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """What becomes of an outbox."""

    new: list[Alert]
    changed: list[Alert]
    """Alerts that have grown."""
    before: list[Alert]
    """The same as they were."""


def match(
    known: Iterable[Alert], found: Iterable[Found], config: AlertsConfig, now: datetime
) -> Matched:
    """New alerts for what is new, and those of ``known`` that have grown."""
    by_key: dict[tuple[str, str, str], dict[str, list[Alert]]] = defaultdict(dict)
    for alert in known:
        by_key[_key(alert.what)].setdefault(alert.alert_id, []).append(alert)
    before = {row.row_id: row for rows in by_key.values() for one in rows.values() for row in one}
    made: set[str] = set()
    for one in sorted(found, key=lambda found: found.what.span):
        settings, alerts = config.rules[one.what.rule], by_key[_key(one.what)]
        if near := _nearest(alerts, one.what, settings):
            if near in made:  # nobody has heard of it yet, so it is one alert from the start
                alerts[near] = [
                    replace(row, what=join([row.what, one.what])) for row in alerts[near]
                ]
            else:
                alerts[near] = [_grown(row, one.what, settings, now) for row in alerts[near]]
        elif one.is_new:
            rows = list(_new(one.what, config, now))
            alerts[rows[0].alert_id] = rows
            made.add(rows[0].alert_id)
    rows = [row for alerts in by_key.values() for one in alerts.values() for row in one]
    changed = [row for row in rows if row.row_id in before and row != before[row.row_id]]
    return Matched(
        new=[row for row in rows if row.row_id not in before],
        changed=changed,
        before=[before[row.row_id] for row in changed],
    )


def _key(what: Happening) -> tuple[str, str, str]:
    # Many events are one count, whichever labels they have.
    return what.rule, what.camera, what.label if what.kind == "event" else what.kind


def _nearest(alerts: dict[str, list[Alert]], what: Happening, settings: RuleConfig) -> str | None:
    """The earliest alert that is about the same."""
    reach_ns = seconds_to_ns(settings.same_within_s)
    wide = TimeRange(what.span.start_ns - reach_ns, what.span.end_ns + reach_ns)
    same = [rows[0] for rows in alerts.values() if rows[0].what.span.overlaps(wide)]
    return min(same, key=lambda row: (row.what.span, row.alert_id)).alert_id if same else None


def _grown(row: Alert, what: Happening, settings: RuleConfig, now: datetime) -> Alert:
    """The alert with what was found now; a new revision if it has grown enough to be told."""
    whole = join([row.what, what])
    grown_ns = whole.span.duration_ns - row.what.span.duration_ns
    if grown_ns < max(seconds_to_ns(settings.update_s), 1):
        return row
    whole = replace(whole, text=what.text) if what.kind != "event" else whole
    if what.kind == "absence" or row.state in {"dropped", "dead"}:
        return replace(row, what=whole)
    if not (row.sent_revision or row.message_id):  # nobody has heard of it yet
        return replace(row, what=whole)
    return replace(
        row,
        what=whole,
        revision=row.revision + 1,
        changed_at=now,
        state="waiting",
        num_tries=0,
        due_at=now,
        error="",
        # What was tried of the former revision is another message.
        message_id="",
        claimed_by="",
        claimed_at=None,
    )


def _new(what: Happening, config: AlertsConfig, now: datetime) -> Iterator[Alert]:
    settings = config.rules[what.rule]
    is_late = ns_to_datetime(what.span.end_ns) < now - timedelta(seconds=settings.late_after_s)
    for sink in config.sinks_of(what.rule):
        yield Alert(
            alert_id=make_id("alert", *_key(what), what.span, *what.event_ids[:1]),
            sink=sink,
            what=what,
            is_late=is_late,
            found_at=now,
            changed_at=now,
            due_at=now,
            state="dropped" if is_late and settings.late == "drop" else "waiting",
        )
