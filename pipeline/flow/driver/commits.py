"""What a run writes to the index, in which order, and what the report then counts. No Ray here."""

import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from functools import partial

from pipeline.flow.driver.context import RunContext
from pipeline.flow.driver.finish import finish_videos, join_events, pending_videos
from pipeline.flow.driver.indexed_files import as_failure, bounds_of
from pipeline.flow.driver.ledger import Ledger, WholeShard, WholeVideo
from pipeline.flow.driver.report import FailedFile
from pipeline.flow.task.stages import Failure
from pipeline.index import apply_orders, record_copies
from pipeline.records import Source, Video, WindowResult
from pipeline.tables.evidence import evidence_table
from pipeline.tables.videos import failed_video_row, video_error, videos_table
from pipeline.tables.windows import windows_table


class Commits:
    """Collects whole shards and commits them together."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._uncommitted: list[WholeShard] = []
        self._committed_at_s = time.monotonic()

    def add(self, shard: WholeShard | None) -> None:
        """Take a shard that has become whole; None changes nothing."""
        if shard:
            self._uncommitted.append(shard)

    def is_due(self) -> bool:
        """Whether enough shards, or one for long enough, wait to be committed."""
        settings = self._context.config.commit
        waited_s = time.monotonic() - self._committed_at_s
        return len(self._uncommitted) >= settings.shards or (
            bool(self._uncommitted) and waited_s >= settings.seconds
        )

    def commit(self, ledger: Ledger) -> None:
        """Write the windows of whole shards first, then the rows that make whole videos done."""
        context = self._context
        context.lease.confirm()
        if self._uncommitted:
            rows = [
                (shard.video, result) for shard in self._uncommitted for result in shard.results
            ]
            made_by = context.provenance
            context.writer.write_windows(
                windows_table(rows, made_by),
                evidence_table(rows, task=made_by.task, fingerprint=made_by.fingerprint),
            )
            self._uncommitted.clear()
        if videos := ledger.take_whole_videos():
            self._finish(videos)
        # Erase orders may have come in since the plan was made. If the process is killed before
        # this line, the orders stand, and the next run applies them.
        apply_orders(context.writer.open())
        self._committed_at_s = time.monotonic()
        context.on_progress(context.report)

    def commit_erased(self, rows: Sequence[tuple[Video, WindowResult]]) -> None:
        """Write what is left out as erased of shards of which nothing else is known yet."""
        if rows:
            self._context.lease.confirm()
            self._context.writer.write_windows(windows_table(rows, self._context.provenance))

    def _finish(self, videos: Sequence[WholeVideo]) -> None:
        context = self._context
        config, report = context.config, context.report
        errors = {
            whole.video.video_id: "" if whole.is_growing else video_error(whole.results)
            for whole in videos
        }
        failed = [whole.video for whole in videos if errors[whole.video.video_id]]
        failed_before = context.indexed.failures(failed)
        finished = finish_videos(videos, config=config, provenance=context.provenance)
        num_new: dict[str, int] = {}
        context.writer.finish_videos(
            finished.videos,
            segments=finished.segments,
            utterances=finished.utterances,
            slides=finished.slides,
            join=partial(
                join_events,
                video_events=finished.events,
                config=config,
                provenance=context.provenance,
                keep=context.keep,
                on_joined=num_new.__setitem__,
            ),
            reach=timedelta(seconds=config.stitch.max_gap_s),
            keep=context.keep,
        )
        for whole in videos:
            if error := errors[whole.video.video_id]:
                self._book_failure(whole.video, error, failed_before)
            else:
                report.finish(whole)
        report.num_events += sum(num_new.values())
        report.num_segments += finished.segments.num_rows
        report.num_utterances += finished.utterances.num_rows

    def commit_pending(self, ledger: Ledger) -> None:
        """Write a row for each video that waits for a later run: it shows that this run tried."""
        context = self._context
        if pending := ledger.take_pending_videos():
            context.writer.write_pending(pending_videos(pending, context.provenance))
            for video in pending:
                context.report.leave_pending(video)
            context.on_progress(context.report)

    def commit_failures(self, failures: Sequence[Failure]) -> None:
        """Write a row for each source that could not be probed."""
        if not failures:
            return
        context = self._context
        now = datetime.now(tz=UTC)
        rows = [
            failed_video_row(failure.source, failure.error, provenance=context.provenance, at=now)
            for failure in failures
        ]
        failed_before = context.indexed.failures([failure.source for failure in failures])
        context.writer.finish_videos(videos_table(rows))
        for failure in failures:
            self._book_failure(failure.source, failure.error, failed_before)
        context.on_progress(context.report)

    def commit_copies(self, copies: Sequence[Video]) -> None:
        """Write that these files are copies of finished videos: no later run reads them again."""
        if copies:
            made_by = self._context.provenance
            record_copies(
                self._context.writer.open(),
                copies,
                bounds_of(copies),
                task=made_by.task,
                fingerprint=made_by.fingerprint,
                confirm=self._context.lease.confirm,
            )

    def _book_failure(
        self,
        file: Source | Video,
        error: str,
        failed_before: AbstractSet[tuple[str, int, str, str]],
    ) -> None:
        is_known = as_failure(file, error) in failed_before
        self._context.report.failures.append(FailedFile(file.uri, error, is_known))
