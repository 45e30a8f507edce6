"""Summarizes the chapters of a video, then the video, then the camera's day.

Each level is made from the summaries below it. If there is only one of them, the level takes over
its text, so that the model is not asked twice about the same lines.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pipeline.config import SummariesConfig
from pipeline.records import Line, Summary, SummaryLevel, make_id
from pipeline.summarize.captions import clock
from pipeline.summarize.extract import hull
from pipeline.summarize.summarizer import Summarizer, SummaryText, SummaryWriter
from pipeline.timebase import NS_PER_S, TimeRange

_NS_PER_DAY = 86_400 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryVideo:
    """One video's lines (UTC, ordered by start), and its summaries in the index."""

    video_id: str
    uri: str
    span: TimeRange
    """UTC, from the start of the first frame to the end of the last."""
    start_ns: int
    """UTC of media time 0."""
    lines: tuple[Line, ...]
    indexed: tuple[Summary, ...] = ()
    """Its chapters and its own summary in the index, if they were made from these lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryDay:
    """One unit of work: the videos of a camera that begin on a UTC date, ordered by start."""

    camera: str
    task: str
    date: date
    videos: tuple[SummaryVideo, ...]


def inputs_of(lines: Sequence[Line]) -> str:
    """Hash of the lines: equal lines have equal hashes."""
    return make_id(*((line.span, line.label, line.text, line.sources) for line in lines))


def day_inputs_of(inputs_ids: Iterable[str]) -> str:
    """Hash of the inputs of a day's videos, in the order of the videos."""
    return make_id(*inputs_ids)


async def summarize_day(
    day: SummaryDay, config: SummariesConfig, summarizer: Summarizer | None, *, level: SummaryLevel
) -> list[Summary]:
    """The summaries up to ``level``; those of a video that are up to date are not made again."""
    by_video = await asyncio.gather(
        *(_of_video(video, day, config, summarizer, level) for video in day.videos if video.lines)
    )
    summaries = [summary for of_video in by_video for summary in of_video]
    videos = [summary for summary in summaries if summary.level == "video"]
    if level != "day" or not videos:
        return summaries
    midnight_ns = videos[0].span.start_ns // _NS_PER_DAY * _NS_PER_DAY
    write = SummaryWriter(config, summarizer, lambda ns: clock((ns - midnight_ns) % _NS_PER_DAY))
    base = [line for video in day.videos for line in video.lines]
    whole = Summary(
        summary_id=make_id(day.task, day.camera, day.date, "day"),
        level="day",
        camera=day.camera,
        video_id="",
        uri="",
        span=TimeRange(videos[0].span.start_ns, max(video.span.end_ns for video in videos)),
        inputs_id=day_inputs_of(video.inputs_id for video in videos),
        **(await _summarized_together(videos, base, write)).columns(),
    )
    return [*summaries, whole]


async def _of_video(
    video: SummaryVideo,
    day: SummaryDay,
    config: SummariesConfig,
    summarizer: Summarizer | None,
    level: SummaryLevel,
) -> list[Summary]:
    write = SummaryWriter(config, summarizer, lambda ns: clock(ns - video.start_ns))
    about: dict[str, Any] = {"camera": day.camera, "video_id": video.video_id, "uri": video.uri}
    inputs_id = inputs_of(video.lines)
    chapters = [summary for summary in video.indexed if summary.level == "chapter"]
    if not chapters:
        cut = write.cut(video.lines)
        texts = await asyncio.gather(*(write(lines, lines) for lines in cut))
        chapters = [
            Summary(
                summary_id=make_id(video.video_id, day.task, "chapter", i),
                level="chapter",
                span=hull(lines),
                inputs_id=inputs_id,
                **about,
                **text.columns(),
            )
            for i, (lines, text) in enumerate(zip(cut, texts, strict=True))
        ]
    if level == "chapter":
        return chapters
    whole = [summary for summary in video.indexed if summary.level == "video"] or [
        Summary(
            summary_id=make_id(video.video_id, day.task, "video"),
            level="video",
            span=video.span,
            inputs_id=inputs_id,
            **about,
            **(await _summarized_together(chapters, video.lines, write)).columns(),
        )
    ]
    return [*chapters, *whole]


async def _summarized_together(
    parts: Sequence[Summary], base: Sequence[Line], write: SummaryWriter
) -> SummaryText:
    if len(parts) == 1:
        [part] = parts
        if part.method == "extractive":
            # Count again, because a day shows times of day and a video shows media times.
            return replace(write.extracted(base), error=part.error)
        return SummaryText(
            title=part.title, sentences=part.sentences, method=part.method, error=part.error
        )
    sentences = [replace(sentence, label="") for part in parts for sentence in part.sentences]
    return await write(sentences, base)
