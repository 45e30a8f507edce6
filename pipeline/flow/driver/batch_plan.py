"""list -> probe -> plan for one batch: its videos, without the time that other files own. No Ray.

The graph that probes comes in as a function.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

import structlog

from pipeline.flow.driver.commits import Commits
from pipeline.flow.driver.context import RunContext
from pipeline.flow.driver.indexed_files import bounds_of
from pipeline.flow.driver.last_cut import before_cut, last_cut_ns
from pipeline.flow.driver.ledger import Ledger
from pipeline.flow.driver.ownership import (
    Neighbours,
    PlannedVideos,
    neighbours,
    resolve_footage_overlaps,
)
from pipeline.flow.driver.planning import (
    erased_time,
    stored_results,
    unknown_as_erased,
    without_answered,
    without_erased,
)
from pipeline.flow.driver.report import OutstandingFile
from pipeline.flow.driver.worklist import Worklist
from pipeline.flow.task.packed_shard import PackedShard
from pipeline.flow.task.stages import Failure, Outstanding
from pipeline.plan.overlap import overtaken
from pipeline.records import Source, Video

log = structlog.get_logger()

ProbedFile: TypeAlias = tuple[Video, tuple[PackedShard, ...]] | Failure | Outstanding
Probe: TypeAlias = Callable[[Sequence[Source]], Iterable[ProbedFile]]


class BatchPlanner:
    """Plans the batches of a run, one after the other."""

    def __init__(
        self, context: RunContext, worklist: Worklist, commits: Commits, probe: Probe
    ) -> None:
        self._context = context
        self._worklist = worklist
        self._commits = commits
        self._run_probe = probe
        self._copies: list[Video] = []
        """Of videos that this batch plans, so that they have no row yet."""
        self._cuts_ns: dict[str, int] = {}
        """By id, the last cuts of videos that are still being written, in media time."""

    def plan(self, start: int, end: int, ledger: Ledger) -> list[PackedShard]:
        """The shards of the due sources ``[start, end)`` that the index lacks; books failures."""
        context = self._context
        with_ends = self._resolve_overlaps(self._worklist.due[start:end], start)
        planned = self._without_ends(with_ends)
        videos = _videos(planned)
        self._reopen(planned, videos)
        erased = erased_time(
            videos,
            context.writer,
            context.config,
            context.indexed,
            include_erased=context.include_erased,
            now=context.started_at,
        )
        stored = stored_results(with_ends, context.writer, context.config)
        # What was erased stands in the rows of who showed it until now, and these go from here on.
        self._commits.commit_erased(unknown_as_erased(with_ends, erased, stored))
        if stored.obsolete_shards:
            made_by = context.provenance
            context.writer.drop_shards(
                stored.obsolete_shards, task=made_by.task, fingerprint=made_by.fingerprint
            )
        missing_by_video: list[list[PackedShard]] = []
        for video_id, (video, shards) in planned.items():
            expected = ledger.expect(
                replace(video, erased=erased[video_id].media),
                shards,
                stored.committed.get(video_id, ()),
                is_growing=video_id in self._cuts_ns,
            )
            earlier = stored.earlier.get(video.uri)
            missing: list[PackedShard] = []
            for shard in expected:
                rest, results = without_erased(shard, erased[video_id])
                if earlier and not results:
                    rest, results = without_answered(shard, earlier, context.config)
                missing += rest
                for result in results:
                    self._commits.add(ledger.add_known(result))
            context.report.planned_ns += sum(shard.planned_ns for shard in missing)
            missing_by_video.append(missing)
        # Video by video, so that few videos are open at a time: the ledger holds their results.
        # The most expensive first: a long one that starts last would run alone at the end.
        missing_by_video.sort(key=lambda shards: -sum(shard.cost_s for shard in shards))
        return [
            shard
            for shards in missing_by_video
            for shard in sorted(shards, key=lambda shard: -shard.cost_s)
        ]

    def commit_copies(self) -> None:
        """Write which files of the batch are copies of others of it, when these have their rows."""
        self._commits.commit_copies(self._copies)
        self._copies.clear()

    def _reopen(self, video_ids: Iterable[str], around: Sequence[Video]) -> None:
        """Mark finished videos as pending that are indexed again; they lie near ``around``.

        They are indexed again because failed or erased footage of them is wanted, or because they
        own other time than before.
        """
        if around:
            self._context.lease.confirm()
            provenance = self._context.provenance
            self._context.writer.reopen(
                video_ids, bounds_of(around), provenance.task, provenance.fingerprint
            )

    def _probe(self, batch: Sequence[Source]) -> PlannedVideos:
        """Each video of the batch once, without those that are indexed under another name."""
        context = self._context
        probed = list(self._run_probe(batch))
        context.lease.confirm()
        failures = [item for item in probed if isinstance(item, Failure)]
        unsettled = self._worklist.unsettled
        self._worklist.waiting.update({f.source.uri for f in failures} & unsettled)
        self._commits.commit_failures([f for f in failures if f.source.uri not in unsettled])
        context.report.outstanding += [
            OutstandingFile(item.source.uri, item.error)
            for item in probed
            if isinstance(item, Outstanding)
        ]
        good = self._without_waiting([item for item in probed if isinstance(item, tuple)])
        finished = context.indexed.finished_ids([video for video, _ in good])
        planned: PlannedVideos = {}
        copies: list[Video] = []
        for video, shards in good:
            is_done = video.video_id in finished and video.uri not in self._worklist.reindexed
            if is_done:
                copies.append(video)
            elif video.video_id in planned:
                self._copies.append(video)
            else:
                planned[video.video_id] = (video, shards)
                continue
            context.report.videos_skipped += 1
            log.info("skipped: already indexed, or a copy of another file", uri=video.uri)
        self._commits.commit_copies(copies)
        return planned

    def _without_waiting(
        self, probed: Sequence[tuple[Video, tuple[PackedShard, ...]]]
    ) -> list[tuple[Video, tuple[PackedShard, ...]]]:
        """The videos without those of which no more is complete than the index has already.

        What the index says of those stays as it is. Of the others only the end waits.
        """
        growing = [item for item in probed if item[0].uri in self._worklist.unsettled]
        answered_ns = self._context.indexed.answered_until_ns([video for video, _ in growing])
        for video, shards in growing:
            cut_ns = last_cut_ns(shards) if shards else video.span.start_ns
            if cut_ns > max(video.span.start_ns, answered_ns.get(video.uri, 0)):
                self._cuts_ns[video.video_id] = cut_ns
            else:
                self._worklist.waiting.add(video.uri)
        return [item for item in probed if item[0].uri not in self._worklist.waiting]

    def _without_ends(self, planned: PlannedVideos) -> PlannedVideos:
        """The same without what comes after the last cut of files that are still being written."""
        cuts_ns = self._cuts_ns
        return {
            video_id: (video, before_cut(shards, cuts_ns[video_id]))
            if video_id in cuts_ns
            else (video, shards)
            for video_id, (video, shards) in planned.items()
        }

    def _resolve_overlaps(self, batch: Sequence[Source], start: int) -> PlannedVideos:
        """The videos of the batch, each with the time that it owns.

        Finished files that must yield time to the batch are among them, as they are indexed again.
        """
        planned = self._probe(batch)
        others = self._neighbours(planned, start)
        tried: set[str] = set()
        while again := [
            file for file in overtaken(_videos(planned), others.indexed) if file.uri not in tried
        ]:
            for file in again:
                self._context.report.uncount(file, was_due=file.uri in self._worklist.last_position)
                log.info("indexed again: a better file of its camera was added", uri=file.uri)
            tried |= {file.uri for file in again}
            self._worklist.reindexed.update(tried)
            # Before the probe, which may fail for a while: the files are pending then.
            self._reopen([file.video_id for file in again], _videos(planned))
            planned |= self._probe([self._worklist.listed[file.uri] for file in again])
            others = self._neighbours(planned, start)
        return planned | resolve_footage_overlaps(planned, others)

    def _neighbours(self, planned: PlannedVideos, start: int) -> Neighbours:
        worklist = self._worklist
        return neighbours(
            _videos(planned),
            self._context.writer.open(),
            self._context.config,
            is_listed=worklist.is_listed,
            is_to_come=lambda uri: worklist.is_to_come(uri, start),
            is_waiting=worklist.waiting.__contains__,
        )


def _videos(planned: PlannedVideos) -> list[Video]:
    return [video for video, _ in planned.values()]
