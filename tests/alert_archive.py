"""An index whose events rules are asked about, and a config with one rule."""

import pipeline.index as pi
from pipeline.alerts.evaluate import evaluate
from pipeline.alerts.send import send_due
from pipeline.alerts.sinks import DeliveryError
from pipeline.config.alerts import AlertsConfig
from pipeline.tables.alerts import alerts_of_table
from tests.index_rows import at, event, rows, video, window

NOW = at(3600)
"""An hour after the first instant of the archive."""


def config(sinks=None, timezone="UTC", **rule):
    return AlertsConfig.model_validate(
        {
            "timezone": timezone,
            "rules": {"night": {"labels": ["person"], **rule}},
            "sinks": sinks or {"desk": {"jsonl": "/nowhere"}},
        }
    )


def person(event_id, start, end, **given):
    return event(event_id, at(start), at(end), **{"label": "person", **given})


class Archive:
    """An index whose events are told again and again, as jobs do."""

    def __init__(self, folder):
        self.writer = pi.Writer(folder)
        self.folder = folder
        self.store = self.writer.store

    def commit(self, *events, video_id="v1", start=0.0, end=600.0, **given):
        n = len(events)
        self.writer.write_windows(
            rows("windows", window(video_id, 0, start, end, video_id=video_id, **given))
        )
        done = video(video_id, start, end, num_events=n, **given)
        self.writer.finish_videos(rows("videos", done), rows("events", *events))

    def evaluate(self, rules, now=NOW):
        return evaluate(self.store, rules, now=now)

    def alerts(self):
        return alerts_of_table(self.writer.open().rows("alerts"))

    def send(self, rules, now=NOW, failing=()):
        """What was delivered: lists of the first event ids of each message, by time."""
        told = []

        def deliver(message):
            if message.sink in failing:
                raise DeliveryError("it is closed")
            told.append(message)

        send_due(self.store, rules, dict.fromkeys(rules.sinks, deliver), lambda: now)
        return told
