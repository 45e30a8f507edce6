"""parse -> stitch -> summarize: whole videos become rows of events, segments and videos. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from pipeline.config import Config
from pipeline.engine.parse import parse_completion
from pipeline.flow.ledger import WholeVideo
from pipeline.records import Event, Observation, Segment, VideoStatus, WindowPlan, WindowResult
from pipeline.rows import Maker, events_table, segments_table, video_error, video_row, videos_table
from pipeline.stitch import events_of_video, join_files, without_videos
from pipeline.summarize import Caption, segments_of_video
from pipeline.timebase import seconds_to_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The rows that make a set of videos done."""

    videos: pa.Table
    events: pa.Table
    segments: pa.Table
    superseded_event_ids: tuple[str, ...]
    """Events of neighbouring files that these rows replace."""


def finish_videos(
    whole: Sequence[WholeVideo],
    neighbours: Sequence[Event],
    *,
    config: Config,
    maker: Maker,
) -> Finished:
    """Build the rows of ``whole``.

    ``neighbours`` are the events that the index holds near these videos on their cameras, of the
    same task and fingerprint, and any that runs through one of these videos.
    """
    own_events: list[Event] = []
    segments: list[Segment] = []
    rows = []
    for one in whole:
        events, captions = _read_answers(one, config)
        told = segments_of_video(one.video, captions, task=config.task.name)
        own_events.extend(events)
        segments.extend(told)
        rows.append(
            video_row(
                one.video,
                status=_status(one.results),
                num_shards=one.num_shards,
                results=one.results,
                num_events=len(events),
                num_segments=len(told),
                maker=maker,
                at=datetime.now(tz=UTC),
            )
        )
    anew = {one.video.video_id for one in whole}
    kept = [remains for event in neighbours if (remains := without_videos(event, anew))]
    joined = _join_by_camera([*own_events, *kept], config)
    # A neighbour's event that came out of the join as it went in stays as it is.
    untouched = set(neighbours)
    written = [event for event in joined if event not in untouched]
    kept_ids = {event.event_id for event in joined if event in untouched}
    return Finished(
        videos=videos_table(rows),
        events=events_table(written, maker),
        segments=segments_table(segments, maker),
        superseded_event_ids=tuple(
            event.event_id for event in neighbours if event.event_id not in kept_ids
        ),
    )


def identity_fields(config: Config) -> frozenset[str]:
    """The task's fields that tell one thing from another: those with fixed values."""
    return frozenset(name for name, field in config.task.fields.items() if field.values is not None)


def _join_by_camera(events: Iterable[Event], config: Config) -> list[Event]:
    by_camera: dict[str, list[Event]] = {}
    for event in events:
        by_camera.setdefault(event.camera, []).append(event)
    fields: Collection[str] = identity_fields(config)
    gap_ns = seconds_to_ns(config.stitch.max_gap_s)
    return [
        event
        for camera in sorted(by_camera)
        for event in join_files(by_camera[camera], identity_fields=fields, max_gap_ns=gap_ns)
    ]


def _read_answers(one: WholeVideo, config: Config) -> tuple[list[Event], list[Caption]]:
    observations: list[Observation] = []
    captions: list[Caption] = []
    for result in one.results:
        if result.status != "analysed":
            continue
        found, caption = parse_completion(
            result.text, result.finish_reason, _plan_of(result), config.task, one.video
        )
        observations.extend(found)
        captions.append((result.window_id, result.span, caption))
    events = events_of_video(
        one.video,
        observations,
        task=config.task.name,
        identity_fields=identity_fields(config),
        max_gap_ns=seconds_to_ns(config.stitch.max_gap_s),
    )
    return events, captions


def _plan_of(result: WindowResult) -> WindowPlan:
    return WindowPlan(window_id=result.window_id, span=result.span, frame_pts=result.frame_pts)


def _status(results: Sequence[WindowResult]) -> VideoStatus:
    if video_error(results):
        return "failed"
    return "partial" if any(result.status == "failed" for result in results) else "done"
