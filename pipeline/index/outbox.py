"""The outbox of alerts: rows are read, decided about and replaced in one transaction.

What a transaction has evaluated stands in the same commit, as a version of the table that it looked
at (an "app transaction" of Delta). So a kill loses no event, and of two that evaluate the same
commits only one succeeds; the other reads again and finds nothing more to do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from deltalake import CommitProperties, DeltaTable, Transaction

from pipeline.index import duck
from pipeline.index.durable_commits import synced
from pipeline.index.replace import all_of, commit, conflict_retries, is_one_of, on_dates
from pipeline.index.snapshot import read_snapshot
from pipeline.index.store import Store
from pipeline.index.validate import conform, conform_stored
from pipeline.records import Alert
from pipeline.tables.alerts import alerts_of_table, alerts_table


@dataclass(frozen=True, slots=True)
class Outbox:
    """One version of the outbox, to decide about."""

    store: Store
    _handle: DeltaTable

    def alerts(self, condition: str) -> list[Alert]:
        """The alerts that meet a condition in SQL, by their start."""
        snapshot = read_snapshot(self.store, "alerts", self._handle)
        source = duck.scan(self.store, "alerts", snapshot.paths, is_mixed=True)
        with duck.connect(self.store) as connection:
            rows = duck.fetch(connection, f"FROM {source} WHERE {condition} ORDER BY start, row_id")
        return alerts_of_table(conform_stored(self.store.root, "alerts", rows))

    def seen_version(self, reader: str) -> int | None:
        """The version up to which ``reader`` has looked at its table; None if it never has."""
        version: int | None = self._handle.transaction_version(reader)
        return version


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of an outbox."""

    alerts: Sequence[Alert] = ()
    """New ones, and those that replace the row of the same alert and sink."""
    replaced: Sequence[Alert] = ()
    """The rows that are replaced, as they were read."""
    seen: Mapping[str, int] = field(default_factory=dict)
    """The version up to which each reader has looked at its table now."""


def decide(store: Store, about: Callable[[Outbox], Decision]) -> Decision:
    """Commit what ``about`` decides; it is asked again after a conflict.

    Raises:
        CommitFailedError: other writers changed the same rows at every attempt.
    """
    store.create_table("alerts")
    for attempt in conflict_retries():
        with attempt:
            handle = store.writable("alerts")
            decision = about(Outbox(store, handle))
            _commit(handle, decision)
    return decision


def _commit(handle: DeltaTable, decision: Decision) -> None:
    seen = [Transaction(reader, version) for reader, version in decision.seen.items()]
    properties = CommitProperties(app_transactions=seen)
    if decision.alerts:
        rows = conform("alerts", alerts_table(decision.alerts))
        # An alert may have grown back into another date.
        days = [*rows["date"].to_pylist(), *alerts_table(decision.replaced)["date"].to_pylist()]
        ids = all_of(on_dates(days), is_one_of("row_id", rows["row_id"].to_pylist()))
        commit(handle, "alerts", rows, ids, properties)
    elif seen:
        with synced(handle):
            handle.create_write_transaction(
                [], "append", handle.schema(), partition_by=["date"], commit_properties=properties
            )
