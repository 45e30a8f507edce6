"""The order of the stages for a whole archive: probe, answer, commit, finish; run it twice safely.

The driver books results and commits them: windows per batch of whole shards, then for videos that
are whole their events, segments and last their ``videos`` rows. Killed at any point, the same
call does only what is missing: finished videos are skipped, committed shards not done again.
What cannot be read now is left open in the same way.
"""

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from structlog.contextvars import bound_contextvars

from pipeline.config import Config
from pipeline.errors import FailOn
from pipeline.flow.driver.batches import batches
from pipeline.flow.driver.finish import finish_videos, join_events, pending_videos
from pipeline.flow.driver.indexed_files import IndexContents, as_failure, near
from pipeline.flow.driver.interrupt import Interruption
from pipeline.flow.driver.ledger import Ledger, WholeShard
from pipeline.flow.driver.ownership import (
    Neighbours,
    PlannedVideos,
    neighbours,
    resolve_footage_overlaps,
)
from pipeline.flow.driver.planning import answered, erased_time, without_answered, without_erased
from pipeline.flow.driver.report import FailedFile, OnProgress, OutstandingFile, Report
from pipeline.flow.driver.run_identity import new_run
from pipeline.flow.graph import answer_graph, probe_graph, running_ray
from pipeline.flow.summaries.pending_days import pending_days
from pipeline.flow.summaries.summarize import summarize_days
from pipeline.flow.task.packed_shard import PackedShard
from pipeline.flow.task.stages import Failure, OpenShard, Outstanding, ShardOutcome
from pipeline.index import Writer, apply_orders
from pipeline.index.lease import Lease, take_lease
from pipeline.plan.overlap import overtaken
from pipeline.records import IndexedFile, Source, Video
from pipeline.sources import CameraShard, is_being_written
from pipeline.tables.rows import (
    Provenance,
    failed_video_row,
    video_error,
    videos_table,
    windows_table,
)

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
    """Index every source that is not indexed yet under this configuration; of a shard its cameras.

    Cameras that another run of the same task is at work on are left to it (unless both ``keep``),
    and the report says so; with ``wait`` the run begins when they are free.

    What was erased from the index is left out, however it is stored by now, unless
    ``include_erased``. Answers of another configuration are replaced, unless ``keep``. Of a video
    that has answers, what the engine failed to answer is asked again with ``retry_failed``.

    Ctrl-C and SIGTERM raise KeyboardInterrupt once the shards that are whole are committed. A spent
    budget ends the run in the same way, without an error: the report says so in ``stopped``.

    Raises:
        EngineStartError: the engine cannot be started or reached.
        IndexFormatError: ``index_uri`` holds something else.
        LeaseLostError: this run was not heard of for so long that another has taken over.
    """
    if shard:
        sources = [source for source in sources if shard.holds(source.camera)]
    report = Report(index=index_uri, num_sources=len(sources))
    writer = Writer(index_uri)
    apply_orders(writer.open())
    wanted = {source.camera for source in sources}
    this_run = new_run(config, shard, keep=keep)
    with (
        bound_contextvars(run_id=this_run.run_id),
        take_lease(writer.store, this_run, wanted, figures=report.figures, wait=wait) as lease,
    ):
        held = lease.cameras
        mine = [source for source in sources if source.camera in held]
        report.num_left, report.others = len(sources) - len(mine), lease.others
        run = _Run(
            sources,
            config,
            writer,
            lease,
            report,
            on_progress=on_progress,
            include_erased=include_erased,
            keep=keep,
            retry_failed=retry_failed,
        )
        run.index_all(mine, address)
        if level := config.summaries.level:
            # Also if nothing was left to index: the run before may have ended in between.
            keys = pending_days(writer.open(), config, level, {source.uri for source in mine})
            told = summarize_days(
                index_uri, config, keys, level=level, address=address, spent=report.spent
            )
            report.summaries, report.stopped = told.to_json(), report.stopped or told.stopped
        lease.end(report.state, report.exit_code(fail_on), report.last_error)
    apply_orders(writer.open())
    return report


