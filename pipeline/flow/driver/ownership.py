"""Which planned videos leave a part of their time to other files of their camera. No Ray here."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from pipeline.config import Config
from pipeline.flow.driver.indexed_files import near
from pipeline.flow.task.packed_shard import PackedShard, pack_shard, unpack_shard
from pipeline.index import Index, footage_near
from pipeline.plan.overlap import STATED_CLOCKS, resolve_overlaps, yield_to_others
from pipeline.records import IndexedFile, Ownership, Video
from pipeline.tables.ownership import indexed_file, ownerships_of_row

log = structlog.get_logger()

PlannedVideos: TypeAlias = dict[str, tuple[Video, tuple[PackedShard, ...]]]
"""By video id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Files of the index that may show what planned ones show."""

    held: tuple[IndexedFile, ...] = ()
    """Those that could be done again."""
    gone: Mapping[str, Sequence[Ownership]]
    """What the others speak for, by camera."""


def neighbours(
    videos: Collection[Video],
    index: Index,
    config: Config,
    *,
    is_listed: Callable[[str], bool],
    is_to_come: Callable[[str], bool],
) -> Neighbours:
    """What the index holds near these videos, but for themselves.

    Of a URI that is to come, as this run does it anew, what the index holds is outdated.
    """
    told = [video for video in videos if video.clock in STATED_CLOCKS]
    if not told:
        return Neighbours(gone={})
    planned = {video.uri for video in videos}
    held: list[IndexedFile] = []
    gone: dict[str, list[Ownership]] = {}
    made = config.fingerprint
    for row in footage_near(index, near(told), task=config.task.name, fingerprint=made):
        uri = row["uri"]
        if row["clock"] not in STATED_CLOCKS or uri in planned or is_to_come(uri):
            continue
        if is_listed(uri) and row["fingerprint"] == made and row["yielded"] is not None:
            held.append(indexed_file(row))
        elif row["status"] in ("done", "partial"):
            gone.setdefault(row["camera"], []).extend(ownerships_of_row(row))
    return Neighbours(held=tuple(held), gone=gone)


def resolve_footage_overlaps(planned: PlannedVideos, others: Neighbours) -> PlannedVideos:
    """The videos of ``planned`` that change: they lose what other files speak for."""
    videos = [video for video, _ in planned.values() if video.clock in STATED_CLOCKS]
    changed: PlannedVideos = {}
    for video_id, ownerships in resolve_overlaps(videos, others.gone, others.held).items():
        video, packed_shards = planned[video_id]
        shards = [unpack_shard(shard.packed) for shard in packed_shards]
        video, left = yield_to_others(video, shards, ownerships)
        if video.yielded:
            told = "leaves time to others" if video.owned else "superseded"
            log.info(told, uri=video.uri, by=owner_uris(video))
        changed[video_id] = video, tuple(map(pack_shard, left))
    return changed


def owner_uris(video: Video) -> list[str]:
    """The files that speak for a part of the video, each once."""
    return list(dict.fromkeys(given.uri for given in video.yielded))
