"""parse -> stitch -> summarize: whole videos become the rows that make them done. No Ray here."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import Config
from pipeline.flow.ledger import WholeVideo
from pipeline.flow.read import identity_fields, read_both_looks
from pipeline.records import Event, Observation, Segment, VideoStatus
from pipeline.rows import (
    Maker,
    events_of_table,
    events_table,
    segments_table,
    video_error,
    video_row,
    videos_table,
)
from pipeline.schema import EVENTS
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
    whole: Sequence[WholeVideo], neighbours: pa.Table, *, config: Config, maker: Maker
) -> Finished:
    """Build the rows of ``whole``.

    ``neighbours`` are the rows of ``events`` that the index holds near these videos, of their
    cameras and task. Those of the same fingerprint may go on in these videos. Of one that runs
    through these videos, only the share of its other files is kept.
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
                status=_status(one),
                num_shards=one.num_shards,
                results=one.results,
                num_events=len(events),
                num_segments=len(told),
                maker=maker,
                at=datetime.now(tz=UTC),
            )
        )
    anew = {one.video.video_id for one in whole}
    is_same = pc.field("fingerprint") == maker.fingerprint
    alike = events_of_table(neighbours.filter(is_same))
    remains = [kept for event in alike if (kept := without_videos(event, anew))]
    joined = _join_by_camera([*own_events, *remains], config)
    # A neighbour's event that came out of the join as it went in stays as it is.
    # Not so what a killed run has left of these very videos: that is replaced with them.
    elsewhere = {event for event in alike if without_videos(event, anew) is event}
    untouched = elsewhere & set(joined)
    written = events_table((event for event in joined if event not in untouched), maker)
    # What another fingerprint has made is cut, but never joined with this run's.
    others = neighbours.filter(~is_same)
    cut, cut_ids = _cut(others, anew)
    return Finished(
        videos=videos_table(rows),
        events=pa.concat_tables([written, cut]),
        segments=segments_table(segments, maker),
        superseded_event_ids=(
            *(event.event_id for event in alike if event not in untouched),
            *cut_ids,
        ),
    )


def _cut(others: pa.Table, anew: set[str]) -> tuple[pa.Table, list[str]]:
    """Rows of other fingerprints without the files done anew, and the ids of those that change."""
    changed, ids = [], []
    for row, event in zip(others.to_pylist(), events_of_table(others), strict=True):
        kept = without_videos(event, anew)
        if kept is event:
            continue
        ids.append(event.event_id)
        if kept:
            maker = Maker(config="", **{name: row[name] for name in Maker.COLUMNS})
            changed.append(events_table([kept], maker))
    return pa.concat_tables([EVENTS.empty_table(), *changed]), ids


def alike_fields(config: Config) -> frozenset[str]:
    """The task's fields of free text that tell one thing from another."""
    return frozenset(name for name, field in config.task.fields.items() if field.alike)


def _join_by_camera(events: Iterable[Event], config: Config) -> list[Event]:
    by_camera: dict[str, list[Event]] = {}
    for event in events:
        by_camera.setdefault(event.camera, []).append(event)
    fields: Collection[str] = identity_fields(config.task)
    gap_ns = seconds_to_ns(config.stitch.max_gap_s)
    return [
        event
        for camera in sorted(by_camera)
        for event in join_files(
            by_camera[camera],
            identity_fields=fields,
            max_gap_ns=gap_ns,
            alike_fields=alike_fields(config),
            tracked=config.task.boxes,
        )
    ]


def _read_answers(one: WholeVideo, config: Config) -> tuple[list[Event], list[Caption]]:
    observations: list[Observation] = []
    captions: list[Caption] = []
    for result in one.results:
        if result.status != "analysed":
            continue
        found, caption = read_both_looks(result, config, one.video)
        observations.extend(found)
        captions.append((result.window_id, result.span, caption))
    events = events_of_video(
        one.video,
        observations,
        task=config.task.name,
        identity_fields=identity_fields(config.task),
        max_gap_ns=seconds_to_ns(config.stitch.max_gap_s),
        alike_fields=alike_fields(config),
        tracked=config.task.boxes,
    )
    return events, captions


def _status(one: WholeVideo) -> VideoStatus:
    results = one.results
    if not one.video.owned:
        return "superseded"
    if results and all(result.status == "erased" for result in results):
        return "erased"
    if video_error(results):
        return "failed"
    return "partial" if any(result.status == "failed" for result in results) else "done"
