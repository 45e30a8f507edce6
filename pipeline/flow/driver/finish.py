"""parse -> stitch -> summarize: makes the rows of videos whose windows are whole. No Ray here."""

from collections.abc import Callable, Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import Config, VoicesConfig
from pipeline.flow.driver.ledger import PendingVideo, WholeVideo
from pipeline.flow.task.read_answer import identity_fields, read_verified_answer
from pipeline.records import Event, Observation, Said, Segment, Slide, Utterance, VideoStatus
from pipeline.slides import slides_of_video
from pipeline.speech import VoiceRules, told_by_voice, utterances_of_video
from pipeline.stitch import events_of_video, join_files, zone_events
from pipeline.summarize import Caption, segments_of_video
from pipeline.tables.events import events_of_table, events_table, rows_without
from pipeline.tables.said import read_said
from pipeline.tables.segments import segments_table
from pipeline.tables.shared import Provenance
from pipeline.tables.slides import slides_table
from pipeline.tables.utterances import utterances_table
from pipeline.tables.videos import IndexedVideo, video_error, video_row, videos_table
from pipeline.timebase import seconds_to_ns, without

_GROWING = "the file is still being written; a later run analyses its end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The rows that mark a set of videos as done, and their events."""

    videos: pa.Table
    segments: pa.Table
    utterances: pa.Table
    slides: pa.Table
    events: tuple[Event, ...]
    """The events of each video alone; ``join_events`` joins them over the borders of files."""


def finish_videos(
    videos: Sequence[WholeVideo], *, config: Config, provenance: Provenance
) -> Finished:
    """parse -> stitch -> summarize, each video alone."""
    all_events: list[Event] = []
    all_segments: list[Segment] = []
    all_utterances: list[Utterance] = []
    all_slides: list[Slide] = []
    rows = []
    for whole in videos:
        utterances = _read_utterances(whole, config) if config.hears else []
        events, captions = ([], []) if config.hears else _read_answers(whole, config)
        segments = segments_of_video(whole.video, captions, task=config.task.name)
        all_events.extend(events)
        all_segments.extend(segments)
        all_utterances.extend(utterances)
        slides = slides_of_video(whole.video, whole.results, task=config.task.name)
        all_slides.extend(slides)
        rows.append(
            video_row(
                IndexedVideo(
                    video=whole.video,
                    status=_status(whole),
                    num_shards=whole.num_shards,
                    results=whole.results,
                    num_events=len(events),
                    num_segments=len(segments),
                    zones_id=config.zones_id(whole.video.camera),
                    num_utterances=len(utterances),
                    error=_GROWING if whole.is_growing else None,
                    num_slides=len(slides),
                ),
                provenance=provenance,
                at=datetime.now(tz=UTC),
            )
        )
    return Finished(
        videos=videos_table(rows),
        segments=segments_table(all_segments, provenance),
        utterances=utterances_table(all_utterances, provenance),
        slides=slides_table(all_slides, provenance),
        events=tuple(all_events),
    )


def pending_videos(pending: Sequence[PendingVideo], provenance: Provenance) -> pa.Table:
    """Rows of videos that are not done yet; ``error`` says why."""
    return videos_table(
        [
            video_row(
                IndexedVideo(
                    video=pending_video.video,
                    status="pending",
                    num_shards=pending_video.num_shards,
                    results=pending_video.results,
                    error=pending_video.error,
                ),
                provenance=provenance,
                at=datetime.now(tz=UTC),
            )
            for pending_video in pending
        ]
    )


