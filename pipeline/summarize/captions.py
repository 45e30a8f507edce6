"""Makes timestamped segments from window captions: one per window, and one for the whole video."""

from collections.abc import Sequence
from typing import Literal

from pipeline.records import Segment, Video, make_id
from pipeline.timebase import NS_PER_S, TimeRange

Caption = tuple[str, TimeRange, str]
"""Window id, media time, text."""


def segments_of_video(video: Video, captions: Sequence[Caption], *, task: str) -> list[Segment]:
    """One segment for the whole video, with one timed line per caption, and one per caption."""
    captions = [caption for caption in captions if caption[2]]
    if not captions:
        return []
    windows = [
        _segment(video, level="window", media=media, text=text, window_ids=(window_id,), task=task)
        for window_id, media, text in captions
    ]
    lines = [
        f"[{clock(media.start_ns)} - {clock(media.end_ns)}] {text}" for _, media, text in captions
    ]
    whole = _segment(
        video,
        level="video",
        media=TimeRange(video.owned[0].start_ns, video.owned[-1].end_ns),
        text="\n".join(lines),
        window_ids=tuple(window_id for window_id, _, _ in captions),
        task=task,
    )
    return [whole, *windows]


def clock(media_ns: int) -> str:
    """Media time as ``h:mm:ss``, rounded down."""
    seconds = media_ns // NS_PER_S
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _segment(
    video: Video,
    *,
    level: Literal["window", "video"],
    media: TimeRange,
    text: str,
    window_ids: tuple[str, ...],
    task: str,
) -> Segment:
    return Segment(
        segment_id=make_id(video.video_id, task, level, media),
        camera=video.camera,
        video_id=video.video_id,
        uri=video.uri,
        level=level,
        span=video.utc(media),
        media=media,
        text=text,
        window_ids=window_ids,
    )
