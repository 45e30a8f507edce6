"""Finds the days whose summaries are missing or out of date. No Ray here."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import Config
from pipeline.index import Index, rows_in_range
from pipeline.records import Summary, SummaryLevel
from pipeline.summarize import SummaryDay, SummaryVideo, day_inputs_of, inputs_of
from pipeline.tables.summaries import lines_of_tables, summaries_of_table
from pipeline.timebase import TimeRange, datetime_to_ns

_ANALYSED = ("done", "partial")

DayKey: TypeAlias = tuple[str, date]
"""Camera, and the UTC date on which its videos begin."""


def days_with_videos(
    index: Index,
    config: Config,
    start: str | None,
    end: str | None,
    camera: Sequence[str] | None,
) -> list[DayKey]:
    """The days of the task's videos that overlap ``[start, end)``, each once."""
    days = index.distinct(
        "videos", ("camera", "date", "status"), start, end, camera=camera, task=config.task.name
    )
    return sorted(_day_keys(days.filter(pc.field("status").isin(_ANALYSED))))


def pending_days(
    index: Index, config: Config, level: SummaryLevel, uris: Collection[str]
) -> list[DayKey]:
    """The days of these files that lack a summary of ``level``.

    A video that is indexed again has lost its summaries, so its day is among them.
    """
    columns = ["camera", "date", "video_id"]
    videos = index.videos(task=config.task.name, columns=[*columns, "status", "uri"])
    summaries = index.summaries(task=config.task.name, columns=[*columns, "level", "fingerprint"])
    current = summaries.filter(
        (pc.field("level") == level) & (pc.field("fingerprint") == config.summaries_fingerprint)
    )
    # In Arrow and not in Python, because these may be all videos of an archive.
    pending = videos.filter(
        pc.field("status").isin(_ANALYSED)
        & pc.field("uri").isin(pa.array(uris, pa.string()))
        & ~pc.field("video_id").isin(current["video_id"].combine_chunks())
    )
    return sorted(_day_keys(pending) - (_day_keys(current) if level == "day" else set()))


def _day_keys(rows: pa.Table) -> set[DayKey]:
    days = rows.group_by(["camera", "date"]).aggregate([])
    return {(row["camera"], row["date"]) for row in days.to_pylist()}


def pending_day(
    index: Index, config: Config, key: DayKey, level: SummaryLevel
) -> SummaryDay | None:
    """The day with its lines and its current summaries.

    None if all summaries up to ``level`` are current, or if the day has no analysed video.
    """
    camera, day = key
    task = config.task.name
    midnight = datetime.combine(day, time(), UTC)
    rows = rows_in_range(index, "videos", camera, midnight, midnight + timedelta(days=1), task=task)
    of_day = rows.filter((pc.field("date") == pa.scalar(day)) & pc.field("status").isin(_ANALYSED))
    if not of_day.num_rows:
        return None
    end = max(of_day["end"].to_pylist())
    segments, events, all_summaries = (
        rows_in_range(index, table, camera, midnight, end, task=task)
        for table in ("segments", "events", "summaries")
    )
    summaries = summaries_of_table(
        all_summaries.filter(pc.field("fingerprint") == config.summaries_fingerprint)
    )
    captions = segments.filter(pc.field("level") == "window")
    videos = tuple(_video(row, captions, events, summaries) for row in of_day.to_pylist())
    if _is_up_to_date(key, videos, summaries, level):
        return None
    return SummaryDay(camera=camera, task=task, date=day, videos=videos)


def _video(
    row: Mapping[str, Any], captions: pa.Table, events: pa.Table, summaries: Sequence[Summary]
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
        indexed=tuple(
            summary
            for summary in summaries
            if summary.video_id == video_id and summary.inputs_id == inputs_id
        ),
    )


def _is_up_to_date(
    key: DayKey, videos: Sequence[SummaryVideo], summaries: Sequence[Summary], level: SummaryLevel
) -> bool:
    needed = {"chapter"} if level == "chapter" else {"chapter", "video"}
    with_lines = [video for video in videos if video.lines]
    if any(needed - {summary.level for summary in video.indexed} for video in with_lines):
        return False
    if level != "day" or not with_lines:
        return True
    inputs_id = day_inputs_of(inputs_of(video.lines) for video in with_lines)
    return any(
        summary.level == "day" and summary.camera == key[0] and summary.inputs_id == inputs_id
        for summary in summaries
    )
