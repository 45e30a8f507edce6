"""What the index holds of a camera's day, and whether it has been told. No Ray here."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import Config
from pipeline.index import Index, rows_near
from pipeline.records import Summary, SummaryLevel
from pipeline.summarize import SummaryDay, SummaryVideo, day_inputs_of, inputs_of
from pipeline.tables.summaries import lines_of_tables, summaries_of_table
from pipeline.timebase import TimeRange, datetime_to_ns

_LOOKED_AT = ("done", "partial")

DayKey: TypeAlias = tuple[str, date]
"""Camera, and the UTC date on which its videos begin."""


def days_with_videos(
    index: Index,
    config: Config,
    start: str | None,
    end: str | None,
    camera: Sequence[str] | None,
) -> list[DayKey]:
    """Days of the task's videos that share an instant with ``[start, end)``, each once."""
    days = index.distinct(
        "videos", ("camera", "date", "status"), start, end, camera=camera, task=config.task.name
    )
    return sorted(_day_keys(days.filter(pc.field("status").isin(_LOOKED_AT))))


def pending_days(
    index: Index, config: Config, level: SummaryLevel, uris: Collection[str]
) -> list[DayKey]:
    """Days of these files that lack a summary of ``level``: finishing a video removes them."""
    about = ["camera", "date", "video_id"]
    videos = index.videos(task=config.task.name, columns=[*about, "status", "uri"])
    held = index.summaries(task=config.task.name, columns=[*about, "level", "fingerprint"])
    told = held.filter(
        (pc.field("level") == level) & (pc.field("fingerprint") == config.summaries_fingerprint)
    )
    # In Arrow, as these may be all videos of an archive.
    left = videos.filter(
        pc.field("status").isin(_LOOKED_AT)
        & pc.field("uri").isin(pa.array(uris, pa.string()))
        & ~pc.field("video_id").isin(told["video_id"].combine_chunks())
    )
    return sorted(_day_keys(left) - (_day_keys(told) if level == "day" else set()))


def _day_keys(rows: pa.Table) -> set[DayKey]:
    days = rows.group_by(["camera", "date"]).aggregate([])
    return {(row["camera"], row["date"]) for row in days.to_pylist()}


def pending_day(
    index: Index, config: Config, key: DayKey, level: SummaryLevel
) -> SummaryDay | None:
    """The day, with what of it is told already; None if all of it is, or nothing can be."""
    camera, day = key
    task = config.task.name
    midnight = datetime.combine(day, time(), UTC)
    near = rows_near(index, "videos", camera, midnight, midnight + timedelta(days=1), task=task)
    begun = near.filter((pc.field("date") == pa.scalar(day)) & pc.field("status").isin(_LOOKED_AT))
    if not begun.num_rows:
        return None
    last = max(begun["end"].to_pylist())
    segments, events, held = (
        rows_near(index, table, camera, midnight, last, task=task)
        for table in ("segments", "events", "summaries")
    )
    told = summaries_of_table(held.filter(pc.field("fingerprint") == config.summaries_fingerprint))
    captions = segments.filter(pc.field("level") == "window")
    videos = tuple(_video(row, captions, events, told) for row in begun.to_pylist())
    if _is_up_to_date(key, videos, told, level):
        return None
    return SummaryDay(camera=camera, task=task, date=day, videos=videos)


def _video(
    row: Mapping[str, Any], captions: pa.Table, events: pa.Table, told: Sequence[Summary]
) -> SummaryVideo:
    video_id = row["video_id"]
    span = TimeRange(datetime_to_ns(row["start"]), datetime_to_ns(row["end"]))
    in_video = [
        any(part["video_id"] == video_id for part in parts) for parts in events["parts"].to_pylist()
    ]
    lines = lines_of_tables(
        captions.filter(pc.field("video_id") == video_id),
        events.filter(pa.array(in_video, pa.bool_())),
        span,
    )
    inputs_id = inputs_of(lines)
    return SummaryVideo(
        video_id=video_id,
        uri=row["uri"],
        span=span,
        start_ns=datetime_to_ns(row["clock_start"]),
        lines=lines,
        held=tuple(
            summary
            for summary in told
            if summary.video_id == video_id and summary.inputs_id == inputs_id
        ),
    )


def _is_up_to_date(
    key: DayKey, videos: Sequence[SummaryVideo], told: Sequence[Summary], level: SummaryLevel
) -> bool:
    needed = {"chapter"} if level == "chapter" else {"chapter", "video"}
    with_lines = [video for video in videos if video.lines]
    if any(needed - {summary.level for summary in video.held} for video in with_lines):
        return False
    if level != "day" or not with_lines:
        return True
    inputs_id = day_inputs_of(inputs_of(video.lines) for video in with_lines)
    return any(
        summary.level == "day" and summary.camera == key[0] and summary.inputs_id == inputs_id
        for summary in told
    )