class _Run:
    """What the driver holds while it works through an archive."""

    def __init__(
        self,
        sources: Sequence[Source],
        config: Config,
        writer: Writer,
        lease: Lease,
        report: Report,
        *,
        on_progress: OnProgress,
        include_erased: bool,
        keep: bool,
        retry_failed: bool,
    ) -> None:
        self.index = writer
        self.lease = lease
        known_cameras = {source.camera for source in sources} | self.index.open().known_cameras()
        self.config = config.knowing(known_cameras)
        self.report = report
        self.on_progress = on_progress
        self.provenance = Provenance(
            task=config.task.name,
            model=config.model,
            prompt_id=config.prompt_id,
            fingerprint=config.fingerprint,
            config=config.to_json(),
        )
        self.interruption = Interruption()
        self.include_erased = include_erased
        self.keep = keep
        self.known = IndexContents.of(
            self.index.open(), self.config, include_erased=include_erased, retry_failed=retry_failed
        )
        self.last_due: dict[str, int] = {}
        """URI -> its last place among what is due: made once, however many batches there are."""
        self.listed: dict[str, Source] = {}
        """By URI, what could be done now, whether it is due or not."""
        self.once_more: set[str] = set()
        """URIs of finished files that speak for other time than they did."""
        self.uncommitted: list[WholeShard] = []
        self.committed_at_s = time.monotonic()
        self.started_at = datetime.now(tz=UTC)

    def index_all(self, sources: Sequence[Source], address: str | None) -> None:
        """Do what is due of the sources, batch by batch."""
        todo = self.skip_finished(sources)
        if not self.config.summaries.level:
            self.lease.keep_only({source.camera for source in todo})
        if not todo:
            return
        # Signals after Ray's start, which takes SIGTERM for itself.
        with running_ray(self.config, address), self.interruption:
            for start, end in batches(
                todo, max_videos=self.config.batch_videos, max_bytes=self.config.commit.batch_bytes
            ):
                if self.is_budget_spent():
                    break
                self.index_batch(todo[start:end], start)
            self.interruption.check()
        self.report.spent.hold_gpus(0)

    def skip_finished(self, sources: Sequence[Source]) -> list[Source]:
        """The sources that the index does not hold as they are now; what is being written waits."""
        new = self.known.unfinished(sources)
        settle_s = self.config.sources.settle_s
        todo = [one for one in new if not is_being_written(one, settle_s, self.started_at)]
        waiting = {one.uri for one in new} - {one.uri for one in todo}
        self.listed = {one.uri: one for one in sources if one.uri not in waiting}
        self.once_more = self.known.misplaced([one.uri for one in todo], self.listed.keys())
        if self.once_more:
            due = self.once_more | {one.uri for one in todo}
            todo = [one for one in sources if one.uri in due]
        self.last_due = {source.uri: at for at, source in enumerate(todo)}
        self.report.waiting = [one.uri for one in new if one.uri in waiting]
        self.report.videos_skipped += len(sources) - len(todo) - len(waiting)
        self.on_progress(self.report)
        return todo

    def index_batch(self, batch: Sequence[Source], start: int) -> None:
        """Probe what is due from ``start``, answer its shards, commit as they become whole."""
        ledger = Ledger()
        shards = self._plan(batch, start, ledger)
        if shards:
            self.report.spent.hold_gpus(self.config.num_gpus)
        results: Iterator[ShardOutcome] = iter(())
        try:
            if shards:
                results = answer_graph(shards, self.config)
                shards.clear()  # the graph has its own copies, in the object store
            for outcomes in self.interruption.each(results):
                self._book(outcomes, ledger)
                self.on_progress(self.report)
                if self._is_commit_due():
                    self._commit(ledger)
                if ledger.has_open_shards and self.is_budget_spent():
                    break
        finally:
            # While Ray is there: what would read on when the error is forgotten starts another.
            if isinstance(results, Generator):
                results.close()
            # Also when interrupted, or when the engine gives up: whole shards are kept.
            self._commit(ledger)
            self._commit_pending(ledger)

    def _book(self, outcomes: ShardOutcome, ledger: Ledger) -> None:
        if isinstance(outcomes, OpenShard):
            ledger.leave_open(outcomes)
            return
        self.report.book(outcomes)
        if whole := ledger.add(outcomes):
            self.uncommitted.append(whole)

    def is_budget_spent(self) -> bool:
        """Whether the run must stop; the report then says why."""
        self.report.stopped = self.report.spent.exceeded(self.config.budget)
        return bool(self.report.stopped)

    def _plan(self, batch: Sequence[Source], start: int, ledger: Ledger) -> list[PackedShard]:
        """Probe and plan a batch; book failures; return the shards that the index lacks."""
        planned = self._resolve_overlaps(batch, start)
        self._reopen(planned, [video for video, _ in planned.values()])
        erased = erased_time(
            [video for video, _ in planned.values()],
            self.index,
            self.config,
            self.known,
            include_erased=self.include_erased,
            now=self.started_at,
        )
        held = answered(planned, self.index, self.config)
        todo: list[list[PackedShard]] = []
        for video_id, (video, shards) in planned.items():
            expected = ledger.expect(video, shards, held.committed.get(video_id, ()))
            earlier = held.earlier.get(video.uri)
            missing: list[PackedShard] = []
            for shard in expected:
                rest, results = without_erased(shard, erased[video_id])
                if earlier and not results:
                    rest, results = without_answered(shard, earlier, self.config)
                missing += rest
                self.uncommitted += filter(None, map(ledger.add_known, results))
            self.report.planned_ns += sum(shard.planned_ns for shard in missing)
            todo.append(missing)
        # Video by video, so that few are open at a time: the ledger holds the results of those. The
        # dearest first, since what is long and starts last is waited for alone.
        todo.sort(key=lambda shards: -sum(shard.cost_s for shard in shards))
        return [shard for shards in todo for shard in sorted(shards, key=lambda one: -one.cost_s)]

    def _reopen(self, video_ids: Iterable[str], around: Sequence[Video]) -> None:
        """What is done and is done once more, as failed or erased footage is asked for again."""
        if around:
            self.lease.confirm()
            made = self.provenance.task, self.provenance.fingerprint
            self.index.reopen(video_ids, near(around), *made)

    def _probe(self, batch: Sequence[Source]) -> PlannedVideos:
        """Each video once, without those that the index holds under another name."""
        probed = list(self.interruption.each(probe_graph(batch, self.config)))
        self.lease.confirm()
        self._commit_failures([one for one in probed if isinstance(one, Failure)])
        self.report.outstanding += [
            OutstandingFile(one.source.uri, one.error)
            for one in probed
            if isinstance(one, Outstanding)
        ]
        good = [one for one in probed if isinstance(one, tuple)]
        finished = self.known.finished_ids([video for video, _ in good])
        planned: PlannedVideos = {}
        for video, shards in good:
            is_done = video.video_id in finished and video.uri not in self.once_more
            if is_done or video.video_id in planned:
                self.report.videos_skipped += 1
                log.info("already indexed, or a copy", uri=video.uri)
            else:
                planned[video.video_id] = (video, shards)
        return planned

    def _resolve_overlaps(self, batch: Sequence[Source], start: int) -> PlannedVideos:
        """The batch, and finished files that must give time to it, each with what is its own."""
        planned = self._probe(batch)
        others = self._neighbours(planned, start)
        tried: set[str] = set()
        while again := [one for one in self._overtaken(planned, others) if one.uri not in tried]:
            for file in again:
                self.report.do_again(file, was_due=file.uri in self.last_due)
                log.info("done once more: a better file of its camera has come", uri=file.uri)
            tried |= {file.uri for file in again}
            self.once_more |= tried
            # Before they are probed, as that may fail for a while.
            self._reopen(
                [file.video_id for file in again], [video for video, _ in planned.values()]
            )
            planned |= self._probe([self.listed[file.uri] for file in again])
            others = self._neighbours(planned, start)
        return planned | resolve_footage_overlaps(planned, others)

    def _overtaken(self, planned: PlannedVideos, others: Neighbours) -> list[IndexedFile]:
        return overtaken([video for video, _ in planned.values()], others.held)

    def _neighbours(self, planned: PlannedVideos, start: int) -> Neighbours:
        return neighbours(
            [video for video, _ in planned.values()],
            self.index.open(),
            self.config,
            is_listed=self.listed.__contains__,
            is_to_come=lambda uri: self.last_due.get(uri, -1) >= start,
        )

    def _is_commit_due(self) -> bool:
        waited_s = time.monotonic() - self.committed_at_s
        return len(self.uncommitted) >= self.config.commit.shards or (
            bool(self.uncommitted) and waited_s >= self.config.commit.seconds
        )

    def _commit(self, ledger: Ledger) -> None:
        """Windows of whole shards first, then the rows that make whole videos done."""
        self.lease.confirm()
        if self.uncommitted:
            self.index.write_windows(
                windows_table(
                    (
                        (whole.video, result)
                        for whole in self.uncommitted
                        for result in whole.results
                    ),
                    self.provenance,
                )
            )
            self.uncommitted.clear()
        if whole_videos := ledger.take_whole_videos():
            errors = {one.video.video_id: video_error(one.results) for one in whole_videos}
            failed = [one.video for one in whole_videos if errors[one.video.video_id]]
            before = self.known.failures(failed)
            finished = finish_videos(whole_videos, config=self.config, provenance=self.provenance)
            num_new: dict[str, int] = {}
            self.index.finish_videos(
                finished.videos,
                segments=finished.segments,
                join=partial(
                    join_events,
                    shown=finished.events,
                    config=self.config,
                    provenance=self.provenance,
                    keep=self.keep,
                    on_joined=num_new.__setitem__,
                ),
                reach=timedelta(seconds=self.config.stitch.max_gap_s),
                keep=self.keep,
            )
            for whole in whole_videos:
                if error := errors[whole.video.video_id]:
                    self._book_failure(whole.video, error, before)
                else:
                    self.report.finish(whole)
            self.report.num_events += sum(num_new.values())
            self.report.num_segments += finished.segments.num_rows
        # Given since this was planned; killed before, the order stands and the next run obeys it.
        apply_orders(self.index.open())
        self.committed_at_s = time.monotonic()
        self.on_progress(self.report)

    def _commit_pending(self, ledger: Ledger) -> None:
        """Say which videos wait for a later run, so that none looks as if nobody had tried."""
        if pending := ledger.take_pending_videos():
            self.index.write_pending(pending_videos(pending, self.provenance))
            for one in pending:
                self.report.leave_pending(one)
            self.on_progress(self.report)

    def _commit_failures(self, failures: Sequence[Failure]) -> None:
        if not failures:
            return
        now = datetime.now(tz=UTC)
        rows = [
            failed_video_row(failure.source, failure.error, provenance=self.provenance, at=now)
            for failure in failures
        ]
        before = self.known.failures([failure.source for failure in failures])
        self.index.finish_videos(videos_table(rows))
        for failure in failures:
            self._book_failure(failure.source, failure.error, before)
        self.on_progress(self.report)

    def _book_failure(
        self, file: Source | Video, error: str, before: AbstractSet[tuple[str, int, str, str]]
    ) -> None:
        is_known = as_failure(file, error) in before
        self.report.failures.append(FailedFile(file.uri, error, is_known))
