"""The outbox -> sinks. A message is claimed, tried, and recorded as sent when its sink has it.

A process that is killed between a delivery and its record leaves a claim. Whoever takes it over
sends the same message again, with the same id: a sink that keeps ids gets each once, and none is
lost.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pipeline.alerts.message import MAX_TOLD, Message, message_id
from pipeline.alerts.pick import LEASE, due_messages
from pipeline.alerts.sinks import Deliver, DeliveryError
from pipeline.config.alerts import AlertsConfig, SinkConfig
from pipeline.index.outbox import Decision, Outbox, decide
from pipeline.index.replace import all_of, is_one_of
from pipeline.index.store import Store
from pipeline.processes import identity
from pipeline.records import Alert

_CLAIMED_AT_ONCE = 16
"""Messages; another process takes others meanwhile."""
_MAX_WAIT_S = 3600.0

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a sender did."""

    num_messages: int = 0
    num_alerts: int = 0
    num_failed: int = 0
    """Tries that failed."""


def send_due(
    store: Store, config: AlertsConfig, sinks: Mapping[str, Deliver], now: Clock | None = None
) -> Sent:
    """Send all that is due now; a message that fails waits for its next try."""
    clock = now or (lambda: datetime.now(tz=UTC))
    counts: Counter[str] = Counter()
    while messages := _claim(store, config, clock()):
        until = clock() + LEASE - timedelta(seconds=2 * _longest_try_s(config))
        for message in messages:
            if clock() >= until:
                break  # the claim may belong to another soon
            error = _tried(sinks[message.sink], message)
            _record(store, config.sinks[message.sink], message, error, clock())
            counts["failed" if error else "messages"] += 1
            counts["alerts"] += 0 if error else len(message.alerts)
    return Sent(
        num_messages=counts["messages"], num_alerts=counts["alerts"], num_failed=counts["failed"]
    )


def _longest_try_s(config: AlertsConfig) -> float:
    return max(sink.timeout_s for sink in config.sinks.values())


def _tried(deliver: Deliver, message: Message) -> str:
    """Why a message was not delivered; "" if it was."""
    try:
        deliver(message)
    except DeliveryError as exc:
        return str(exc) or "it gave no reason"
    return ""


def _claim(store: Store, config: AlertsConfig, now: datetime) -> list[Message]:
    """Messages that are due, in one commit for this process alone."""
    messages: list[Message] = []

    def about(outbox: Outbox) -> Decision:
        alerts = outbox.alerts(_open(config, now))
        due = due_messages(alerts, config, now, identity.has_ended)[:_CLAIMED_AT_ONCE]
        due = [one[:MAX_TOLD] for one in due]
        claimed = [
            [
                replace(
                    alert,
                    message_id=alert.message_id or message_id(one),
                    claimed_by=identity.unique_name(),
                    claimed_at=now,
                )
                for alert in one
            ]
            for one in due
        ]
        messages[:] = [
            Message(
                message_id=one[0].message_id,
                sink=one[0].sink,
                alerts=one,
                timezone=config.timezone,
                kind="digest" if len(one) > 1 else "alert",
            )
            for one in claimed
        ]
        return Decision(
            alerts=[alert for one in claimed for alert in one],
            replaced=[alert for one in due for alert in one],
        )

    decide(store, about)
    return messages


def _open(config: AlertsConfig, now: datetime) -> str:
    """Condition: rows that may be told now, or that say when a camera was last spoken of."""
    throttle_s = max((rule.throttle_s for rule in config.rules.values()), default=0.0)
    last = (now - timedelta(seconds=throttle_s)).isoformat()
    return f"state = 'waiting' OR sent_at > '{last}'" if throttle_s else "state = 'waiting'"


def _record(store: Store, sink: SinkConfig, message: Message, error: str, now: datetime) -> None:
    """Write what became of a message."""
    told = {alert.row_id: alert for alert in message.alerts}

    def about(outbox: Outbox) -> Decision:
        before = outbox.alerts(is_one_of("row_id", told))
        after = [_after(row, told[row.row_id], sink, error, now) for row in before]
        changed = [i for i, row in enumerate(before) if after[i] != row]
        return Decision(alerts=[after[i] for i in changed], replaced=[before[i] for i in changed])

    decide(store, about)


def _after(row: Alert, told: Alert, sink: SinkConfig, error: str, now: datetime) -> Alert:
    """A row after a try; it may have got a new revision meanwhile, or another sender."""
    is_own = (row.message_id, row.claimed_by) == (told.message_id, told.claimed_by)
    if not error:
        sent = max(row.sent_revision, told.revision)
        row = replace(row, sent_revision=sent, sent_at=now)
        if not is_own:
            return row
        return replace(
            row, state="sent", num_tries=0, error="", message_id="", claimed_by="", claimed_at=None
        )
    if not is_own:
        return row
    wait_s = min(sink.retry_s * 2**row.num_tries, _MAX_WAIT_S)
    is_dead = (now - row.changed_at).total_seconds() >= sink.give_up_s
    return replace(
        row,
        state="dead" if is_dead else "waiting",
        num_tries=row.num_tries + 1,
        due_at=now + timedelta(seconds=wait_s),
        error=error,
        claimed_by="",
        claimed_at=None,
    )


def resend(store: Store, *, alert_ids: Sequence[str] = (), state: str | None = None) -> int:
    """Let alerts wait to be told again, as new messages; how many."""
    conditions = [is_one_of("alert_id", alert_ids)] if alert_ids else []
    conditions += [f"state = '{state}'"] if state else []
    now = datetime.now(tz=UTC)

    def about(outbox: Outbox) -> Decision:
        before = outbox.alerts(all_of(*conditions))
        return Decision(alerts=[_revived(row, now) for row in before], replaced=before)

    return len(decide(store, about).alerts)


def _revived(row: Alert, now: datetime) -> Alert:
    return replace(
        row,
        state="waiting",
        revision=row.revision + 1,
        changed_at=now,
        due_at=now,
        num_tries=0,
        error="",
        message_id="",
        claimed_by="",
        claimed_at=None,
    )
