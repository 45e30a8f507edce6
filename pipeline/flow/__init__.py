"""The order of the stages for a whole archive: probe, answer, commit, finish; run it twice safely.

The driver books results and commits them: windows per batch of whole shards, then for videos that
are whole their events, segments and last their ``videos`` rows. Killed at any point, the same
call does only what is missing: finished videos are skipped, committed shards not done again.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import structlog

from pipeline.config import Config
from pipeline.flow.finish import finish_videos
from pipeline.flow.graph import answer_graph, probe_graph, running_ray
from pipeline.flow.interrupt import Interruption
from pipeline.flow.ledger import Ledger, WholeShard, WholeVideo
from pipeline.flow.parcel import ShardParcel
from pipeline.flow.report import OnProgress, Report
from pipeline.flow.stages import Failure
from pipeline.index import Writer, events_near
from pipeline.records import Source, Video, WindowResult
from pipeline.rows import (
    Maker,
    failed_video_row,
    video_error,
    videos_table,
    window_results,
    windows_table,
)
from pipeline.timebase import NS_PER_US, ClockCorrection, ns_to_datetime, seconds_to_ns

log = structlog.get_logger()


def index_archive(
    sources: Sequence[Source],
    config: Config,
    index_uri: str,
    *,
    address: str | None = None,
    on_progress: OnProgress,
) -> Report:
    """Index every source that is not indexed yet under this configuration.

    Ctrl-C and SIGTERM raise KeyboardInterrupt once the shards that are whole are committed.

    Raises:
        EngineStartError: the engine cannot be started or reached.
        IndexFormatError: ``index_uri`` holds something else.
    """
    run = _Run(config, index_uri, Report(index=index_uri, num_sources=len(sources)), on_progress)
    todo = run.skip_finished(sources)
    if todo:
        # Signals after Ray's start, which takes SIGTERM for itself.
        with running_ray(config, address), run.interruption:
            for start in range(0, len(todo), config.commit.batch_videos):
                run.index_batch(todo[start : start + config.commit.batch_videos])
            run.interruption.check()
    return run.report


class _Run:
    """What the driver holds while it works through an archive."""

    def __init__(
        self, config: Config, index_uri: str, report: Report, on_progress: OnProgress
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
        finished = [row for row in rows if row["status"] != "failed"]
        self.finished_ids = {row["video_id"] for row in finished}
        self.finished_files = {_as_indexed(row) for row in finished}
        self.uncommitted: list[WholeShard] = []
        self.committed_at_s = time.monotonic()

    def skip_finished(self, sources: Sequence[Source]) -> list[Source]:
        """The sources that the index does not hold as they are now."""
        todo = [
            source
            for source in sources
            if _as_listed(source, self.config.clock.of(source.camera)) not in self.finished_files
        ]
        self.report.videos_skipped += len(sources) - len(todo)
        self.on_progress(self.report)
        return todo

    def index_batch(self, sources: Sequence[Source]) -> None:
        """Probe a batch of sources, answer its shards, commit as they become whole."""
        ledger = Ledger()
        shards = self._plan(sources, ledger)
        try:
            results = answer_graph(shards, self.config) if shards else iter(())
            for result in self.interruption.each(results):
                self.report.book(result)
                if whole := ledger.add(result):
                    self.uncommitted.append(whole)
                self.on_progress(self.report)
                if self._is_commit_due():
                    self._commit(ledger)
        finally:
            # Also when interrupted, or when the engine gives up: whole shards are kept.
            self._commit(ledger)

    def _plan(self, sources: Sequence[Source], ledger: Ledger) -> list[ShardParcel]:
        """Probe and plan; book failures; return the shards that the index lacks."""
        failures: list[Failure] = []
        planned: dict[str, tuple[Video, tuple[ShardParcel, ...]]] = {}
        for probed in self.interruption.each(probe_graph(sources, self.config)):
            if isinstance(probed, Failure):
                failures.append(probed)
                continue
            video, shards = probed
            if video.video_id in self.finished_ids | planned.keys():
                self.report.videos_skipped += 1
                log.info("already indexed, or a copy", uri=video.uri)
            else:
                planned[video.video_id] = (video, shards)
        self._commit_failures(failures)
        committed = self._committed(list(planned))
        todo: list[ShardParcel] = []
        for video_id, (video, shards) in planned.items():
            missing = ledger.expect(video, shards, committed.get(video_id, ()))
            self.report.planned_ns += sum(shard.planned_ns for shard in missing)
            todo.extend(missing)
        # The dearest first: a long shard that starts last would be waited for alone.
        return sorted(todo, key=lambda shard: -shard.cost_s)

    def _committed(self, video_ids: Sequence[str]) -> dict[str, list[WindowResult]]:
        """Results that an interrupted run of the same fingerprint left, per video."""
        results: dict[str, list[WindowResult]] = {}
        rows = self.index.windows_of(video_ids, self.config.task.name, self.config.fingerprint)
        for result in window_results(rows):
            results.setdefault(result.video_id, []).append(result)
        return results

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
            finished = finish_videos(
                whole_videos,
                self._neighbours(whole_videos),
                config=self.config,
                maker=self.maker,
            )
            self.index.finish_videos(
                finished.videos,
                finished.events,
                finished.segments,
                superseded_event_ids=finished.superseded_event_ids,
            )
            for whole in whole_videos:
                self.report.finish(whole, failed_because=video_error(whole.results))
            # What is new in the index: an event joined over a file border takes another's place.
            self.report.num_events += finished.events.num_rows - len(finished.superseded_event_ids)
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
        self.report.failures.extend((f.source.uri, f.error) for f in failures)
        self.on_progress(self.report)

    def _neighbours(self, whole_videos: Sequence[WholeVideo]) -> pa.Table:
        """Rows of events that may go on in these videos, or that run through them."""
        gap_ns = seconds_to_ns(self.config.stitch.max_gap_s) + NS_PER_US
        spans = [whole.video.utc(whole.video.span) for whole in whole_videos]
        return events_near(
            self.index.open(),
            {whole.video.camera for whole in whole_videos},
            ns_to_datetime(min(span.start_ns for span in spans) - gap_ns),
            ns_to_datetime(max(span.end_ns for span in spans) + gap_ns),
            task=self.config.task.name,
        )


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
