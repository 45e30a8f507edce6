"""The cameras of an index, with what is known about each."""

import pyarrow as pa

from pipeline.index.filters import WAS_READ, Where
from pipeline.index.query import Index

_SQL = """
SELECT camera,
    min("start") FILTER (is_dated) AS first_start,
    max("end") FILTER (is_dated) AS last_end,
    count(DISTINCT video_id) AS num_videos,
    count(DISTINCT video_id) FILTER (status = 'failed') AS num_failed,
    count(DISTINCT video_id) FILTER (status = 'partial') AS num_partial,
    count(DISTINCT video_id) FILTER (status = 'pending') AS num_pending,
    coalesce(sum(video_s) FILTER (is_first), 0) AS footage_s,
    sum(num_events)::BIGINT AS num_events,
    max(indexed_at) AS indexed_at
FROM (
    SELECT *, {was_read} AS is_dated,
        row_number() OVER (PARTITION BY video_id ORDER BY indexed_at DESC, task) = 1 AS is_first
    FROM {videos}
)
GROUP BY camera ORDER BY camera
"""


def camera_figures(index: Index) -> pa.Table:
    """One row per camera, by name.

    Columns camera, first_start, last_end (null without footage), num_videos, num_failed,
    num_partial, num_pending, footage_s, num_events, indexed_at. A video counts once, even if
    several tasks asked about it; its events count for every task.
    """
    return index.fetch(_SQL.format(videos=index.source("videos"), was_read=WAS_READ), Where())
