"""Which waiting alerts are told now, alone or together. Plain functions on rows of the outbox."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from pipeline.alerts.hours import within
from pipeline.config.alerts import AlertsConfig, RuleConfig
from pipeline.records import Alert
from pipeline.timebase import TimeRange, datetime_to_ns

LEASE = timedelta(minutes=5)
"""A claim that is older belongs to nobody: its process hangs, or its machine is gone."""


def is_claimed(alert: Alert, now: datetime, has_ended: Callable[[str], bool]) -> bool:
    """Whether another process is sending it."""
    if not alert.claimed_by or alert.claimed_at is None:
        return False
    return now - alert.claimed_at < LEASE and not has_ended(alert.claimed_by)


def due_messages(
    alerts: Iterable[Alert],
    config: AlertsConfig,
    now: datetime,
    has_ended: Callable[[str], bool],
) -> list[Sequence[Alert]]:
    """The alerts of each message that should be sent now, by when they were found.

    Args:
        alerts: all that wait, and those that were sent within the longest ``throttle_s``.
        config: an alert of a rule or sink that is not in it waits until it is.
        now: the time.
        has_ended: whether a process that claims alerts has ended.
    """
    by_channel: dict[tuple[str, str], list[Alert]] = defaultdict(list)
    for alert in sorted(alerts, key=lambda one: (one.changed_at, one.what.span, one.row_id)):
        if alert.what.rule in config.rules and alert.sink in config.sinks:
            by_channel[alert.what.rule, alert.sink].append(alert)
    messages = [
        message
        for (rule, _), rows in by_channel.items()
        for message in _of_channel(rows, config.rules[rule], config.timezone, now, has_ended)
    ]
    return sorted(messages, key=lambda message: message[0].changed_at)


def _of_channel(
    rows: Sequence[Alert],
    rule: RuleConfig,
    timezone: str,
    now: datetime,
    has_ended: Callable[[str], bool],
) -> Iterator[Sequence[Alert]]:
    """The messages of one rule to one sink."""
    waiting = [
        row for row in rows if row.state == "waiting" and not is_claimed(row, now, has_ended)
    ]
    if _is_in(rule.quiet, timezone, now):
        return
    tried: dict[str, list[Alert]] = defaultdict(list)
    for row in waiting:
        if row.message_id:
            tried[row.message_id].append(row)
    # What was tried once stays as it is: the sink may have it, and knows it by its id.
    yield from (one for one in tried.values() if all(row.due_at <= now for row in one))
    fresh = [row for row in waiting if not row.message_id and row.due_at <= now]
    collected = timedelta(seconds=rule.digest_s)
    if not fresh or now - min(row.changed_at for row in fresh) < collected:
        return
    throttle = timedelta(seconds=rule.throttle_s)
    told_at = _last_told(rows)
    together: dict[str, list[Alert]] = defaultdict(list)
    for row in fresh:
        last = told_at.get(row.what.camera)
        if last is not None and now - last < throttle:
            continue
        was_held = bool(collected) or _is_in(rule.quiet, timezone, row.changed_at)
        if was_held or (row.is_late and rule.late == "digest"):
            together[""].append(row)
        else:
            together[row.what.camera if throttle else row.row_id].append(row)
    yield from together.values()


def _last_told(rows: Iterable[Alert]) -> dict[str, datetime]:
    """When each camera was last spoken of, or is being spoken of."""
    told: dict[str, datetime] = {}
    for row in rows:
        for at in (row.sent_at, row.claimed_at if row.claimed_by else None):
            if at is not None:
                told[row.what.camera] = max(at, told.get(row.what.camera, at))
    return told


def _is_in(hours: Sequence[str], timezone: str, at: datetime) -> bool:
    ns = datetime_to_ns(at)
    return bool(hours) and bool(within(TimeRange(ns, ns + 1000), hours, timezone))
