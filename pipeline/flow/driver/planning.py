"""Removes from planned videos the time that was erased and the shards that are answered. No Ray."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pipeline.config import Config
from pipeline.flow.driver.growth import Earlier, are_windows_independent, carry_over
from pipeline.flow.driver.indexed_files import IndexContents, bounds_of
from pipeline.flow.driver.ownership import PlannedVideos
from pipeline.flow.task.packed_shard import PackedShard, pack_shard, unpack_shard
from pipeline.flow.task.parts import ErasedTime, leave_out
from pipeline.flow.task.read_answer import checked
from pipeline.index import (
    Writer,
    clear_erased,
    erased_media,
    erased_ranges,
    forget_erased,
    pictures_of,
    windows_of,
)
from pipeline.records import Video, WindowResult
from pipeline.tables.windows import window_results
from pipeline.timebase import TimeRange, datetime_to_ns, joined, ns_to_datetime


def erased_time(
    videos: Sequence[Video],
    writer: Writer,
    config: Config,
    indexed: IndexContents,
    *,
    include_erased: bool,
    now: datetime,
) -> dict[str, ErasedTime]:
    """By video id, what must not be shown to the engine.

    It was erased, or it is older than the camera's footage may be kept. With ``include_erased`` the
    index forgets that it was erased.
    """
    if not videos:
        return {}
    bounds = bounds_of(videos)
    by_camera = erased_ranges(writer.index, bounds.cameras, bounds.start, bounds.end)
    erased_contents = indexed.erased_contents(videos)
    if include_erased:
        forget_erased(writer.store, {video.content_id for video in videos})
    of_videos = {} if include_erased else erased_media(writer.index, videos)
    erased: dict[str, ErasedTime] = {}
    for video in videos:
        start, end = _utc(video)
        parts = of_videos.get(video.video_id, [])
        # What was erased of this file is known by its frames, wherever its clock has put them. At
        # the time that they had before lie other frames now, and nobody asked to erase those.
        moved = {part.video_id for part in parts if part.is_moved}
        ranges = [
            (low, high)
            for low, high, video_id in by_camera.get(video.camera, ())
            if low < end and start < high and video_id not in moved
        ]
        if ranges and include_erased:
            clear_erased(writer.store, video.camera, start, end)
            ranges = []
        media = joined(part.span for part in parts)
        if (video.content_id, video.camera) in erased_contents:
            ranges, media = [], [video.span]
        days = config.keep_days(video.camera)
        if days is not None and start < (expired := now - timedelta(days=days)):
            ranges.append((start, expired))
        erased[video.video_id] = ErasedTime(
            utc=tuple(TimeRange(datetime_to_ns(a), datetime_to_ns(b)) for a, b in ranges),
            media=tuple(media),
        )
    return erased


def without_erased(
    shard: PackedShard, erased: ErasedTime
) -> tuple[list[PackedShard], list[WindowResult]]:
    """The shard without erased time, or no shard if all was erased; and results for that time."""
    if erased == ErasedTime():
        return [shard], []
    rest, results = leave_out(unpack_shard(shard.packed), erased)
    return ([pack_shard(rest)] if rest.windows else []), results


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResults:
    """Results in the index for planned videos, under the same fingerprint."""

    committed: Mapping[str, Sequence[WindowResult]]
    """By video id: results that an interrupted run committed."""
    earlier: Mapping[str, Sequence[Earlier]]
    """By URI: results for the video that the file held before it grew."""
    obsolete_shards: Collection[str]
    """Ids of committed shards that are no longer planned."""


def stored_results(planned: PlannedVideos, writer: Writer, config: Config) -> StoredResults:
    """Read the results for planned videos."""
    if not planned:
        return StoredResults(committed={}, earlier={}, obsolete_shards=())
    videos = [video for video, _ in planned.values()]
    goal = {"task": config.task.name, "fingerprint": config.fingerprint}
    by_uri = {video.uri: video for video in videos}
    rows = windows_of(writer.index, planned, bounds_of(videos), uris=by_uri, **goal)
    committed: dict[str, list[WindowResult]] = {}
    earlier: dict[str, list[WindowResult]] = {}
    for uri, stored in zip(rows["uri"].to_pylist(), window_results(rows), strict=True):
        if stored.video_id in planned:
            result = checked(stored, config, planned[stored.video_id][0])
            committed.setdefault(stored.video_id, []).append(result)
        else:
            earlier.setdefault(uri, []).append(checked(stored, config, by_uri[uri]))
    pictures = pictures_of(writer.index, [r for results in earlier.values() for r in results])
    planned_ids = {shard.shard_id for _, shards in planned.values() for shard in shards}
    committed_ids = {result.shard_id for results in committed.values() for result in results}
    return StoredResults(
        committed={
            video_id: _without_unanswered(results) for video_id, results in committed.items()
        },
        earlier={
            uri: Earlier.of(
                replace(result, pictures=pictures.get(result.window_id, ())) for result in results
            )
            for uri, results in earlier.items()
        },
        # A file that was added since owns part of such a shard, which is cut in another way now.
        obsolete_shards=committed_ids - planned_ids,
    )


def unknown_as_erased(
    planned: PlannedVideos, erased: Mapping[str, ErasedTime], stored: StoredResults
) -> list[tuple[Video, WindowResult]]:
    """What is to be left out of shards that are not whole, if the index does not have all of it."""
    rows: list[tuple[Video, WindowResult]] = []
    for video_id, (video, shards) in planned.items():
        committed_ns: Counter[str] = Counter()
        known: set[str] = set()
        for result in stored.committed.get(video_id, ()):
            committed_ns[result.shard_id] += result.span.duration_ns
            known.add(result.window_id)
        for shard in shards:
            if committed_ns[shard.shard_id] < shard.planned_ns:
                _, results = without_erased(shard, erased[video_id])
                if not known.issuperset(result.window_id for result in results):
                    rows += [(video, result) for result in results]
    return rows


def without_answered(
    shard: PackedShard, earlier: Sequence[Earlier], config: Config
) -> tuple[list[PackedShard], list[WindowResult]]:
    """The shard without the windows that were answered before the file grew, and their results.

    No shard if all of its windows were.
    """
    independent = are_windows_independent(config)
    rest, results = carry_over(unpack_shard(shard.packed), earlier, independent=independent)
    if not results:
        return [shard], []
    return ([pack_shard(rest)] if rest.windows else []), results


def _without_unanswered(results: Sequence[WindowResult]) -> list[WindowResult]:
    """The results of those shards in which the engine has answered every window it was shown."""
    unanswered = {result.shard_id for result in results if result.is_unanswered}
    return [result for result in results if result.shard_id not in unanswered]


def _utc(video: Video) -> tuple[datetime, datetime]:
    span = video.utc(video.span).in_microseconds()
    return ns_to_datetime(span.start_ns), ns_to_datetime(span.end_ns)
