"""Which planned videos yield a part of their time to other files of their camera. No Ray here."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from pipeline.config import Config
from pipeline.flow.driver.indexed_files import bounds_of
from pipeline.flow.task.packed_shard import PackedShard, pack_shard, unpack_shard
from pipeline.index import Index, footage_in_range
from pipeline.plan.overlap import resolve_overlaps, yield_to_others
from pipeline.records import STATED_CLOCKS, IndexedFile, Ownership, Video
from pipeline.tables.ownership import indexed_file, ownerships_of_row

log = structlog.get_logger()

PlannedVideos: TypeAlias = dict[str, tuple[Video, tuple[PackedShard, ...]]]
"""By video id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Indexed files that may show the same time as planned videos."""

    indexed: tuple[IndexedFile, ...] = ()
    """Those that can be indexed again."""
    missing: Mapping[str, Sequence[Ownership]]
    """By camera, the time that the others own: those files are no longer there."""


def neighbours(
    videos: Collection[Video],
    index: Index,
    config: Config,
    *,
    is_listed: Callable[[str], bool],
    is_to_come: Callable[[str], bool],
    is_waiting: Callable[[str], bool],
) -> Neighbours:
    """The other files that the index holds near these videos.

    A file that is to come, because this run indexes it again later, is left out: its rows are
    outdated. A file that waits, because it is still being written, keeps the time of its rows.
    """
    with_clock = [video for video in videos if video.clock in STATED_CLOCKS]
    if not with_clock:
        return Neighbours(missing={})
    # A copy under another name is the same video, and takes no time from itself.
    planned = {name for video in videos for name in (video.uri, video.video_id)}
    indexed: list[IndexedFile] = []
    missing: dict[str, list[Ownership]] = {}
    fingerprint = config.fingerprint
    for row in footage_in_range(
        index, bounds_of(with_clock), task=config.task.name, fingerprint=fingerprint
    ):
        uri = row["uri"]
        if row["clock"] not in STATED_CLOCKS or is_to_come(uri):
            continue
        if planned & {uri, row["video_id"]}:
            continue
        if is_listed(uri) and row["fingerprint"] == fingerprint and row["yielded"] is not None:
            indexed.append(indexed_file(row))
        elif row["status"] in ("done", "partial") or is_waiting(uri):
            missing.setdefault(row["camera"], []).extend(ownerships_of_row(row))
    return Neighbours(indexed=tuple(indexed), missing=missing)


def resolve_footage_overlaps(planned: PlannedVideos, others: Neighbours) -> PlannedVideos:
    """Those videos of ``planned`` that change, because other files own a part of their time."""
    videos = [video for video, _ in planned.values() if video.clock in STATED_CLOCKS]
    changed: PlannedVideos = {}
    for video_id, ownerships in resolve_overlaps(videos, others.missing, others.indexed).items():
        video, packed_shards = planned[video_id]
        shards = [unpack_shard(shard.packed) for shard in packed_shards]
        video, owned_shards = yield_to_others(video, shards, ownerships)
        if video.yielded:
            message = "yields time to other files" if video.owned else "superseded"
            log.info(message, uri=video.uri, by=owner_uris(video))
        changed[video_id] = video, tuple(map(pack_shard, owned_shards))
    return changed


def owner_uris(video: Video) -> list[str]:
    """The other files that own a part of the video's time, each once."""
    return list(dict.fromkeys(part.uri for part in video.yielded))
