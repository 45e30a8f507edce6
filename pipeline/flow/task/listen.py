"""list -> probe -> plan, and decode -> engine -> parse, of what is said. No Ray here.

A window of sound has no frames: its range says which samples it stands for. Where nobody speaks it
is quiet. All tracks of a recording are in the same windows.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from structlog.contextvars import bind_contextvars

from pipeline.config import Config
from pipeline.config.engine_kind import SpeechEngine
from pipeline.engine.voice_activity import SAMPLES_PER_VALUE, voice_probabilities
from pipeline.engine.voices import VoiceNetwork
from pipeline.errors import SourceError, UnreachableError, WindowError
from pipeline.flow.task.captions import captions_of
from pipeline.flow.task.parts import part_of
from pipeline.flow.task.stages import (
    Failure,
    Outstanding,
    Planned,
    Probed,
    ShardOutcome,
    failed_window,
    left_open,
    probe_and_plan,
)
from pipeline.media import probe
from pipeline.media.sound import Sound, probe_sound, read_sound, tracks_of
from pipeline.processes.watchdog import watchdog
from pipeline.records import (
    NO_PACKETS,
    Said,
    Shard,
    SoundTrack,
    Source,
    Stretch,
    Video,
    VoicePrint,
    WindowPlan,
    WindowResult,
    WindowStatus,
    make_id,
    name_shard,
)
from pipeline.records.sanitize import sanitized
from pipeline.records.speech import NS_PER_SAMPLE, SOUND_HZ, Samples
from pipeline.sources import local_to_utc
from pipeline.speech import group, speakers_by_track, stretches_of, turns, voices
from pipeline.tables.said import write_said
from pipeline.timebase import NS_PER_S, TimeRange, without

_SHARD_NS = 600 * NS_PER_S
"""How much is decoded, heard and committed at once: 38 MB of samples for each track."""
_QUIETEST_WITHIN_NS = 5 * NS_PER_S
"""A shard ends at the quietest moment so near to its length, not inside a word."""
_LEAST_MISSING_NS = NS_PER_S // 2
"""Shorter holes in the samples are packets that were lost; nobody asks for them again."""
_CPU_PER_S = 0.2
"""CPU seconds that a second of sound may take; it only balances shards."""


def plan_source(source: Source, config: Config) -> Probed:
    """list -> probe -> plan of one source, for the pass that looks or for the one that listens."""
    return (probe_and_plan_listening if config.hears else probe_and_plan)(source, config)


def probe_and_plan_listening(source: Source, config: Config) -> Probed:
    """list -> probe -> plan of the sound, or the captions, of one source."""
    if source.unreachable:
        return Outstanding(source=source, error=source.unreachable)
    if source.problem:
        return Failure(source=source, error=f"{source.uri}: {source.problem}")
    try:
        with watchdog(config.decode.max_stall_s):
            video, shards = _planned(source, config)
    except UnreachableError as exc:
        return Outstanding(source=source, error=str(exc))
    except SourceError as exc:
        return Failure(source=source, error=str(exc))
    return Planned(video=video, shards=shards)


def _planned(source: Source, config: Config) -> tuple[Video, tuple[Shard, ...]]:
    known: dict[str, Any] = {
        "sample": config.sample,
        "decode": config.decode,
        "correction": config.clock.of(source.camera),
        "access": config.sources.access,
        "to_utc": partial(local_to_utc, config=config.sources),
    }
    if not config.engine_kind.reads_captions:
        sound = probe_sound(source, **known)
        return sound.video, _shards(sound, config)
    try:
        video = probe_sound(source, **known).video
    except SourceError:  # pictures may have captions without any sound
        video, _ = probe(source, **known)
    content = _captions_id(video, config)
    plans = tuple(WindowPlan.of(video.video_id, content, one, ()) for one in video.footage)
    return video, (_shard(video, plans, cost_s=0.0),)


def _captions_id(video: Video, config: Config) -> str:
    """Hash of what the captions say; "" if there are none, which the windows will tell."""
    try:
        said = captions_of(video, config)
    except SourceError:
        return ""
    return make_id(*((one.span, one.speaker, one.text) for one in said))


def _shards(sound: Sound, config: Config) -> tuple[Shard, ...]:
    video = sound.video
    shards: list[Shard] = []
    plans: list[WindowPlan] = []
    for footage in video.footage:
        at_ns = footage.start_ns
        while at_ns < footage.end_ns:
            room_ns = _SHARD_NS - sum(plan.span.duration_ns for plan in plans)
            end_ns = at_ns + room_ns
            if end_ns + _SHARD_NS // 2 >= footage.end_ns:
                end_ns = footage.end_ns
            else:
                end_ns = _quietest(sound, end_ns, config)
            span = TimeRange(at_ns, end_ns)
            content = sound.content_until(end_ns)
            plans.append(WindowPlan.of(video.video_id, content, span, ()))
            at_ns = end_ns
            if sum(plan.span.duration_ns for plan in plans) >= _SHARD_NS // 2:
                shards.append(_shard(video, tuple(plans)))
                plans = []
    return (*shards, _shard(video, tuple(plans))) if plans else tuple(shards)


def _shard(video: Video, plans: tuple[WindowPlan, ...], cost_s: float | None = None) -> Shard:
    span = TimeRange(plans[0].span.start_ns, plans[-1].span.end_ns)
    length_s = sum(plan.span.duration_ns for plan in plans) / NS_PER_S
    return Shard(
        shard_id=name_shard(plans),
        video=video,
        span=span,
        packets=NO_PACKETS,
        windows=plans,
        cost_s=_CPU_PER_S * length_s if cost_s is None else cost_s,
    )


def _quietest(sound: Sound, near_ns: int, config: Config) -> int:
    """The middle of the quietest fifth of a second near a media time."""
    around = TimeRange(near_ns - _QUIETEST_WITHIN_NS, near_ns + _QUIETEST_WITHIN_NS)
    step = SOUND_HZ // 20
    power = np.zeros(2 * _QUIETEST_WITHIN_NS // NS_PER_SAMPLE // step)
    for track in sound.tracks:
        samples, _ = read_sound(sound.video, track, around, access=config.sources.access)
        power += np.square(samples[: len(power) * step]).reshape(-1, step).mean(axis=1)
    loudness = np.convolve(power, np.ones(4), mode="valid")
    return around.start_ns + (int(loudness.argmin()) + 2) * step * NS_PER_SAMPLE


def listen(
    shard: Shard,
    config: Config,
    engine: SpeechEngine | None,
    network: VoiceNetwork | None = None,
) -> Iterator[ShardOutcome]:
    """decode -> engine -> parse: results that tile the planned windows.

    Without an engine the captions are read; without a network nobody tells voices apart.
    If the store of the file does not answer, the shard stays open.
    """
    try:
        if engine is None:
            yield from _read(shard, config)
        else:
            for plan in shard.windows:
                bind_contextvars(window_id=plan.window_id)  # for log lines
                yield from _heard(shard, plan, config, engine, network)
    except UnreachableError as exc:
        yield left_open(shard.shard_id, shard.video, exc)


def _read(shard: Shard, config: Config) -> Iterator[WindowResult]:
    try:
        said = captions_of(shard.video, config)
    except SourceError as exc:
        yield from (failed_window(plan, shard, str(exc)) for plan in shard.windows)
        return
    for plan in shard.windows:
        inside = [one for one in said if plan.span.start_ns <= one.span.start_ns < plan.span.end_ns]
        yield _result(shard, plan, "analysed", inside)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """The samples of one track, where there are none, and the stretches to ask about."""

    missing: tuple[TimeRange, ...]
    stretches: tuple[Stretch, ...]
    turns: tuple[TimeRange, ...]
    """Where one voice is heard, without its pauses."""


def _heard(
    shard: Shard,
    plan: WindowPlan,
    config: Config,
    engine: SpeechEngine,
    network: VoiceNetwork | None,
) -> Iterator[WindowResult]:
    started_s = time.process_time()
    try:
        with watchdog(config.decode.max_stall_s):
            tracks = tracks_of(shard.video, config.sources.access)
            decoded = [
                (track, *read_sound(shard.video, track, plan.span, access=config.sources.access))
                for track in tracks
            ]
    except SourceError as exc:
        yield failed_window(plan, shard, str(exc), time.process_time() - started_s)
        return
    decode_cpu_s = time.process_time() - started_s
    heard = [_stretches(track, samples, missing, plan) for track, samples, missing in decoded]
    del decoded
    stretches = [stretch for one in heard for stretch in one.stretches]
    speakers = speakers_by_track(tracks)
    lost = _lost_in_all(heard, plan)
    # Where each speaker has a track, nobody needs to guess.
    told = None if any(speakers.values()) else network
    for span, has_voice in group([stretch.span for stretch in stretches], plan.span):
        asked = [one for one in stretches if span.start_ns <= one.start_ns < span.end_ns]
        if has_voice:
            yield _answered(
                shard,
                part_of(plan, span),
                asked,
                engine,
                speakers=speakers,
                prints=_prints(asked, heard, told) if told else (),
                decode_cpu_s=decode_cpu_s,
            )
            decode_cpu_s = 0.0
            continue
        for part in without([span], lost):
            yield _result(shard, part_of(plan, part), "quiet", ())
        for part in without([span], without([span], lost)):
            yield failed_window(part_of(plan, part), shard, "the sound is damaged here")


def _stretches(
    track: SoundTrack, samples: Samples, missing: tuple[TimeRange, ...], plan: WindowPlan
) -> _Heard:
    probabilities = voice_probabilities(samples)
    found = voices(probabilities, SAMPLES_PER_VALUE, plan.span)
    return _Heard(
        missing=missing,
        stretches=stretches_of(track, samples, found, plan.span),
        turns=tuple(turns(probabilities, SAMPLES_PER_VALUE, plan.span)),
    )


def _prints(
    stretches: Sequence[Stretch], heard: Sequence[_Heard], network: VoiceNetwork
) -> Iterator[VoicePrint]:
    """The voices in stretches of the only track."""
    [track] = heard
    for stretch in stretches:
        inside = [turn for turn in track.turns if turn.overlaps(stretch.span)]
        yield from network.prints(stretch, inside)


def _lost_in_all(heard: Sequence[_Heard], plan: WindowPlan) -> list[TimeRange]:
    """Where no track has samples, though it has packets."""
    lost = [plan.span] if heard else []
    for one in heard:
        lost = without(lost, without(lost, one.missing))
    return [one for one in lost if one.duration_ns >= _LEAST_MISSING_NS]


def _answered(
    shard: Shard,
    plan: WindowPlan,
    stretches: Sequence[Stretch],
    engine: SpeechEngine,
    *,
    speakers: Mapping[int, str],
    prints: Iterable[VoicePrint],
    decode_cpu_s: float,
) -> WindowResult:
    began_s = time.monotonic()
    said: list[Said] = []
    error = ""
    for stretch in stretches:
        try:
            said += [
                replace(one, speaker=one.speaker or speakers[stretch.track.number])
                for one in engine.transcribe(stretch)
            ]
        except WindowError as exc:
            error = error or sanitized(str(exc))
    return _result(
        shard,
        plan,
        "failed" if error else "analysed",
        () if error else said,
        error=error,
        prints=() if error else tuple(prints),
        decode_cpu_s=decode_cpu_s,
        engine_s=time.monotonic() - began_s,
    )


def _result(
    shard: Shard,
    plan: WindowPlan,
    status: WindowStatus,
    said: Sequence[Said],
    *,
    error: str = "",
    prints: tuple[VoicePrint, ...] = (),
    decode_cpu_s: float = 0.0,
    engine_s: float = 0.0,
) -> WindowResult:
    return WindowResult(
        window_id=plan.window_id,
        shard_id=shard.shard_id,
        video_id=shard.video.video_id,
        span=plan.span,
        status=status,
        frame_pts=(),
        text=write_said(said, plan.span) if status == "analysed" else "",
        finish_reason={"analysed": "stop", "failed": "refused"}.get(status, ""),
        error=error,
        voices=prints,
        decode_cpu_s=decode_cpu_s,
        engine_s=engine_s,
    )
