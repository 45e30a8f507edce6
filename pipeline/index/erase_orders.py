"""Orders to erase: committed before any row is removed, open until no row can come back.

A run that was working when the order was given may still commit rows about erased footage. So the
order stays open until all such runs have ended. Until then it is carried out again: by the run
itself after each of its commits, and by the next command if the run was killed. An order about
speakers is never closed: their video is not left out, and whoever listens to it hears them again.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from pipeline.index.filters import Where
from pipeline.index.replace import all_of, equal, on_dates
from pipeline.index.replace import replace as replace_rows
from pipeline.index.runs import is_lost
from pipeline.index.scope import SCOPE_MAKERS, Scope
from pipeline.index.store import Store
from pipeline.index.validate import conform
from pipeline.records import make_id
from pipeline.tables.erasures import COLUMNS
from pipeline.tables.runs import runs_of_table

if TYPE_CHECKING:
    from pipeline.index.query import Index

Reason: TypeAlias = Literal["command", "retention"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """One order to erase, and the number of rows that it has removed."""

    erasure_id: str
    asked_at: datetime
    reason: Reason
    scope: Scope
    rows: Mapping[str, int]
    """Number of rows that are or will be removed, by table."""
    waits_for: tuple[str, ...] | None = None
    """Ids of runs that may commit erased rows again; None until the order was carried out."""
    applied_at: datetime | None = None

    @classmethod
    def of(cls, scope: Scope, reason: Reason, rows: Mapping[str, int]) -> Self:
        """A new order, given now."""
        now = datetime.now(tz=UTC)
        erasure_id = make_id("erasure", now, reason, scope)
        return cls(erasure_id=erasure_id, asked_at=now, reason=reason, scope=scope, rows=rows)


def write_order(store: Store, order: Erasure) -> None:
    """Commit the order; it replaces its earlier row."""
    rows = COLUMNS.table([order])
    predicate = all_of(on_dates([order.asked_at.date()]), equal("erasure_id", order.erasure_id))
    replace_rows(store, "erasures", conform("erasures", rows), predicate)


def open_orders(index: "Index") -> list[Erasure]:
    """Orders that must be carried out, the oldest first.

    Each is for the copies too that the index knows of now: a run that was working when the order
    was given may have committed one since.
    """
    where = Where().is_one_of("state", ("ordered", "standing"))
    rows = index.select_all("erasures", where, order="ORDER BY asked_at, erasure_id")
    read = COLUMNS.reader({"": Erasure, **SCOPE_MAKERS})
    orders = map(read, rows.to_pylist())
    return [replace(order, scope=order.scope.with_copies(index)) for order in orders]


def record_carried_out(index: "Index", order: Erasure, num_removed: Mapping[str, int]) -> Erasure:
    """Commit that an order was carried out; it stays open while runs may commit erased rows.

    Args:
        index: that holds the order.
        order: as it was before.
        num_removed: rows that were removed this time, by table.
    """
    running = runs_of_table(index.select_all("runs", Where().add("state = 'running'"), order=""))
    now = datetime.now(tz=UTC)
    working = {run.run_id for run in running if not is_lost(run, now)}
    if order.waits_for is None:
        waits_for, rows = working, order.rows
    else:
        waits_for = working & set(order.waits_for)
        rows = Counter(order.rows) + Counter(num_removed)
    done = replace(
        order,
        waits_for=tuple(sorted(waits_for)),
        rows=dict(rows),
        applied_at=None if waits_for else order.applied_at or now,
    )
    if done != order:
        write_order(index.store, done)
    return done
