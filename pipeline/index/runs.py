"""The runs of an index: which still run, which are lost, and which cameras are free."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from pipeline.index.filters import Where
from pipeline.index.query import Index
from pipeline.processes import identity
from pipeline.records import Run
from pipeline.tables.runs import runs_of_table, runs_table

HEARTBEAT = timedelta(seconds=30)
LOST_AFTER = 3 * HEARTBEAT
"""A run whose last heartbeat is this old is lost: another run may take its cameras."""

LIVE: set[str] = set()
"""Ids of running runs of this process; a run that could not write its end is not among them."""


def has_ended(run: Run) -> bool:
    """Whether the process of a run has ended, as far as this process can see."""
    if run.process == identity.unique_name():
        return run.run_id not in LIVE
    return identity.has_ended(run.process)


HasEnded = Callable[[Run], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraAvailability:
    """Which of the wanted cameras a new run may lease."""

    free: frozenset[str]
    others: tuple[Run, ...]
    """Runs that hold wanted cameras."""
    lost: tuple[Run, ...]
    """Runs that are lost, so that they hold no cameras any more."""


def camera_availability(
    running: Iterable[Run],
    wanted: AbstractSet[str],
    now: datetime,
    has_ended: HasEnded = has_ended,
) -> CameraAvailability:
    """Which of the wanted cameras are free, given the ``running`` runs that conflict."""
    lost, others, taken = [], [], set[str]()
    for run in running:
        if is_lost(run, now, has_ended):
            lost.append(run)
        elif leased := wanted & set(run.cameras):
            others.append(run)
            taken |= leased
    return CameraAvailability(
        free=frozenset(wanted - taken), others=tuple(others), lost=tuple(lost)
    )


def conflicts(other: Run, run: Run) -> bool:
    """Whether two runs of one task must not work on one camera at the same time.

    Runs with different configurations replace each other's answers, unless both keep them.
    """
    if not set(other.works) & set(run.works):
        return False
    return other.fingerprint == run.fingerprint or not (other.keep and run.keep)


def is_lost(run: Run, now: datetime, has_ended: HasEnded = has_ended) -> bool:
    """Whether a run has ended although it never wrote that it ended."""
    if run.state != "running":
        return False
    return now - run.heartbeat_at >= LOST_AFTER or has_ended(run)


def mark_lost(run: Run, now: datetime) -> Run:
    """The row of a run that another run has found to be lost."""
    return replace(run, state="lost", end=end_time(run.start, now))


def end_time(start: datetime, now: datetime) -> datetime:
    """Now, or 1 us after ``start`` if the clock of the machine that began the run was ahead."""
    return max(now, start + timedelta(microseconds=1))


def list_runs(index: Index) -> pa.Table:
    """Every run, newest first; columns of the table ``runs``.

    A run that ended without writing so is shown as ``lost``, even if no other run has marked it
    yet.
    """
    return runs_table(runs_of(index))


def runs_of(index: Index) -> list[Run]:
    """The same as records."""
    rows = index.select_all("runs", Where(), order='ORDER BY "start" DESC, run_id')
    now = datetime.now(tz=UTC)
    return [replace(r, state="lost") if is_lost(r, now) else r for r in runs_of_table(rows)]
