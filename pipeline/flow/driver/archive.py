"""Indexes a whole archive: probe, plan, answer, commit, finish. It is safe to run twice.

The driver collects the results of Ray tasks and commits them in this order: the windows of whole
shards, then for each whole video its events and segments, and last its row in ``videos``. After a
kill at any point the same call does only what is missing: it skips finished videos, and shards
that are committed. A file that cannot be read now stays pending, and a later run indexes it.
"""

from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime

import structlog
from structlog.contextvars import bound_contextvars

from pipeline.config import Config
from pipeline.errors import FailOn, StalledError
from pipeline.flow import metrics
from pipeline.flow.cluster import running_ray, waits_for
from pipeline.flow.driver.batch_plan import BatchPlanner
from pipeline.flow.driver.batches import batches
from pipeline.flow.driver.commits import Commits
from pipeline.flow.driver.context import RunContext
from pipeline.flow.driver.indexed_files import IndexContents
from pipeline.flow.driver.interrupt import Interruption
from pipeline.flow.driver.ledger import Ledger
from pipeline.flow.driver.report import OnProgress, Report
from pipeline.flow.driver.run_identity import new_run
from pipeline.flow.driver.worklist import worklist_of
from pipeline.flow.graph import answer_graph, probe_graph
from pipeline.flow.resources import needed
from pipeline.flow.spans import require_exporter, span
from pipeline.flow.summaries.pending_days import pending_days
from pipeline.flow.summaries.summarize import summarize_days
from pipeline.flow.task.packed_shard import PackedShard
from pipeline.flow.task.stages import OpenShard, ShardOutcome
from pipeline.index import Writer, apply_orders
from pipeline.index.lease import take_lease
from pipeline.records import Source, Work
from pipeline.sources import CameraShard, SourceTable
from pipeline.tables.shared import Provenance
from pipeline.timebase import NS_PER_S

log = structlog.get_logger()


def index_archive(
    sources: Sequence[Source],
    config: Config,
    index_uri: str,
    *,
    address: str | None = None,
    include_erased: bool = False,
    keep: bool = False,
    retry_failed: bool = False,
    shard: CameraShard | None = None,
    wait: bool = False,
    fail_on: FailOn = "new",
    on_progress: OnProgress,
) -> Report:
    """Index every source that is not indexed yet under this configuration.

    With ``shard`` only the sources of the shard's cameras count.

    If another run of the same task is indexing a camera, this run skips that camera and says so in
    the report. Two runs that both ``keep`` may index the same camera. With ``wait`` this run starts
    when all its cameras are free.

    Content that was erased from the index is left out, also under another file name, unless
    ``include_erased``. Answers of another configuration are replaced, unless ``keep``. With
    ``retry_failed`` the engine is asked again for the windows of indexed videos that it failed to
    answer.

    Ctrl-C and SIGTERM raise KeyboardInterrupt after the whole shards are committed. When the budget
    is spent, the run ends in the same way but without an error; ``stopped`` in the report says so.

    Raises:
        EngineStartError: the engine cannot be started or reached.
        IndexFormatError: there is something else than an index at ``index_uri``.
        StalledError: no result came for ``cluster.stall_s``, and again after a new start.
        LeaseLostError: this run sent no heartbeat for so long that another run took its cameras.
    """
    require_exporter(config)
    files = SourceTable.of(sources)
    if shard:
        files = files.of_cameras(filter(shard.holds, files.cameras))
    report = Report(index=index_uri, num_sources=len(files), hears=config.hears)
    writer = Writer(index_uri)
    apply_orders(writer.open())
    cameras = files.cameras
    works: tuple[Work, ...] = ("index", "summarize") if config.summaries.level else ("index",)
    run = new_run(
        config.task.name,
        config.fingerprint,
        *works,
        shard=shard,
        keep=keep,
    )
    with (
        bound_contextvars(run_id=run.run_id),
        take_lease(writer.store, run, cameras, figures=report.figures, wait=wait) as lease,
    ):
        leased = files.of_cameras(lease.cameras)
        report.num_left, report.others = len(files) - len(leased), lease.others
        config_of_cameras = config.knowing(cameras | writer.open().known_cameras())
        context = RunContext(
            writer=writer.leased(lease.confirm),
            lease=lease,
            config=config_of_cameras,
            provenance=_provenance(config),
            indexed=IndexContents.of(
                writer.open(),
                config_of_cameras,
                cameras,
                include_erased=include_erased,
                retry_failed=retry_failed,
            ),
            report=report,
            on_progress=_published(on_progress, config.task.name),
            include_erased=include_erased,
            keep=keep,
            started_at=datetime.now(tz=UTC),
        )
        _index_due(context, leased, address)
        if level := config.summaries.level:
            # Also when nothing was due: an earlier run may have ended before its summaries.
            keys = pending_days(writer.open(), config, level, leased.uris.to_pylist())
            summaries = summarize_days(
                context.writer, config, keys, level=level, address=address, spent=report.spent
            )
            report.summaries = summaries.to_json()
            report.stopped = report.stopped or summaries.stopped
        lease.end(report.state, report.exit_code(fail_on), report.last_error)
    apply_orders(writer.open())
    return report


