"""Probes one file: what it contains and when, from its packets."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from av.container import InputContainer

from pipeline.config import DecodeConfig, SampleConfig
from pipeline.errors import SourceError
from pipeline.media.clock_jumps import clock_period
from pipeline.media.clocks import (
    FoundClock,
    ToUtc,
    camera_clock,
    clocks_in,
    identified,
    utc_if_no_zone,
)
from pipeline.media.container import counted_rate, open_container, pick_video
from pipeline.media.demux import Demuxer
from pipeline.media.gopro import gopro_clocks
from pipeline.media.packet_scan import PacketScan, check_size, nothing_shown, time_base_of
from pipeline.media.playlist_time import playlist_clocks
from pipeline.media.pts_recovery import presentation_pts
from pipeline.media.timeline import lay_out
from pipeline.records import (
    NO_PTS,
    PacketIndex,
    Source,
    Video,
)
from pipeline.storage.access import PUBLIC, Access
from pipeline.storage.playlists import is_playlist, read_playlist
from pipeline.timebase import NS_PER_S, UNCORRECTED, ClockCorrection, Int64Array, seconds_to_ns

_MICROSECONDS = 1_000_000


def probe(
    source: Source,
    *,
    sample: SampleConfig,
    decode: DecodeConfig,
    correction: ClockCorrection = UNCORRECTED,
    access: Access = PUBLIC,
    to_utc: ToUtc = utc_if_no_zone,
) -> tuple[Video, PacketIndex]:
    """Read every packet of the main video stream once.

    Args:
        source: as listed.
        sample: says how long a gap in the footage must be.
        decode: limits.
        correction: of the camera's clock.
        access: what may be opened.
        to_utc: for the times in the file that have no zone.

    Raises:
        SourceError: the file cannot be used; the message names the file, the cause and the remedy.
        UnreachableError: the medium does not answer.
    """
    uri = source.uri
    if source.problem:
        raise SourceError(f"{uri}: {source.problem}")
    with open_container(
        uri, num_bytes=source.num_bytes, max_pixels=decode.max_pixels, access=access
    ) as container:
        stream = pick_video(container, uri)
        check_size(uri, stream.width, stream.height, decode)
        scan = PacketScan(uri, stream, decode, counted_rate(container, stream, uri))
        demuxer = Demuxer(container, stream)
        for packet, pts, dts in demuxer:
            scan.add(packet, pts, dts)
        scan.num_errors = demuxer.num_errors
        packets, durations = scan.finish(demuxer.num_counted)
        scan.check_picture()
        period = clock_period(container.format.name)
        playlist = read_playlist(uri, access) if is_playlist(uri) else None
        packets, jumps = scan.in_order(packets, playlist, period)
        packets, recovered = presentation_pts(
            packets, uri, stream, durations, max_pixels=decode.max_pixels, access=access
        )
        packets = replace(packets, offsets=scan.offsets_for(packets, period))
        if not len(packets.shown_pts):
            raise SourceError(nothing_shown(uri, len(packets)))
        video = _describe(
            source,
            container,
            scan,
            packets,
            durations,
            sample=sample,
            decode=decode,
            correction=correction,
            clocks=[
                *playlist_clocks(playlist, to_utc),
                *gopro_clocks(source, container, access=access, to_utc=to_utc),
            ],
            to_utc=to_utc,
        )
        all_warnings = (*source.warnings, *scan.warnings, *jumps, *recovered, *video.warnings)
        has_clock_jumps = packets.has_clock_jumps
        return replace(video, warnings=all_warnings, has_clock_jumps=has_clock_jumps), packets


def _describe(
    source: Source,
    container: InputContainer,
    scan: PacketScan,
    packets: PacketIndex,
    durations: Int64Array,
    *,
    sample: SampleConfig,
    decode: DecodeConfig,
    correction: ClockCorrection,
    clocks: Sequence[FoundClock],
    to_utc: ToUtc,
) -> Video:
    stream, picture = scan.stream, scan.check_picture()
    shown_pts = packets.shown_pts
    time_base = time_base_of(stream)
    repeated = int(np.sum(~packets.discard & (packets.pts != NO_PTS))) - len(shown_pts)
    same_time = f"{repeated} frames have the time of another frame; the last of each is used"
    timeline = lay_out(
        shown_pts,
        packet_pts=packets.pts,
        durations=durations,
        time_base=time_base,
        container_start_pts=_start_pts(container, time_base),
        fallback_interval=int(1 / ((stream.guessed_rate or 25) * time_base)),
        max_gap_s=sample.max_gap_s,
    )
    length_ns = timeline.footage[-1].end_ns - timeline.footage[0].start_ns
    if length_ns > seconds_to_ns(decode.max_duration_s):
        raise SourceError(
            f"{source.uri}: its frames are spread over {length_ns / NS_PER_S / 86_400:.1f} days,"
            f" more than decode.max_duration_s={decode.max_duration_s:g}; raise it if that is true"
        )
    end_ns = timeline.footage[-1].end_ns
    inside = clocks_in(
        container, stream, origin_pts=timeline.origin_pts, end_ns=end_ns, to_utc=to_utc
    )
    camera_ns, clock, clock_warnings = camera_clock(source, [*clocks, *inside], end_ns)
    video_id, start_ns = identified(source, scan.content_id, camera_ns, clock, correction)
    return Video(
        video_id=video_id,
        content_id=scan.content_id,
        uri=source.uri,
        num_bytes=source.num_bytes,
        etag=source.etag,
        camera=source.camera,
        clock=clock,
        start_ns=start_ns,
        stream_index=stream.index,
        codec=stream.codec_context.name,
        width=picture.width,
        height=picture.height,
        rotation=picture.rotation,
        sar=stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1),
        time_base=time_base,
        origin_pts=timeline.origin_pts,
        footage=timeline.footage,
        num_frames=len(shown_pts),
        num_keyframes=int(np.sum(packets.keyframe & ~packets.discard)),
        correction=correction,
        warnings=((same_time,) if repeated else ()) + timeline.warnings + clock_warnings,
    )


def _start_pts(container: InputContainer, time_base: Fraction) -> int | None:
    if container.start_time is None:
        return None
    return round(Fraction(container.start_time, _MICROSECONDS) / time_base)
