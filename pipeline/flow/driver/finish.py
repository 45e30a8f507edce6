"""parse -> stitch -> summarize: whole videos become the rows that make them done. No Ray here."""

from collections.abc import Callable, Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import Config
from pipeline.flow.driver.ledger import PendingVideo, WholeVideo
from pipeline.flow.task.read_answer import identity_fields, read_verified_answer
from pipeline.records import Event, Observation, Segment, VideoStatus
from pipeline.records.pieces import parted
from pipeline.stitch import events_of_video, join_files
from pipeline.summarize import Caption, segments_of_video
from pipeline.tables.events import events_of_table, events_table
from pipeline.tables.rows import (
    Provenance,
    segments_table,
    video_error,
    video_row,
    videos_table,
)
from pipeline.tables.schema import EVENTS
from pipeline.timebase import seconds_to_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The rows that make a set of videos done, and what they show."""

    videos: pa.Table
    segments: pa.Table
    events: tuple[Event, ...]
    """Of each video alone; ``join_events`` joins them with those of its neighbours."""


def finish_videos(
    whole: Sequence[WholeVideo], *, config: Config, provenance: Provenance
) -> Finished:
    """parse -> stitch -> summarize, each video alone."""
    shown: list[Event] = []
    segments: list[Segment] = []
    rows = []
    for one in whole:
        events, captions = _read_answers(one, config)
        told = segments_of_video(one.video, captions, task=config.task.name)
        shown.extend(events)
        segments.extend(told)
        rows.append(
            video_row(
                one.video,
                status=_status(one),
                num_shards=one.num_shards,
                results=one.results,
                num_events=len(events),
                num_segments=len(told),
                provenance=provenance,
                at=datetime.now(tz=UTC),
            )
        )
    return Finished(
        videos=videos_table(rows),
        segments=segments_table(segments, provenance),
        events=tuple(shown),
    )


def pending_videos(pending: Sequence[PendingVideo], provenance: Provenance) -> pa.Table:
    """Rows that say of videos why they are not done yet."""
    return videos_table(
        [
            video_row(
                one.video,
                status="pending",
                num_shards=one.num_shards,
                results=one.results,
                num_events=0,
                num_segments=0,
                provenance=provenance,
                at=datetime.now(tz=UTC),
            )
            | {"error": one.error}
            for one in pending
        ]
    )


def join_events(
    held: pa.Table,
    done: AbstractSet[str],
    replaced: AbstractSet[str],
    *,
    shown: Iterable[Event],
    config: Config,
    provenance: Provenance,
    keep: bool = False,
    on_joined: Callable[[str, int], None] = lambda *_: None,
) -> pa.Table:
    """The rows of ``events`` that shall stand in place of ``held`` once videos are done.

    What comes out depends on what each file shows, not on what was joined before: doing it twice,
    or after a kill, gives the same rows.

    Args:
        held: rows of these cameras and this task near the videos, of every fingerprint.
        done: ids of the videos, whose events are ``shown`` now.
        replaced: ids of what is no more: earlier contents of these files, or earlier times.
        shown: what each video shows alone; only those of ``done`` count.
        config: the rules of joining.
        provenance: of this run; events of another lose what is gone, and are never joined with
            these.
        keep: whether the answers of other fingerprints to ``done`` stay.
        on_joined: told, under a name of ``done``, how many events the index has more by them: one
            that goes on in a neighbour's event is not another. A repeated call corrects the number.
    """
    is_same = pc.field("fingerprint") == provenance.fingerprint
    remains = [
        [piece for piece in event.pieces if piece.parts[0].video_id not in done | replaced]
        for event in events_of_table(held.filter(is_same))
    ]
    anew = [event for event in shown if event.parts[0].video_id in done]
    joined = _join_by_camera([*anew, *(piece for pieces in remains for piece in pieces)], config)
    on_joined(min(done), len(joined) - sum(map(bool, remains)))
    others = _without(held.filter(~is_same), replaced if keep else done | replaced)
    return pa.concat_tables([events_table(joined, provenance), others])


def _without(rows: pa.Table, gone: AbstractSet[str]) -> pa.Table:
    """Rows of other fingerprints without the pieces of some files."""
    left = [EVENTS.empty_table()]
    for number, (row, event) in enumerate(
        zip(rows.to_pylist(), events_of_table(rows), strict=True)
    ):
        kept = parted(event, lambda piece: piece.parts[0].video_id in gone)
        if kept == [event]:
            left.append(rows.slice(number, 1))
        else:
            provenance = Provenance(config="", **{name: row[name] for name in Provenance.COLUMNS})
            left.append(events_table(kept, provenance))
    return pa.concat_tables(left)


def matching_fields(config: Config) -> frozenset[str]:
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
            matching_fields=matching_fields(config),
            tracked=config.task.boxes,
        )
    ]


def _read_answers(one: WholeVideo, config: Config) -> tuple[list[Event], list[Caption]]:
    observations: list[Observation] = []
    captions: list[Caption] = []
    for result in one.results:
        if result.status != "analysed":
            continue
        found, caption = read_verified_answer(result, config, one.video)
        observations.extend(found)
        captions.append((result.window_id, result.span, caption))
    events = events_of_video(
        one.video,
        observations,
        task=config.task.name,
        identity_fields=identity_fields(config.task),
        max_gap_ns=seconds_to_ns(config.stitch.max_gap_s),
        matching_fields=matching_fields(config),
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