def join_events(
    indexed: pa.Table,
    done: AbstractSet[str],
    replaced: AbstractSet[str],
    *,
    video_events: Iterable[Event],
    config: Config,
    provenance: Provenance,
    keep: bool = False,
    on_joined: Callable[[str, int], None] = lambda *_: None,
) -> pa.Table:
    """The rows of ``events`` that replace ``indexed`` when the videos ``done`` are committed.

    What zones tell is derived again from all events that are there then. The result depends on the
    events of each file alone, not on what was joined before. So a second call, or a call after a
    kill, gives the same rows.

    Args:
        indexed: rows of these cameras and this task near the videos, of every fingerprint.
        done: ids of the videos that are committed now.
        replaced: ids of videos that no longer exist: these files had other content or other times
            before.
        video_events: the events of each video alone; only those of ``done`` count.
        config: the rules of joining.
        provenance: of this run. Events of another fingerprint only lose the pieces of videos that
            no longer exist; they are never joined with events of this one.
        keep: whether the answers of other fingerprints to ``done`` stay.
        on_joined: called with the least id of ``done`` and with how many more events the index has
            because of these videos. An event that continues a neighbour's event is not a further
            one. A repeated call corrects the number.
    """
    is_same = pc.field("fingerprint") == provenance.fingerprint
    remaining = [
        [piece for piece in event.pieces if piece.parts[0].video_id not in done | replaced]
        for event in events_of_table(indexed.filter(is_same))
        if event.zone is None
    ]
    new = [event for event in video_events if event.parts[0].video_id in done]
    joined = _join_by_camera([*new, *(piece for pieces in remaining for piece in pieces)], config)
    on_joined(min(done), len(joined) - sum(map(bool, remaining)))
    joined += _in_zones(joined, config)
    lost = replaced if keep else done | replaced
    others = rows_without(indexed.filter(~is_same), lambda piece: piece.parts[0].video_id in lost)
    return pa.concat_tables([events_table(joined, provenance), others])


def matching_fields(config: Config) -> frozenset[str]:
    """The task's free-text fields that identify an object."""
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
            tracked=config.tracks_objects,
        )
    ]


def _in_zones(joined: Sequence[Event], config: Config) -> list[Event]:
    """What the events of each camera do in its zones; ``joined`` is ordered by camera."""
    return [
        event
        for camera, of_camera in groupby(joined, lambda event: event.camera)
        for event in zone_events(of_camera, config.zones_of(camera))
    ]


def _read_answers(whole: WholeVideo, config: Config) -> tuple[list[Event], list[Caption]]:
    observations: list[Observation] = []
    captions: list[Caption] = []
    for result in whole.results:
        if result.status != "analysed":
            continue
        in_window, caption = read_verified_answer(result, config, whole.video)
        observations.extend(in_window)
        captions.append((result.window_id, result.span, caption))
    events = events_of_video(
        whole.video,
        observations,
        task=config.task.name,
        identity_fields=identity_fields(config.task),
        max_gap_ns=seconds_to_ns(config.stitch.max_gap_s),
        matching_fields=matching_fields(config),
        tracked=config.tracks_objects,
    )
    return events, captions


def _read_utterances(whole: WholeVideo, config: Config) -> list[Utterance]:
    answers: Sequence[tuple[str, Sequence[Said]]] = [
        (result.window_id, read_said(result.text, result.span))
        for result in whole.results
        if result.status == "analysed"
    ]
    if config.voices:
        prints = [one for result in whole.results for one in result.voices]
        answers = told_by_voice(answers, prints, voice_rules(config.voices))
    return utterances_of_video(whole.video, answers, task=config.task.name)


def voice_rules(voices: VoicesConfig) -> VoiceRules:
    """What the settings say of voices."""
    return VoiceRules(
        same=voices.same,
        least_confidence=voices.least_confidence,
        names=tuple(sorted(voices.speakers)),
    )


def _status(whole: WholeVideo) -> VideoStatus:
    results = whole.results
    if not without(whole.video.footage, whole.video.erased):
        return "erased"  # also if other files own it: a later run must not show it to a model
    if not whole.video.owned:
        return "superseded"
    if whole.is_growing:
        return "pending"
    # Of a file that yields time only a part was looked at, and so it is no order to erase it all.
    is_erased = bool(results) and all(result.status == "erased" for result in results)
    if is_erased and not whole.video.yielded:
        return "erased"
    if video_error(results):
        return "failed"
    return "partial" if any(result.status == "failed" for result in results) else "done"
