"""The order of the stages for a whole archive: probe, answer, commit, finish; run it twice safely.

The driver books results and commits them: windows per batch of whole shards, then for videos that
are whole their events, segments and last their ``videos`` rows. Killed at any point, the same
call does only what is missing: finished videos are skipped, committed shards not done again.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog

from pipeline.config import Config
from pipeline.flow.batches import batches
from pipeline.flow.days import untold_days
from pipeline.flow.finish import finish_videos, join_events
from pipeline.flow.graph import answer_graph, probe_graph, running_ray
from pipeline.flow.interrupt import Interruption
from pipeline.flow.ledger import Ledger, WholeShard
from pipeline.flow.owners import PlannedVideos, share_out_footage
from pipeline.flow.parcel import ShardParcel, open_parcel, parcel
from pipeline.flow.report import FailedFile, OnProgress, Report
from pipeline.flow.stages import Failure, leave_out
from pipeline.flow.summaries import summarize_days
from pipeline.index import (
    Writer,
    cut_ids,
    erased_ranges,
    erased_videos,
    failed_videos,
    forget_erased,
)
from pipeline.records import Source, Video, WindowResult
from pipeline.rows import (
    Maker,
    failed_video_row,
    video_error,
    videos_table,
    window_results,
    windows_table,
)
from pipeline.timebase import (
    ClockCorrection,
    TimeRange,
    datetime_to_ns,
    ns_to_datetime,
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
    on_progress: OnProgress,
) -> Report:
    """Index every source that is not indexed yet under this configuration.

    What was erased from the index is left out, however it is stored by now, unless
    ``include_erased``. Answers of another configuration are replaced, unless ``keep``. Of a video
    that has answers, what the engine failed to answer is asked again with ``retry_failed``.

    Ctrl-C and SIGTERM raise KeyboardInterrupt once the shards that are whole are committed. A spent
    budget ends the run in the same way, without an error: the report says so in ``stopped``.

    Raises:
        EngineStartError: the engine cannot be started or reached.
        IndexFormatError: ``index_uri`` holds something else.
    """
    report = Report(index=index_uri, num_sources=len(sources))
    run = _Run(
        config,
        index_uri,
        report,
        on_progress,
        include_erased=include_erased,
        keep=keep,
        retry_failed=retry_failed,
    )
    todo = run.skip_finished(sources)
    if todo:
        # Signals after Ray's start, which takes SIGTERM for itself.
        with running_ray(config, address), run.interruption:
            for start, end in batches(
                todo, max_videos=config.batch_videos, max_bytes=config.commit.batch_bytes
            ):
                if run.is_budget_spent():
                    break
                run.index_batch(todo[start:end], start)
            run.interruption.check()
    if level := config.summaries.level:
        # Also if nothing was left to index: the run before may have ended in between.
        keys = untold_days(run.index.open(), config, level, {source.uri for source in sources})
        if not (keys and run.is_budget_spent()):
            told = summarize_days(index_uri, config, keys, level=level, address=address)
            run.report.summaries = told.to_json()
    return run.report


class _Run:
    """What the driver holds while it works through an archive."""

    def __init__(
        self,
        config: Config,
        index_uri: str,
        report: Report,
        on_progress: OnProgress,
        *,
        include_erased: bool,
        keep: bool,
        retry_failed: bool,
    ) -> None:
        self.config = config
        self.report = report
        self.on_progress = on_progress
        self.maker = Maker(
            task=config.task.name,
            model=config.model,
            prompt_id=config.prompt_id,
            fingerprint=config.fingerprint,
            config=config.to_json(),
        )
        self.interruption = Interruption()
        self.index = Writer(index_uri)
        rows = self.index.finished(config.task.name, config.fingerprint).to_pylist()
        self.include_erased = include_erased
        self.keep = keep
        not_finished = {"failed", "erased", *(["partial"] if retry_failed else [])}
        finished = [row for row in rows if row["status"] not in not_finished]
        erased = [] if include_erased else erased_videos(self.index.index).to_pylist()
        # A clock set right moves footage away from where it was erased.
        self.erased_contents = {(row["content_id"], row["camera"]) for row in erased}
        if include_erased:
            wanted_again = cut_ids(self.index.index)
            finished = [row for row in finished if row["video_id"] not in wanted_again]
        finished += erased
        self.finished_ids = {row["video_id"] for row in finished}
        self.finished_files = {_as_indexed(row) for row in finished}
        known = failed_videos(self.index.index, config.task.name).to_pylist()
        self.known_failures = {_as_failed(row) for row in known}
        self.last_due: dict[str, int] = {}
        """URI -> its last place among what is due: made once, however many batches there are."""
        self.uncommitted: list[WholeShard] = []
        self.committed_at_s = time.monotonic()
        self.started_at = datetime.now(tz=UTC)

    def skip_finished(self, sources: Sequence[Source]) -> list[Source]:
        """The sources that the index does not hold as they are now."""
        todo = [
            source
            for source in sources
            if _as_listed(source, self.config.clock.of(source.camera)) not in self.finished_files
        ]
        self.last_due = {source.uri: at for at, source in enumerate(todo)}
        self.report.videos_skipped += len(sources) - len(todo)
        self.on_progress(self.report)
        return todo

    def index_batch(self, batch: Sequence[Source], start: int) -> None:
        """Probe what is due from ``start``, answer its shards, commit as they become whole."""
        ledger = Ledger()
        shards = self._plan(batch, start, ledger)
        self.report.hold_gpus(self.config.num_gpus if shards else 0.0)
        try:
            results = answer_graph(shards, self.config) if shards else iter(())
            shards.clear()  # the graph has its own copies, in the object store
            for result in self.interruption.each(results):
                self.report.book(result)
                if whole := ledger.add(result):
                    self.uncommitted.append(whole)
                self.on_progress(self.report)
                if self._is_commit_due():
                    self._commit(ledger)
                if ledger.has_open_shards and self.is_budget_spent():
                    break
        finally:
            # Also when interrupted, or when the engine gives up: whole shards are kept.
            self._commit(ledger)

    def is_budget_spent(self) -> bool:
        """Whether the run must stop; the report then says why."""
        self.report.stopped = self.report.exceeded(self.config.budget)
        return bool(self.report.stopped)

    def _plan(self, batch: Sequence[Source], start: int, ledger: Ledger) -> list[ShardParcel]:
        """Probe and plan a batch; book failures; return the shards that the index lacks."""
        failures: list[Failure] = []
        planned: PlannedVideos = {}
        for probed in self.interruption.each(probe_graph(batch, self.config)):
            if isinstance(probed, Failure):
                failures.append(probed)
                continue
            video, shards = probed
            if video.video_id in self.finished_ids or video.video_id in planned:
                self.report.videos_skipped += 1
                log.info("already indexed, or a copy", uri=video.uri)
            else:
                planned[video.video_id] = (video, shards)
        self._commit_failures(failures)
        planned |= share_out_footage(
            planned,
            self.index.open(),
            task=self.config.task.name,
            is_to_come=lambda uri: self.last_due.get(uri, -1) >= start,
        )
        erased = self._erased([video for video, _ in planned.values()])
        committed = self._committed(planned)
        todo: list[list[ShardParcel]] = []
        for video_id, (video, shards) in planned.items():
            expected = ledger.expect(video, shards, committed.get(video_id, ()))
            missing = [
                rest
                for shard in expected
                for rest in self._leave_out(shard, erased[video_id], ledger)
            ]
            self.report.planned_ns += sum(shard.planned_ns for shard in missing)
            todo.append(missing)
        # Video by video, so that few are open at a time: the ledger holds the results of those. The
        # dearest first, since what is long and starts last is waited for alone.
        todo.sort(key=lambda shards: -sum(shard.cost_s for shard in shards))
        return [shard for shards in todo for shard in sorted(shards, key=lambda one: -one.cost_s)]

    def _erased(self, videos: Sequence[Video]) -> dict[str, list[TimeRange]]:
        """Media time of each video that must not be looked at."""
        if not videos:
            return {}
        spans = {video.video_id: _utc(video) for video in videos}
        known = erased_ranges(
            self.index.index,
            {video.camera for video in videos},
            min(start for start, _ in spans.values()),
            max(end for _, end in spans.values()),
        )
        erased: dict[str, list[TimeRange]] = {}
        for video in videos:
            start, end = spans[video.video_id]
            ranges = [r for r in known.get(video.camera, ()) if r[0] < end and start < r[1]]
            if ranges and self.include_erased:
                forget_erased(self.index.store, video.camera, start, end)
                ranges = []
            if (video.content_id, video.camera) in self.erased_contents:
                ranges = [(start, end)]
            days = self.config.keep_days(video.camera)
            if days is not None and start < (expired := self.started_at - timedelta(days=days)):
                ranges.append((start, expired))
            erased[video.video_id] = [
                video.media(TimeRange(datetime_to_ns(a), datetime_to_ns(b))) for a, b in ranges
            ]
        return erased

    def _leave_out(
        self, shard: ShardParcel, erased: Sequence[TimeRange], ledger: Ledger
    ) -> list[ShardParcel]:
        """The shard without what was erased, if anything is left; the rest is booked."""
        if not erased:
            return [shard]
        rest, results = leave_out(open_parcel(shard.packed), erased)
        for result in results:
            if whole := ledger.add(result):
                self.uncommitted.append(whole)
        return [parcel(rest)] if rest.windows else []

    def _committed(self, planned: PlannedVideos) -> dict[str, list[WindowResult]]:
        """Results that an interrupted run of the same fingerprint left, per video."""
        results: dict[str, list[WindowResult]] = {}
        of_run = {"task": self.config.task.name, "fingerprint": self.config.fingerprint}
        for result in window_results(self.index.windows_of(list(planned), **of_run)):
            results.setdefault(result.video_id, []).append(result)
        shard_ids = {shard.shard_id for _, shards in planned.values() for shard in shards}
        left = {result.shard_id for of_video in results.values() for result in of_video}
        if strays := left - shard_ids:  # other files have come since, and own part of them
            self.index.drop_shards(strays, **of_run)
        return {video_id: _without_unanswered(held) for video_id, held in results.items()}

    def _is_commit_due(self) -> bool:
        waited_s = time.monotonic() - self.committed_at_s
        return len(self.uncommitted) >= self.config.commit.shards or (
            bool(self.uncommitted) and waited_s >= self.config.commit.seconds
        )

    def _commit(self, ledger: Ledger) -> None:
        """Windows of whole shards first, then the rows that make whole videos done."""
        if self.uncommitted:
            self.index.write_windows(
                windows_table(
                    (
                        (whole.video, result)
                        for whole in self.uncommitted
                        for result in whole.results
                    ),
                    self.maker,
                )
            )
            self.uncommitted.clear()
        if whole_videos := ledger.take_whole_videos():
            finished = finish_videos(whole_videos, config=self.config, maker=self.maker)
            num_new: dict[str, int] = {}
            self.index.finish_videos(
                finished.videos,
                segments=finished.segments,
                join=partial(
                    join_events,
                    shown=finished.events,
                    config=self.config,
                    maker=self.maker,
                    keep=self.keep,
                    on_joined=num_new.__setitem__,
                ),
                reach=timedelta(seconds=self.config.stitch.max_gap_s),
                keep=self.keep,
            )
            for whole in whole_videos:
                if error := video_error(whole.results):
                    self._book_failure(whole.video, error)
                else:
                    self.report.finish(whole)
            self.report.num_events += sum(num_new.values())
            self.report.num_segments += finished.segments.num_rows
        self.committed_at_s = time.monotonic()
        self.on_progress(self.report)

    def _commit_failures(self, failures: Sequence[Failure]) -> None:
        if not failures:
            return
        now = datetime.now(tz=UTC)
        rows = [
            failed_video_row(failure.source, failure.error, maker=self.maker, at=now)
            for failure in failures
        ]
        self.index.finish_videos(videos_table(rows))
        for failure in failures:
            self._book_failure(failure.source, failure.error)
        self.on_progress(self.report)

    def _book_failure(self, file: Source | Video, error: str) -> None:
        known = (file.uri, file.num_bytes, file.etag, error) in self.known_failures
        self.report.failures.append(FailedFile(file.uri, error, known))


def _without_unanswered(results: Sequence[WindowResult]) -> list[WindowResult]:
    """Of whole shards those in which the engine has answered every window that it was shown."""
    unanswered = {one.shard_id for one in results if one.status == "failed" and one.frame_pts}
    return [one for one in results if one.shard_id not in unanswered]


def _as_failed(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Which bytes failed, and why: the same again is nothing new."""
    return row["uri"], row["num_bytes"], row["etag"], row["error"]


def _as_indexed(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a file was when it was indexed: its bytes, its camera and what was said of its time."""
    told = row["clock_start"] if row["clock"] in ("path", "sidecar") else None
    content = row["uri"], row["num_bytes"], row["etag"]
    return (*content, row["camera"], row["clock_correction"], told)


def _as_listed(source: Source, correction: ClockCorrection) -> tuple[Any, ...]:
    """The same of a file as it is now; a name or a clock set right makes it another."""
    told = None
    if source.start_ns is not None:
        told = ns_to_datetime(correction.utc_ns(source.start_ns))
    content = source.uri, source.num_bytes, source.etag
    return (*content, source.camera, str(correction), told)


def _utc(video: Video) -> tuple[datetime, datetime]:
    span = video.utc(video.span)
    return ns_to_datetime(span.start_ns), ns_to_datetime(span.end_ns)
