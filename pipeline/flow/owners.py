"""Which planned videos leave a part of their time to other files of their camera. No Ray here."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from pipeline.flow.known import near
from pipeline.flow.parcel import ShardParcel, open_parcel, parcel
from pipeline.index import Index, footage_near
from pipeline.overlap import TOLD, leave_to_others, share_out, takers
from pipeline.records import Video
from pipeline.rows import claims_by_camera

log = structlog.get_logger()

PlannedVideos: TypeAlias = dict[str, tuple[Video, tuple[ShardParcel, ...]]]
"""By video id."""


def share_out_footage(
    planned: Mapping[str, tuple[Video, tuple[ShardParcel, ...]]],
    index: Index,
    *,
    task: str,
    is_to_come: Callable[[str], bool],
) -> PlannedVideos:
    """The videos of ``planned`` that change: they lose what other files speak for.

    Of a URI that is to come, as this run does it anew, what the index holds is outdated.
    """
    videos = [video for video, _ in planned.values() if video.clock in TOLD]
    if not videos:
        return {}
    rows = footage_near(index, near(videos), task=task)
    told = rows.filter(pc.field("clock").isin(sorted(TOLD)))
    others = told.filter(
        pa.array([not is_to_come(uri) for uri in told["uri"].to_pylist()], pa.bool_())
    )
    changed: PlannedVideos = {}
    for video_id, claims in share_out(videos, claims_by_camera(others)).items():
        video, parcels = planned[video_id]
        shards = [open_parcel(shard.packed) for shard in parcels]
        video, left = leave_to_others(video, shards, claims)
        if not video.owned:
            log.info("superseded", uri=video.uri, by=takers(video, claims))
        changed[video_id] = video, tuple(map(parcel, left))
    return changed
