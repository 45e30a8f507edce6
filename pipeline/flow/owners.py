"""Which planned videos leave a part of their time to other files of their camera. No Ray here."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from pipeline.claim_rows import held_file, kept_claims
from pipeline.config import Config
from pipeline.flow.known import near
from pipeline.flow.parcel import ShardParcel, open_parcel, parcel
from pipeline.index import Index, footage_near
from pipeline.overlap import TOLD, leave_to_others, share_out
from pipeline.records import Claim, HeldFile, Video

log = structlog.get_logger()

PlannedVideos: TypeAlias = dict[str, tuple[Video, tuple[ShardParcel, ...]]]
"""By video id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Files of the index that may show what planned ones show."""

    held: tuple[HeldFile, ...] = ()
    """Those that could be done again."""
    gone: Mapping[str, Sequence[Claim]]
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
    told = [video for video in videos if video.clock in TOLD]
    if not told:
        return Neighbours(gone={})
    planned = {video.uri for video in videos}
    held: list[HeldFile] = []
    gone: dict[str, list[Claim]] = {}
    made = config.fingerprint
    for row in footage_near(index, near(told), task=config.task.name, fingerprint=made):
        uri = row["uri"]
        if row["clock"] not in TOLD or uri in planned or is_to_come(uri):
            continue
        if is_listed(uri) and row["fingerprint"] == made and row["yielded"] is not None:
            held.append(held_file(row))
        elif row["status"] in ("done", "partial"):
            gone.setdefault(row["camera"], []).extend(kept_claims(row))
    return Neighbours(held=tuple(held), gone=gone)


def share_out_footage(planned: PlannedVideos, others: Neighbours) -> PlannedVideos:
    """The videos of ``planned`` that change: they lose what other files speak for."""
    videos = [video for video, _ in planned.values() if video.clock in TOLD]
    changed: PlannedVideos = {}
    for video_id, claims in share_out(videos, others.gone, others.held).items():
        video, parcels = planned[video_id]
        shards = [open_parcel(shard.packed) for shard in parcels]
        video, left = leave_to_others(video, shards, claims)
        if video.yielded:
            told = "leaves time to others" if video.owned else "superseded"
            log.info(told, uri=video.uri, by=takers(video))
        changed[video_id] = video, tuple(map(parcel, left))
    return changed


def takers(video: Video) -> list[str]:
    """The files that speak for a part of the video, each once."""
    return list(dict.fromkeys(given.uri for given in video.yielded))
