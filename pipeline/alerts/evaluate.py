"""The events that commits have added since the last time -> the outbox.

Each rule remembers, in the commit of what it has found, up to which version of the table it has
looked. The index is asked for the rows of the files that came since, without those of the files
that went: copies that a commit or a compaction has made are not news.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.alerts import rules
from pipeline.alerts.match import Matched, match
from pipeline.alerts.rules import Found
from pipeline.config.alerts import AlertsConfig, RuleConfig
from pipeline.index import Index, QueryOptions
from pipeline.index.changes import Changes, changes
from pipeline.index.filters import ALL, Cameras, Span, Where
from pipeline.index.outbox import Decision, Outbox, decide
from pipeline.index.replace import all_of, is_one_of
from pipeline.index.store import Store
from pipeline.records import Alert, Happening
from pipeline.tables.columns import Row
from pipeline.tables.schema import TableName
from pipeline.timebase import (
    NS_PER_US,
    TimeRange,
    joined,
    ns_to_datetime,
    seconds_to_ns,
)

_COLUMNS = (
    *("event_id", "camera", "label", "start", "end", "text", "confidence", "fields"),
    *("task", "fingerprint", "video_id", "uri"),
)
_SEEN = ("event_id", "camera", "label", "start", "end", "confidence")
_LOOKED_AT = frozenset({"analysed", "quiet"})


def evaluate(
    store: Store, config: AlertsConfig, *, now: datetime | None = None, dry_run: bool = False
) -> Matched:
    """Write to the outbox what the rules find in commits that they have not looked at.

    Two that do so at once find everything once: the second has a conflict and looks again. With
    ``dry_run`` nothing is written, and the next evaluation finds the same.
    """
    at = now or datetime.now(tz=UTC)
    found: list[Matched] = []

    def about(outbox: Outbox) -> Decision:
        evaluation = _Evaluation(Index(store), outbox, config, at)
        decision, matched = evaluation.decide()
        found[:] = [matched]
        return Decision() if dry_run else decision

    decide(store, about)
    return found[0]


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """One attempt, on one version of the outbox."""

    index: Index
    outbox: Outbox
    config: AlertsConfig
    now: datetime

    def decide(self) -> tuple[Decision, Matched]:
        """What the rules find, and the versions up to which they have looked then."""
        found: list[Found] = []
        seen: dict[str, int] = {}
        for name, settings in self.config.rules.items():
            table: TableName = "events" if settings.absent_s is None else "videos"
            reader = f"timereel/alerts/{table}/{name}"
            last = self.outbox.seen_version(reader)
            news = changes(self.outbox.store, table, last)
            if news.version == last:
                continue
            seen[reader] = news.version
            find = self._events if settings.absent_s is None else self._absences
            found += find(name, settings, news)
        matched = match(self._known(found), found, self.config, self.now)
        decision = Decision(
            alerts=[*matched.new, *matched.changed], replaced=matched.before, seen=seen
        )
        return decision, matched

    def _known(self, found: Sequence[Found]) -> list[Alert]:
        """Alerts that may be about the same."""
        if not found:
            return []
        reach_s = max(rule.same_within_s for rule in self.config.rules.values()) + 1
        first, last = (
            ns_to_datetime(pick(ns)).isoformat()
            for pick, ns in (
                (min, [one.what.span.start_ns - seconds_to_ns(reach_s) for one in found]),
                (max, [one.what.span.end_ns + seconds_to_ns(reach_s) for one in found]),
            )
        )
        return self.outbox.alerts(
            all_of(
                is_one_of("rule", {one.what.rule for one in found}),
                is_one_of("camera", {one.what.camera for one in found}),
                f"start < '{last}' AND \"end\" > '{first}'",
            )
        )

    def _events(self, name: str, settings: RuleConfig, news: Changes) -> list[Found]:
        where = self._conditions(settings)
        if news.removed is None:
            # What was there before cannot be told from what is new: only what is not late counts.
            oldest = self.now - timedelta(seconds=settings.late_after_s)
            rows = self._rows(where, Span.parse(oldest, None))
            before: list[Row] = []
        else:
            rows, before = (
                self.index.select_from_files(files, "events", where, columns=_COLUMNS).to_pylist()
                for files in (news.added, news.removed)
            )
        known = {tuple(row[name] for name in _SEEN) for row in before}
        before = [row for row in before if self._meets(row, settings)]
        found = [
            Found(what=rules.happening(name, row), is_new=not _is_among(row, before, settings))
            for row in rows
            if tuple(row[name] for name in _SEEN) not in known and self._meets(row, settings)
        ]
        if settings.at_least == 1:
            return found
        return list(rules.counted(self._with_neighbours(name, settings, where, found), settings))

    def _with_neighbours(
        self, name: str, settings: RuleConfig, where: Where, found: Sequence[Found]
    ) -> list[Found]:
        """The same, with older events that may be counted with them."""
        within_ns = seconds_to_ns(settings.within_s)
        rows: dict[tuple[object, ...], Found] = {}
        for one in found:
            near = Span(
                (one.what.span.start_ns - within_ns) // NS_PER_US,
                (one.what.span.start_ns + within_ns) // NS_PER_US + 1,
            )
            for row in self._rows(where, near, Cameras(exact=(one.what.camera,))):
                if self._meets(row, settings):
                    what = rules.happening(name, row)
                    rows.setdefault(_identity(what), Found(what=what, is_new=False))
        rows |= {_identity(one.what): one for one in found}
        return list(rows.values())

    def _absences(self, name: str, settings: RuleConfig, news: Changes) -> Iterator[Found]:
        assert settings.absent_s is not None  # noqa: S101 - asked of such rules alone
        done = Where().add("status IN ('done', 'partial')").of(self.index.cameras(settings.cameras))
        columns = ["camera", "start", "end", "video_id", "task", "fingerprint"]
        if news.removed is None:
            oldest = self.now - timedelta(seconds=settings.late_after_s)
            rows = self.index.select("videos", done, span=Span.parse(oldest, None), columns=columns)
            new = rows.to_pylist()
        else:
            after, before = (
                self.index.select_from_files(files, "videos", done, columns=columns).to_pylist()
                for files in (news.added, news.removed)
            )
            new = [row for row in after if row not in before]
        reach = timedelta(seconds=settings.absent_s)
        for camera in sorted({row["camera"] for row in new}):
            spans = [rules.span_of(row) for row in new if row["camera"] == camera]
            start = ns_to_datetime(min(span.start_ns for span in spans)) - reach
            end = ns_to_datetime(max(span.end_ns for span in spans)) + reach
            for what in rules.absent(
                name,
                settings,
                camera,
                looked_at=self._looked_at(camera, start, end, settings),
                events=self._times_of_events(camera, start, end, settings),
                timezone=self.config.timezone,
            ):
                yield Found(what=what, is_new=any(what.span.overlaps(span) for span in spans))

    def _looked_at(
        self, camera: str, start: datetime, end: datetime, settings: RuleConfig
    ) -> list[TimeRange]:
        """Footage in which an event would have been found, in whole stretches."""
        swept = self.index.coverage(start, end, camera=camera, task=settings.task).to_pylist()
        return joined(rules.span_of(row) for row in swept if row["state"] in _LOOKED_AT)

    def _times_of_events(
        self, camera: str, start: datetime, end: datetime, settings: RuleConfig
    ) -> list[TimeRange]:
        rows = self._rows(
            self._conditions(settings), Span.parse(start, end), Cameras(exact=(camera,))
        )
        fields = settings.model_copy(update={"hours": ()})
        return [rules.span_of(row) for row in rows if self._meets(row, fields)]

    def _rows(self, where: Where, span: Span, cameras: Cameras = ALL) -> list[Row]:
        found = self.index.select("events", where, span=span, cameras=cameras, columns=_COLUMNS)
        rows: list[Row] = found.to_pylist()
        return rows

    def _conditions(self, settings: RuleConfig) -> Where:
        options: QueryOptions = {
            "label": settings.labels or None,
            "task": settings.task,
            "text": settings.text,
            "zone": settings.zones or None,
            "min_confidence": settings.min_confidence,
            "min_duration_s": settings.min_duration_s or None,
        }
        return self.index.conditions("events", options).also(
            Where().of(self.index.cameras(settings.cameras))
        )

    def _meets(self, row: Row, settings: RuleConfig) -> bool:
        return rules.meets(row, settings, self.config.timezone)


def _is_among(row: Row, before: Iterable[Row], settings: RuleConfig) -> bool:
    """Whether the same was found before, although perhaps shorter or with another id."""
    span = rules.span_of(row)
    reach_ns = seconds_to_ns(settings.same_within_s)
    wide = TimeRange(span.start_ns - reach_ns, span.end_ns + reach_ns)
    return any(
        other["camera"] == row["camera"]
        and other["label"] == row["label"]
        and rules.span_of(other).overlaps(wide)
        for other in before
    )


def _identity(what: Happening) -> tuple[object, ...]:
    return what.event_ids, what.task, what.fingerprint