def _published(on_progress: OnProgress, task: str) -> OnProgress:
    """``on_progress``, which also shows Prometheus what is left."""

    def show(report: Report) -> None:
        on_progress(report)
        metrics.BACKLOG.set((report.planned_ns - report.analysed_ns) / NS_PER_S, {"task": task})
        metrics.FILES_LEFT.set(report.num_sources - report.num_finished, {"task": task})
        metrics.FAILED_FILES.set(len(report.failures), {"task": task})
        metrics.count_retries()

    return show


def _provenance(config: Config) -> Provenance:
    return Provenance(
        task=config.task.name,
        model=config.model,
        prompt_id=config.prompt_id,
        fingerprint=config.fingerprint,
        config=config.to_json(),
    )


def _index_due(context: RunContext, sources: SourceTable, address: str | None) -> None:
    """Index the sources that are due, batch by batch."""
    config = context.config
    worklist = worklist_of(sources, context)
    if not worklist.due:
        return
    if not config.summaries.level:
        context.lease.keep_only(worklist.due.cameras)
    interruption = Interruption(waits_for=lambda: waits_for(config), stall_s=config.cluster.stall_s)
    commits = Commits(context)
    planner = BatchPlanner(
        context,
        worklist,
        commits,
        probe=lambda batch: interruption.each(probe_graph(batch, config)),
    )
    # The signal handlers come after the start of Ray, whose own would replace them.
    with running_ray(config, address, needed(config)), interruption:
        for start, end in batches(
            worklist.due, max_videos=config.batch_videos, max_bytes=config.commit.batch_bytes
        ):
            if context.is_budget_spent():
                break
            ledger = Ledger()
            shards = planner.plan(start, end, ledger)
            _answer_batch(shards, ledger, context, commits, interruption)
            planner.commit_copies()
        interruption.check()
    context.report.spent.reserve_gpus(0)


def _answer_batch(
    shards: list[PackedShard],
    ledger: Ledger,
    context: RunContext,
    commits: Commits,
    interruption: Interruption,
) -> None:
    """Answer the shards of a batch, and commit them when they are whole; empties ``shards``.

    If no result comes for too long, the open shards are answered from their start by a new graph,
    once: a cluster may have lost a task without an error.
    """
    still_open = {shard.shard_id: shard for shard in shards}
    shards.clear()
    if still_open:
        context.report.spent.reserve_gpus(context.config.num_gpus)
    try:
        if not _collect(still_open, ledger, context, commits, interruption):
            log.warning("no result; the open shards are submitted again", shards=len(still_open))
            interruption.wait_anew()
            context.report.drop(ledger.start_again())
            if not _collect(still_open, ledger, context, commits, interruption):
                interruption.check()
    finally:
        # Also after an interruption or an engine failure: whole shards are worth keeping.
        _commit(commits, ledger, context)
        commits.commit_pending(ledger)


def _collect(
    still_open: dict[str, PackedShard],
    ledger: Ledger,
    context: RunContext,
    commits: Commits,
    interruption: Interruption,
) -> bool:
    """Collect the outcomes of the open shards, each of which is then taken out of ``still_open``.

    Returns:
        False if the wait for a result was too long, and the graph was cancelled.
    """
    task = context.config.task.name
    outcomes: Iterator[ShardOutcome] = iter(())
    if still_open:
        outcomes = answer_graph(list(still_open.values()), context.config)
    try:
        for outcome in interruption.each(outcomes):
            if isinstance(outcome, OpenShard):
                ledger.leave_open(outcome)
                still_open.pop(outcome.shard_id, None)
            else:
                context.report.book(outcome)
                metrics.count(outcome, task)
                if whole := ledger.add(outcome):
                    commits.add(whole)
                    del still_open[outcome.shard_id]
            context.on_progress(context.report)
            if commits.is_due():
                _commit(commits, ledger, context)
            if ledger.has_open_shards and context.is_budget_spent():
                break
    except StalledError:
        return False
    finally:
        # Close the graph while Ray runs. A generator that is closed later, when the garbage
        # collector drops the exception, reads on and thereby starts another Ray.
        if isinstance(outcomes, Generator):
            outcomes.close()
    return True


def _commit(commits: Commits, ledger: Ledger, context: RunContext) -> None:
    config = context.config
    with metrics.timed_commit(config.task.name), span("commit", config):
        commits.commit(ledger)
