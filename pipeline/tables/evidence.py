"""The table ``evidence``: small pictures of what the engine was shown.

They belong to windows and not to events: events are derived again when files grow or settings
change, and the picture of an event is then the nearest of those in its time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from pipeline.records import Picture, Video, WindowResult, make_id
from pipeline.tables.columns import Column, Columns
from pipeline.tables.shared import (
    INT64,
    PROVENANCE,
    SECONDS,
    STRING,
    TIME,
    file_columns,
    instant,
    range_columns,
    seconds,
)
from pipeline.timebase import TimeRange

_MADE_BY = {column.name: column for column in PROVENANCE}


@dataclass(frozen=True, slots=True)
class Evidence:
    """The record behind a row."""

    video: Video
    result: WindowResult
    picture: Picture

    @property
    def utc(self) -> TimeRange:
        """When its window was."""
        return self.video.utc(self.result.span)

    @property
    def media_ns(self) -> int:
        """When the frame is, in media time."""
        return self.video.media_ns(self.picture.pts)


COLUMNS: Columns[Evidence] = Columns(
    "Pictures that the engine was shown, near the middle of what it saw; `start` and `end` are "
    "those of the window. Nothing is drawn into them.",
    [
        *range_columns(camera="video.camera", utc="utc"),
        *file_columns(video_id="video.video_id", uri="video.uri"),
        Column("evidence_id", STRING, "Hash of the window and the frame.",
               to_row=lambda one: make_id("evidence", one.result.window_id, one.picture.pts)),
        Column("window_id", STRING, "The window that the frame was shown in.",
               path="result.window_id"),
        Column("shard_id", STRING, "The shard of that window.", path="result.shard_id"),
        Column("at", TIME, "When the frame was taken.",
               to_row=lambda one: instant(one.video.utc_ns(one.media_ns))),
        Column("pts", INT64, "The frame, in ticks of the stream's `time_base` (see `videos`).",
               path="picture.pts"),
        Column("media_s", SECONDS, "The same in seconds of the file.",
               to_row=lambda one: seconds(one.media_ns)),
        Column("webp", pa.binary(), "The upright picture, at most 320 pixels wide.",
               path="picture.webp"),
        _MADE_BY["task"],
        _MADE_BY["fingerprint"],
    ],
)  # fmt: skip


def evidence_table(
    results: Iterable[tuple[Video, WindowResult]], *, task: str, fingerprint: str
) -> pa.Table:
    """Rows of ``evidence``: the pictures of these windows."""
    pictures = (
        Evidence(video, result, picture) for video, result in results for picture in result.pictures
    )
    return COLUMNS.table(pictures, task=task, fingerprint=fingerprint)
