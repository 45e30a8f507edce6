"""Records become rows of the declared schemas, and windows come back as records."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import pyarrow as pa

from pipeline.records import (
    Completion,
    Segment,
    Source,
    Verification,
    Video,
    VideoStatus,
    WindowResult,
    make_id,
)
from pipeline.tables.schema import SEGMENTS, VIDEOS, WINDOWS
from pipeline.timebase import (
    NS_PER_S,
    NS_PER_US,
    TimeRange,
    ns_to_datetime,
    seconds_to_ns,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What made the rows of one run."""

    COLUMNS: ClassVar = ("task", "model", "prompt_id", "fingerprint")

    task: str
    model: str
    prompt_id: str
    fingerprint: str
    config: str

    def columns(self) -> dict[str, str]:
        """The columns that every row carries."""
        return {name: getattr(self, name) for name in self.COLUMNS}


def windows_table(
    results: Iterable[tuple[Video, WindowResult]], provenance: Provenance
) -> pa.Table:
    """Rows of ``windows``."""
    rows = [
        {
            **range_columns(video.camera, video.utc(result.span)),
            **media_columns(video.video_id, video.uri, result.span),
            "status": result.status,
            "window_id": result.window_id,
            "shard_id": result.shard_id,
            "media_start_ns": result.span.start_ns,
            "media_end_ns": result.span.end_ns,
            "frame_pts": list(result.frame_pts),
            "frame_s": [seconds(video.media_ns(pts)) for pts in result.frame_pts],
            "num_suspect_frames": result.num_suspect,
            "markers": list(result.markers),
            "completion": result.text,
            "finish_reason": result.finish_reason,
            "confidences": list(result.confidences),
            "looks": [_verification_row(verification) for verification in result.verifications],
            "num_prompt_tokens": result.num_prompt_tokens,
            "num_output_tokens": result.num_output_tokens,
            "decode_cpu_s": result.decode_cpu_s,
            "engine_s": result.engine_s,
            "error": result.error,
            **provenance.columns(),
        }
        for video, result in results
    ]
    return pa.Table.from_pylist(rows, schema=WINDOWS)


def window_results(table: pa.Table) -> list[WindowResult]:
    """The records behind rows of ``windows``, to build events from again."""
    return [
        WindowResult(
            window_id=row["window_id"],
            shard_id=row["shard_id"],
            video_id=row["video_id"],
            span=_exactmedia_columns(row),
            status=row["status"],
            frame_pts=tuple(row["frame_pts"]),
            num_suspect=row["num_suspect_frames"],
            text=row["completion"],
            finish_reason=row["finish_reason"],
            markers=tuple(row["markers"]),
            confidences=tuple(row["confidences"] or ()),
            verifications=tuple(_verification(held) for held in row["looks"] or ()),
            num_prompt_tokens=row["num_prompt_tokens"],
            num_output_tokens=row["num_output_tokens"],
            decode_cpu_s=row["decode_cpu_s"],
            engine_s=row["engine_s"],
            error=row["error"],
        )
        for row in table.to_pylist()
    ]


def _exactmedia_columns(row: Mapping[str, Any]) -> TimeRange:
    if row["media_start_ns"] is None:  # written by an older timereel
        return TimeRange(seconds_to_ns(row["media_start"]), seconds_to_ns(row["media_end"]))
    return TimeRange(row["media_start_ns"], row["media_end_ns"])


def _verification_row(verification: Verification) -> dict[str, Any]:
    completion = verification.completion
    return {
        "media_start": seconds(verification.span.start_ns),
        "media_end": seconds(verification.span.end_ns),
        "frame_pts": list(verification.frame_pts),
        "markers": list(completion.markers),
        "completion": completion.text,
        "finish_reason": completion.finish_reason,
        "confidences": list(completion.confidences),
        "num_prompt_tokens": completion.num_prompt_tokens,
        "num_output_tokens": completion.num_output_tokens,
        "error": completion.error,
    }


def _verification(row: Mapping[str, Any]) -> Verification:
    return Verification(
        span=TimeRange(seconds_to_ns(row["media_start"]), seconds_to_ns(row["media_end"])),
        frame_pts=tuple(row["frame_pts"]),
        completion=Completion(
            text=row["completion"],
            finish_reason=row["finish_reason"],
            markers=tuple(row["markers"]),
            confidences=tuple(row["confidences"]),
            num_prompt_tokens=row["num_prompt_tokens"],
            num_output_tokens=row["num_output_tokens"],
            error=row["error"],
        ),
    )


def segments_table(segments: Iterable[Segment], provenance: Provenance) -> pa.Table:
    """Rows of ``segments``."""
    rows = [
        {
            **range_columns(segment.camera, segment.span),
            **media_columns(segment.video_id, segment.uri, segment.media),
            "level": segment.level,
            "segment_id": segment.segment_id,
            "text": segment.text,
            "window_ids": list(segment.window_ids),
            **provenance.columns(),
        }
        for segment in segments
    ]
    return pa.Table.from_pylist(rows, schema=SEGMENTS)


