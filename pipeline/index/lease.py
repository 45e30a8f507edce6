"""A run's hold on cameras: taken in one commit, renewed by heartbeats, given back at the end.

Of two runs that want one camera for the same task, one gets it, unless both keep the answers of
other settings: the commit that takes it has the running runs as its read set, so whoever comes
second reads again. It needs nothing but the index's own log, on any store.
"""

import threading
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import structlog
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipeline.errors import EXIT_BUG, EXIT_INTERRUPTED, LeaseLostError, TimereelError
from pipeline.index.replace import among, both, commit, conflict_retries, equal, on_dates
from pipeline.index.runs import (
    HEARTBEAT,
    LIVE,
    LOST_AFTER,
    after,
    is_in_the_way,
    mark_lost,
    runs_of_table,
    runs_table,
    share,
)
from pipeline.index.store import Store
from pipeline.index.validate import conform
from pipeline.records import EndState, Run, RunFigures
from pipeline.tables.schema import RUNS

# How often a run that waits looks whether the cameras are free.
_POLL_S = 5.0

log = structlog.get_logger()


class Lease:
    """While entered, a thread tells every ``HEARTBEAT`` that the run goes on, and how far it is.

    An exception that leaves it is how the run ended; who leaves it otherwise calls ``end`` before.
    """

    def __init__(
        self,
        store: Store,
        run: Run,
        others: tuple[Run, ...],
        figures: Callable[[], RunFigures] = RunFigures,
    ) -> None:
        LIVE.add(run.run_id)
        self.run = run
        self.others = others
        """Runs that hold cameras which this one wanted, when it began."""
        self._store = store
        self._figures = figures
        self._writing = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()
        if error and not isinstance(error, LeaseLostError):
            self._end_by(error)
        LIVE.discard(self.run.run_id)

    @property
    def cameras(self) -> frozenset[str]:
        """What the run holds."""
        return frozenset(self.run.cameras)

    def keep_only(self, cameras: AbstractSet[str]) -> None:
        """Give back the other cameras, for which there is nothing to do.

        Raises:
            LeaseLostError: another run has taken over.
        """
        kept = tuple(camera for camera in self.run.cameras if camera in cameras)
        if kept != self.run.cameras:
            self._write(cameras=kept)

    def confirm(self) -> None:
        """Make sure, before a commit, that no other run has taken over meanwhile.

        Costs nothing while heartbeats go on. After a pause (a suspended machine, a stopped process)
        the table is asked.

        Raises:
            LeaseLostError: another run has taken over.
        """
        if self.run.state == "lost":
            raise self._lost()
        if datetime.now(tz=UTC) - self.run.heartbeat_at >= LOST_AFTER - HEARTBEAT:
            self._write()

    def end(self, state: EndState, exit_code: int, error: str = "") -> None:
        """Say how the run ended; its cameras are free.

        Raises:
            LeaseLostError: another run has taken over.
        """
        end = after(self.run.start, datetime.now(tz=UTC))
        self._write(state=state, exit_code=exit_code, error=error, end=end)

    def _end_by(self, error: BaseException) -> None:
        match error:
            case KeyboardInterrupt():
                exit_code, told = EXIT_INTERRUPTED, ""
            case TimereelError():
                exit_code, told = error.exit_code, str(error)
            case _:
                exit_code, told = EXIT_BUG, f"{type(error).__name__}: {error}"
        try:
            self.end("interrupted", exit_code, told)
        except (TimereelError, DeltaError, OSError) as exc:
            # The error that ended the run is the one to be seen; the run will count as lost.
            log.warning("the index was not told how the run ended", error=str(exc))

    def _beat_on(self) -> None:
        while not self._stopped.wait(HEARTBEAT.total_seconds()):
            try:
                self._write()
            except LeaseLostError:
                return  # the driver hears of it before its next commit
            except (TimereelError, DeltaError, OSError) as exc:
                log.warning("no heartbeat: the index does not answer", error=str(exc))

    def _write(self, **changes: Any) -> None:  # noqa: ANN401 - fields of Run
        with self._writing:
            for attempt in conflict_retries():
                with attempt:
                    self._try_to_write(changes)

    def _try_to_write(self, changes: dict[str, Any]) -> None:
        table = self._store.handle("runs")
        stored = _read(table, run_id=self.run.run_id)
        if [run.state for run in stored] != ["running"]:
            self.run = replace(self.run, state="lost")
            raise self._lost()
        figures, now = self._figures(), datetime.now(tz=UTC)
        run = replace(self.run, heartbeat_at=now, figures=figures, **changes)
        mine = both(on_dates([run.start.date()]), equal("run_id", run.run_id))
        commit(table, "runs", conform("runs", runs_table([run])), mine)
        self.run = run

    def _lost(self) -> LeaseLostError:
        return LeaseLostError(
            f"run {self.run.run_id} was not heard of for {LOST_AFTER.total_seconds():g} s (was "
            "this machine suspended, or the index out of reach?), and another run has taken its "
            "cameras over; what is committed stays, the same command goes on"
        )


def take_lease(
    store: Store,
    run: Run,
    wanted: AbstractSet[str],
    *,
    figures: Callable[[], RunFigures] = RunFigures,
    wait: bool = False,
) -> Lease:
    """Write the run down as the one that works on those of the wanted cameras that are free.

    Runs that were in the way and are lost are written down as that. With ``wait`` it
    returns when no other run has any of the cameras, and holds none until then.
    """
    told: tuple[str, ...] = ()
    while True:
        for attempt in conflict_retries():
            with attempt:
                lease = _try_to_take(store, run, wanted, figures=figures, wait=wait)
        if not (wait and lease.others):
            return lease
        if told != (ids := tuple(other.run_id for other in lease.others)):
            log.info("waits for another run", runs=", ".join(ids))
            told = ids
        time.sleep(_POLL_S)


def _try_to_take(
    store: Store,
    run: Run,
    wanted: AbstractSet[str],
    *,
    figures: Callable[[], RunFigures],
    wait: bool,
) -> Lease:
    table = store.handle("runs")
    of_task = {"task": run.task, "state": "running"}
    running = _read(table, **of_task)
    now = datetime.now(tz=UTC)
    shared = share([one for one in running if is_in_the_way(one, run)], wanted, now)
    if shared.others and wait:
        return Lease(store, run, shared.others)
    run = replace(run, start=now, heartbeat_at=now, cameras=tuple(sorted(shared.free)))
    ids = [lost.run_id for lost in shared.lost]
    stay = [one for one in running if one.run_id not in ids]
    # What was read is written again: a run that came, went or beat in between is a conflict.
    read = both(*(equal(name, value) for name, value in of_task.items()))
    mine = among("run_id", [run.run_id, *ids])
    rows = runs_table([*stay, run, *(mark_lost(one, now) for one in shared.lost)])
    commit(table, "runs", conform("runs", rows), f"({read}) OR ({mine})")
    return Lease(store, run, shared.others, figures)


def _read(table: DeltaTable, **equal_to: str) -> list[Run]:
    """The runs of the version that the handle stands at."""
    filters = [(name, "=", value) for name, value in equal_to.items()]
    return runs_of_table(table.to_pyarrow_table(filters=filters).select(RUNS.names).cast(RUNS))
