"""A run's lease of cameras: taken in one commit, renewed by heartbeats, released at the end.

If two runs want one camera for the same task, one of them gets it, unless both keep the answers of
other configurations. The commit that takes a lease has all running runs as its read set, so the
second of two runs has a conflict and reads again. This needs only the transaction log of the index,
on any store.
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
from pipeline.index.replace import all_of, commit, conflict_retries, equal, is_one_of, on_dates
from pipeline.index.runs import (
    HEARTBEAT,
    LIVE,
    LOST_AFTER,
    camera_availability,
    conflicts,
    end_time,
    mark_lost,
)
from pipeline.index.store import Store
from pipeline.index.validate import conform
from pipeline.records import EndState, Run, RunFigures
from pipeline.tables.runs import runs_of_table, runs_table
from pipeline.tables.schema import RUNS

# How often a waiting run checks whether the cameras are free.
_POLL_S = 5.0

log = structlog.get_logger()


class Lease:
    """While entered, a thread commits every ``HEARTBEAT`` that the run continues, and its progress.

    If an exception leaves the context, it is recorded as the end of the run. Otherwise the caller
    must call ``end`` first.
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
        """Runs that held wanted cameras when this run began."""
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
        """The cameras that the run has leased."""
        return frozenset(self.run.cameras)

    def keep_only(self, cameras: AbstractSet[str]) -> None:
        """Release all other cameras, because there is nothing to do for them.

        Raises:
            LeaseLostError: another run has taken over.
        """
        remaining = tuple(camera for camera in self.run.cameras if camera in cameras)
        if remaining != self.run.cameras:
            self._write(cameras=remaining)

    def confirm(self) -> None:
        """Verify, before a commit, that no other run has taken over the cameras.

        Costs nothing while heartbeats succeed. After a pause (a suspended machine, a stopped
        process) it reads the table.

        Raises:
            LeaseLostError: another run has taken over.
        """
        if self.run.state == "lost":
            raise self._lost()
        if datetime.now(tz=UTC) - self.run.heartbeat_at >= LOST_AFTER - HEARTBEAT:
            self._write()

    def end(self, state: EndState, exit_code: int, error: str = "") -> None:
        """Commit how the run ended, and release its cameras.

        Raises:
            LeaseLostError: another run has taken over.
        """
        end = end_time(self.run.start, datetime.now(tz=UTC))
        self._write(state=state, exit_code=exit_code, error=error, end=end)

    def _end_by(self, error: BaseException) -> None:
        match error:
            case KeyboardInterrupt():
                exit_code, message = EXIT_INTERRUPTED, ""
            case TimereelError():
                exit_code, message = error.exit_code, str(error)
            case _:
                exit_code, message = EXIT_BUG, f"{type(error).__name__}: {error}"
        try:
            self.end("interrupted", exit_code, message)
        except (TimereelError, DeltaError, OSError) as exc:
            # The user must see the error that ended the run; the run will count as lost.
            log.warning("could not write to the index how the run ended", error=str(exc))

    def _beat_on(self) -> None:
        while not self._stopped.wait(HEARTBEAT.total_seconds()):
            try:
                self._write()
            except LeaseLostError:
                return  # `confirm` raises it in the driver before the next commit
            except (TimereelError, DeltaError, OSError) as exc:
                log.warning("could not write a heartbeat to the index", error=str(exc))

    def _write(self, **changes: Any) -> None:  # noqa: ANN401 - fields of Run
        with self._writing:
            for attempt in conflict_retries():
                with attempt:
                    self._try_to_write(changes)

    def _try_to_write(self, changes: dict[str, Any]) -> None:
        table = self._store.writable("runs")
        stored = _read(table, run_id=self.run.run_id)
        if [run.state for run in stored] != ["running"]:
            self.run = replace(self.run, state="lost")
            raise self._lost()
        figures, now = self._figures(), datetime.now(tz=UTC)
        run = replace(self.run, heartbeat_at=now, figures=figures, **changes)
        own_row = all_of(on_dates([run.start.date()]), equal("run_id", run.run_id))
        commit(table, "runs", conform("runs", runs_table([run])), own_row)
        self.run = run

    def _lost(self) -> LeaseLostError:
        return LeaseLostError(
            f"run {self.run.run_id} wrote no heartbeat for {LOST_AFTER.total_seconds():g} s (was "
            "this machine suspended, or the index out of reach?), so another run has taken over "
            "its cameras; committed rows stay, and the same command continues from there"
        )


def take_lease(
    store: Store,
    run: Run,
    wanted: AbstractSet[str],
    *,
    figures: Callable[[], RunFigures] = RunFigures,
    wait: bool = False,
) -> Lease:
    """Commit the run as the holder of those wanted cameras that are free.

    The same commit marks conflicting runs as lost that have ended without a word. With ``wait`` it
    returns when no other run holds any of the cameras, and holds none until then.
    """
    logged: tuple[str, ...] = ()
    while True:
        for attempt in conflict_retries():
            with attempt:
                lease = _try_to_take(store, run, wanted, figures=figures, wait=wait)
        if not (wait and lease.others):
            return lease
        if logged != (ids := tuple(other.run_id for other in lease.others)):
            log.info("waits for another run", runs=", ".join(ids))
            logged = ids
        time.sleep(_POLL_S)


def _try_to_take(
    store: Store,
    run: Run,
    wanted: AbstractSet[str],
    *,
    figures: Callable[[], RunFigures],
    wait: bool,
) -> Lease:
    table = store.writable("runs")
    of_task = {"task": run.task, "state": "running"}
    running = _read(table, **of_task)
    now = datetime.now(tz=UTC)
    conflicting = [other for other in running if conflicts(other, run)]
    availability = camera_availability(conflicting, wanted, now)
    if availability.others and wait:
        return Lease(store, run, availability.others)
    run = replace(run, start=now, heartbeat_at=now, cameras=tuple(sorted(availability.free)))
    lost_ids = [lost.run_id for lost in availability.lost]
    unchanged = [other for other in running if other.run_id not in lost_ids]
    # The commit rewrites all rows that were read. So a run that began, ended or wrote a heartbeat
    # in between is a conflict.
    read = all_of(*(equal(name, value) for name, value in of_task.items()))
    changed = is_one_of("run_id", [run.run_id, *lost_ids])
    rows = runs_table([*unchanged, run, *(mark_lost(lost, now) for lost in availability.lost)])
    commit(table, "runs", conform("runs", rows), f"({read}) OR ({changed})")
    return Lease(store, run, availability.others, figures)


def _read(table: DeltaTable, **equal_to: str) -> list[Run]:
    """The runs in the table version of the handle."""
    filters = [(name, "=", value) for name, value in equal_to.items()]
    return runs_of_table(table.to_pyarrow_table(filters=filters).select(RUNS.names).cast(RUNS))