def video_row(
    video: Video,
    *,
    status: VideoStatus,
    num_shards: int,
    results: Sequence[WindowResult],
    num_events: int,
    num_segments: int,
    provenance: Provenance,
    at: datetime,
) -> dict[str, Any]:
    """Row of ``videos`` for a video whose windows are all in."""
    statuses = [result.status for result in results]
    return {
        **range_columns(video.camera, video.utc(video.span)),
        "status": status,
        "video_id": video.video_id,
        "uri": video.uri,
        "num_bytes": video.num_bytes,
        "etag": video.etag,
        "content_id": video.content_id,
        "clock": video.clock,
        "clock_start": instant(video.start_ns),
        "clock_start_ns": video.start_ns,
        "origin_pts": video.origin_pts,
        "clock_correction": str(video.correction),
        "codec": video.codec,
        "width": video.width,
        "height": video.height,
        "rotation": video.rotation,
        "time_base": str(video.time_base),
        "num_frames": video.num_frames,
        "video_s": seconds(sum(owned.duration_ns for owned in video.owned)),
        "overlap_s": seconds(sum(given.span.duration_ns for given in video.yielded)),
        "footage": [
            {"start": instant(shown.start_ns), "end": instant(shown.end_ns)}
            for shown in map(video.utc, video.owned)
        ],
        "yielded": [
            {
                "start": instant(video.utc(given.span).start_ns),
                "end": instant(video.utc(given.span).end_ns),
                "to_uri": given.uri,
                "to_video_id": given.video_id,
            }
            for given in video.yielded
        ],
        "num_shards": num_shards,
        "num_windows_analysed": statuses.count("analysed"),
        "num_windows_quiet": statuses.count("quiet"),
        "num_windows_failed": statuses.count("failed"),
        "num_events": num_events,
        "num_segments": num_segments,
        "num_prompt_tokens": sum(result.num_prompt_tokens for result in results),
        "num_output_tokens": sum(result.num_output_tokens for result in results),
        "decode_cpu_s": sum(result.decode_cpu_s for result in results),
        "engine_s": sum(result.engine_s for result in results),
        "warnings": list(video.warnings),
        "error": next((result.error for result in results if result.status == "failed"), ""),
        **provenance.columns(),
        "config": provenance.config,
        "indexed_at": at,
    }


def failed_video_row(
    source: Source, error: str, *, provenance: Provenance, at: datetime
) -> dict[str, Any]:
    """Row of ``videos`` for a source that could not be probed: known by its URI alone."""
    start_ns = source.start_ns or 0
    return {
        **range_columns(source.camera, TimeRange(start_ns, start_ns + NS_PER_US)),
        "status": "failed",
        "video_id": make_id("failed", source.uri),
        "uri": source.uri,
        "num_bytes": source.num_bytes,
        "etag": source.etag,
        "content_id": "",
        "clock": source.clock,
        "clock_start": instant(start_ns),
        "clock_correction": "",
        "codec": "",
        "width": 0,
        "height": 0,
        "rotation": 0,
        "time_base": "",
        "num_frames": 0,
        "video_s": 0.0,
        "overlap_s": 0.0,
        "footage": [],
        "yielded": [],
        "num_shards": 0,
        "num_windows_analysed": 0,
        "num_windows_quiet": 0,
        "num_windows_failed": 0,
        "num_events": 0,
        "num_segments": 0,
        "num_prompt_tokens": 0,
        "num_output_tokens": 0,
        "decode_cpu_s": 0.0,
        "engine_s": 0.0,
        "warnings": [],
        "error": error,
        **provenance.columns(),
        "config": provenance.config,
        "indexed_at": at,
    }


def video_error(results: Sequence[WindowResult]) -> str:
    """Why a video counts as failed: it has windows, and none has an answer; else ""."""
    if any(result.status != "failed" for result in results):
        return ""
    return results[0].error if results else ""


def videos_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of ``videos``."""
    return pa.Table.from_pylist(list(rows), schema=VIDEOS)


def range_columns(camera: str, span: TimeRange) -> dict[str, Any]:
    """The columns that every row begins with; half-open, to the microsecond.

    Both ends are rounded down, none to nothing.
    """
    start = instant(span.start_ns)
    end = instant(max(span.end_ns, span.start_ns + NS_PER_US))
    return {"date": start.date(), "camera": camera, "start": start, "end": end}


def media_columns(video_id: str, uri: str, media: TimeRange) -> dict[str, Any]:
    """The columns that say where in a file something is; none is shorter than a microsecond."""
    return {
        "video_id": video_id,
        "uri": uri,
        "media_start": seconds(media.start_ns),
        "media_end": seconds(max(media.end_ns, media.start_ns + NS_PER_US)),
    }


def instant(utc_ns: int) -> datetime:
    """A time as tables hold it, rounded down to the microsecond."""
    return ns_to_datetime(utc_ns)


def seconds(ns: int) -> float:
    """Seconds as tables hold them, rounded down to the microsecond."""
    return ns // NS_PER_US / (NS_PER_S // NS_PER_US)
