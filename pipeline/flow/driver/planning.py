"""What is left to do of planned videos: neither what was erased nor what is committed. No Ray."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.config import Config
from pipeline.flow.driver.growth import Earlier, are_windows_independent, carry_over
from pipeline.flow.driver.indexed_files import IndexContents, near
from pipeline.flow.driver.ownership import PlannedVideos
from pipeline.flow.task.packed_shard import PackedShard, pack_shard, unpack_shard
from pipeline.flow.task.stages import leave_out
from pipeline.index import Writer, erased_media, erased_ranges, forget_erased, windows_of
from pipeline.records import Video, WindowResult
from pipeline.tables.rows import window_results
from pipeline.timebase import TimeRange, datetime_to_ns, ns_to_datetime


def erased_time(
    videos: Sequence[Video],
    writer: Writer,
    config: Config,
    known: IndexContents,
    *,
    include_erased: bool,
    now: datetime,
) -> dict[str, list[TimeRange]]:
    """Media time of each video that must not be looked at: erased, or kept long enough.

    With ``include_erased`` the index forgets that it was erased.
    """
    if not videos:
        return {}
    around = near(videos)
    of_cameras = erased_ranges(writer.index, around.cameras, around.start, around.end)
    erased_contents = known.erased_contents(videos)
    before = {}
    if not include_erased:
        ids = {video.video_id for video in videos}
        before = erased_media(writer.index, {video.content_id for video in videos}, ids)
    erased: dict[str, list[TimeRange]] = {}
    for video in videos:
        start, end = _utc(video)
        ranges = [r for r in of_cameras.get(video.camera, ()) if r[0] < end and start < r[1]]
        if ranges and include_erased:
            forget_erased(writer.store, video.camera, start, end)
            ranges = []
        if (video.content_id, video.camera) in erased_contents:
            ranges = [(start, end)]
        days = config.keep_days(video.camera)
        if days is not None and start < (expired := now - timedelta(days=days)):
            ranges.append((start, expired))
        erased[video.video_id] = [
            *(video.media(TimeRange(datetime_to_ns(a), datetime_to_ns(b))) for a, b in ranges),
            *(TimeRange(*span) for span in before.get((video.content_id, video.camera), ())),
        ]
    return erased


def without_erased(
    shard: PackedShard, erased: Sequence[TimeRange]
) -> tuple[list[PackedShard], list[WindowResult]]:
    """The shard without what was erased, if anything is left, and results for the rest."""
    if not erased:
        return [shard], []
    rest, results = leave_out(unpack_shard(shard.packed), erased)
    return ([pack_shard(rest)] if rest.windows else []), results


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the index holds of planned videos, under the same fingerprint."""

    committed: Mapping[str, Sequence[WindowResult]]
    """By video id: results that an interrupted run left."""
    earlier: Mapping[str, Sequence[Earlier]]
    """By URI: results of what the file held before, if it has grown since."""


def answered(planned: PlannedVideos, writer: Writer, config: Config) -> Answered:
    """Ask the index; what belongs to shards that no plan has any more is taken back."""
    if not planned:
        return Answered(committed={}, earlier={})
    videos = [video for video, _ in planned.values()]
    of_run = {"task": config.task.name, "fingerprint": config.fingerprint}
    uris = {video.uri for video in videos}
    rows = windows_of(writer.index, planned, near(videos), uris=uris, **of_run)
    committed: dict[str, list[WindowResult]] = {}
    earlier: dict[str, list[WindowResult]] = {}
    for uri, result in zip(rows["uri"].to_pylist(), window_results(rows), strict=True):
        is_planned = result.video_id in planned
        held, key = (committed, result.video_id) if is_planned else (earlier, uri)
        held.setdefault(key, []).append(result)
    shard_ids = {shard.shard_id for _, shards in planned.values() for shard in shards}
    left = {result.shard_id for of_video in committed.values() for result in of_video}
    if strays := left - shard_ids:  # other files have come since, and own part of them
        writer.drop_shards(strays, **of_run)
    return Answered(
        committed={video_id: _without_unanswered(held) for video_id, held in committed.items()},
        earlier={uri: Earlier.of(held) for uri, held in earlier.items()},
    )


def without_answered(
    shard: PackedShard, earlier: Sequence[Earlier], config: Config
) -> tuple[list[PackedShard], list[WindowResult]]:
    """The shard without what was answered of it before its file grew, and results for that."""
    stand_alone = are_windows_independent(config)
    rest, results = carry_over(unpack_shard(shard.packed), earlier, stand_alone=stand_alone)
    if not results:
        return [shard], []
    return ([pack_shard(rest)] if rest.windows else []), results


def _without_unanswered(results: Sequence[WindowResult]) -> list[WindowResult]:
    """Of whole shards those in which the engine has answered every window that it was shown."""
    unanswered = {one.shard_id for one in results if one.is_unanswered}
    return [one for one in results if one.shard_id not in unanswered]


def _utc(video: Video) -> tuple[datetime, datetime]:
    span = video.utc(video.span)
    return ns_to_datetime(span.start_ns), ns_to_datetime(span.end_ns)
