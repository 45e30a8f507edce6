"""The table ``segments``: captions, each with the time it stands for."""

from collections.abc import Iterable

import pyarrow as pa

from pipeline.records import Segment
from pipeline.tables.columns import Column, Columns
from pipeline.tables.shared import (
    PROVENANCE,
    STRING,
    STRINGS,
    Provenance,
    file_columns,
    media_range,
    range_columns,
)

COLUMNS: Columns[Segment] = Columns(
    "Captions: what the model says of a stretch of one file, events or not.",
    [
        *range_columns(camera="camera", utc="span"),
        Column(
            "level", STRING, "How much time one text stands for: `window` or `video`.", path="level"
        ),
        *file_columns(video_id="video_id", uri="uri"),
        *media_range("media"),
        Column("segment_id", STRING, "Hash of what the segment is.", path="segment_id"),
        Column("text", STRING, "The caption.", path="text"),
        Column("window_ids", STRINGS, "The windows that it is of.", path="window_ids"),
        *PROVENANCE,
    ],
)


def segments_table(segments: Iterable[Segment], provenance: Provenance) -> pa.Table:
    """Rows of ``segments``."""
    return COLUMNS.table(segments, **provenance.columns())
