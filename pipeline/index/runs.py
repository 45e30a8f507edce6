"""The runs of an index: which go on, which are lost, and which cameras they leave free."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from pipeline.index.filters import Where
from pipeline.index.query import Index
from pipeline.processes import identity
from pipeline.records import Run, RunFigures
from pipeline.tables.schema import RUNS

HEARTBEAT = timedelta(seconds=30)
LOST_AFTER = 3 * HEARTBEAT
"""A run whose last heartbeat is this old has lost its cameras to whoever asks for them."""

LIVE: set[str] = set()
"""Runs of this process that go on, by id: one that could not write its end is not among them."""


def is_gone(run: Run) -> bool:
    """Whether nobody is at work on the run any more, as far as can be seen from here."""
    if run.process == identity.unique_name():
        return run.run_id not in LIVE
    return identity.has_ended(run.process)


IsGone = Callable[[Run], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """How the wanted cameras are shared out among a new run and those that go on."""

    free: frozenset[str]
    others: tuple[Run, ...]
    """Runs that hold wanted cameras."""
    lost: tuple[Run, ...]
    """Runs that hold nothing any more, whatever they held."""


def share(
    running: Iterable[Run],
    wanted: AbstractSet[str],
    now: datetime,
    is_gone: IsGone = is_gone,
) -> Shared:
    """Which of the wanted cameras a new run may take, beside the running ones of its work."""
    lost, others, taken = [], [], set[str]()
    for run in running:
        if is_lost(run, now, is_gone):
            lost.append(run)
        elif held := wanted & set(run.cameras):
            others.append(run)
            taken |= held
    return Shared(free=frozenset(wanted - taken), others=tuple(others), lost=tuple(lost))


def is_in_the_way(other: Run, run: Run) -> bool:
    """Whether two runs of one task must not be at work on one camera at once.

    Runs of different settings replace each other's answers, unless both keep them.
    """
    return other.fingerprint == run.fingerprint or not (other.keep and run.keep)


def is_lost(run: Run, now: datetime, is_gone: IsGone = is_gone) -> bool:
    """Whether a run that never said that it ended has ended all the same."""
    if run.state != "running":
        return False
    return now - run.heartbeat_at >= LOST_AFTER or is_gone(run)


def mark_lost(run: Run, now: datetime) -> Run:
    """The run as it stands in the table once somebody has found it lost."""
    return replace(run, state="lost", end=after(run.start, now))


def after(start: datetime, now: datetime) -> datetime:
    """Now, or an instant after ``start`` where another machine's clock was ahead."""
    return max(now, start + timedelta(microseconds=1))


def list_runs(index: Index) -> pa.Table:
    """Every run, newest first; columns of the table ``runs``.

    One that went without a word is ``lost`` here, though no other run has written so yet.
    """
    rows = index.every("runs", Where(), order='ORDER BY "start" DESC, run_id')
    now = datetime.now(tz=UTC)
    return runs_table(
        replace(run, state="lost") if is_lost(run, now) else run for run in runs_of_table(rows)
    )


def runs_table(runs: Iterable[Run]) -> pa.Table:
    """Rows of ``runs``, in the given order."""
    return pa.Table.from_pylist([_row(run) for run in runs], schema=RUNS)


def runs_of_table(rows: pa.Table) -> list[Run]:
    """The runs behind rows that ``runs_table`` has made."""
    return [_run(row) for row in rows.to_pylist()]


def _row(run: Run) -> dict[str, Any]:
    row = asdict(run)
    row |= row.pop("figures")
    return row | {"date": run.start.date(), "job_metadata": list(run.job_metadata.items())}


def _run(row: Mapping[str, Any]) -> Run:
    told: dict[str, Any] = {
        "figures": RunFigures(**_only(row, (field.name for field in fields(RunFigures)))),
        "cameras": tuple(row["cameras"]),
        "job_metadata": dict(row["job_metadata"]),
    }
    rest = _only(row, {field.name for field in fields(Run)} - told.keys())
    return Run(**rest, **told)


def _only(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}
