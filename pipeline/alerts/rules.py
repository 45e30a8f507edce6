"""One rule over events: what it finds in them. Plain functions; they read nothing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.alerts.hours import within
from pipeline.config.alerts import RuleConfig
from pipeline.records import Happening
from pipeline.records.sanitize import sanitized
from pipeline.tables.columns import Row
from pipeline.timebase import TimeRange, datetime_to_ns, seconds_to_ns, without

MAX_TEXT_CHARS = 400
MAX_EVENT_IDS = 100
"""Of one alert: the first ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a rule has found, and whether that rests on something that was not there before."""

    what: Happening
    is_new: bool


def happening(rule: str, row: Row) -> Happening:
    """An event, as a rule tells it."""
    return Happening(
        rule=rule,
        kind="event",
        camera=row["camera"],
        label=row["label"],
        span=span_of(row),
        text=sanitized(row["text"] or "")[:MAX_TEXT_CHARS],
        confidence=row["confidence"],
        event_ids=(row["event_id"],),
        **{name: row[name] for name in ("video_id", "uri", "task", "fingerprint")},
    )


def span_of(row: Row) -> TimeRange:
    """The range of a row; UTC."""
    return TimeRange(datetime_to_ns(row["start"]), datetime_to_ns(row["end"]))


def meets(row: Row, settings: RuleConfig, timezone: str) -> bool:
    """Whether an event meets those conditions of a rule that no query has looked at."""
    fields = dict(row["fields"] or ())
    return all(fields.get(name) == value for name, value in settings.fields.items()) and bool(
        within(span_of(row), settings.hours, timezone)
    )


def counted(events: Iterable[Found], settings: RuleConfig) -> Iterator[Found]:
    """Groups of events of one camera of which ``at_least`` begin within ``within_s``."""
    by_camera: dict[str, list[Found]] = defaultdict(list)
    for event in events:
        by_camera[event.what.camera].append(event)
    n, within_ns = settings.at_least, seconds_to_ns(settings.within_s)
    for found in by_camera.values():
        found.sort(key=lambda one: one.what.span)
        starts_ns = [one.what.span.start_ns for one in found]
        group: list[Found] = []
        counted_until = 0
        for i in range(len(found) - n + 1):
            if starts_ns[i + n - 1] - starts_ns[i] > within_ns:
                continue
            if i >= counted_until and group:
                yield _group(group)
                group = []
            group += found[max(i, counted_until) : i + n]
            counted_until = i + n
        if group:
            yield _group(group)


def _group(group: Sequence[Found]) -> Found:
    whole = join([one.what for one in group])
    whole = replace(whole, kind="count", text=f"{len(group)} events: {whole.text}")
    return Found(what=whole, is_new=any(one.is_new for one in group))


def join(parts: Sequence[Happening]) -> Happening:
    """One happening for several of a rule and a camera; the first one speaks for all."""
    first = min(parts, key=lambda part: part.span)
    labels = sorted({part.label for part in parts})
    ids = dict.fromkeys(one for part in parts for one in part.event_ids)
    known = [part.confidence for part in parts if part.confidence is not None]
    return replace(
        first,
        label=first.label if len(labels) == 1 else ", ".join(labels),
        span=TimeRange(first.span.start_ns, max(part.span.end_ns for part in parts)),
        confidence=max(known, default=None),
        event_ids=tuple(ids)[:MAX_EVENT_IDS],
    )


def absent(
    rule: str,
    settings: RuleConfig,
    camera: str,
    *,
    looked_at: Iterable[TimeRange],
    events: Iterable[TimeRange],
    timezone: str,
) -> Iterator[Happening]:
    """Ranges of at least ``absent_s`` in footage that was looked at, in which no event lies."""
    assert settings.absent_s is not None  # noqa: S101 - asked of such rules alone
    wanted = [part for one in looked_at for part in within(one, settings.hours, timezone)]
    label = ", ".join(settings.labels) or "event"
    for empty in without(wanted, sorted(events)):
        if empty.duration_ns >= seconds_to_ns(settings.absent_s):
            seconds = empty.duration_ns / 1e9
            yield Happening(
                rule=rule,
                kind="absence",
                camera=camera,
                label=label,
                span=empty,
                text=f"no {label} for {seconds:.0f} s of footage that was looked at",
            )
