"""The sound of a recording on its media clock: which tracks there are, and their exact samples."""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from operator import itemgetter

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from pipeline.config import DecodeConfig, SampleConfig
from pipeline.errors import SourceError
from pipeline.media.clock_jumps import clock_period
from pipeline.media.clocks import ToUtc, camera_clock, clocks_in, identified, utc_if_no_zone
from pipeline.media.container import open_container
from pipeline.media.demux import AnyPacket
from pipeline.media.packets import probe
from pipeline.media.sound_frames import sound_frames
from pipeline.processes.watchdog import extend_limit
from pipeline.records import Source, Video
from pipeline.records.sanitize import sanitized
from pipeline.records.speech import NS_PER_SAMPLE, SOUND_HZ, Samples, SoundTrack
from pipeline.storage.access import PUBLIC, Access
from pipeline.timebase import (
    NS_PER_S,
    UNCORRECTED,
    ClockCorrection,
    TimeRange,
    joined,
    pts_to_ns,
    seconds_to_ns,
    without,
)

NO_SOUND = "has no sound"
"""The warning of a video without any track."""
MAX_GAP_NS = NS_PER_S // 2
"""A longer time without a packet is no footage: nothing was recorded."""
_MICROSECOND = Fraction(1, 1_000_000)
_MAX_TRACKS = 64
_MAX_TITLE_CHARS = 100
_MAX_FAILURES = 100
_MAX_RANGES = 100_000
# Times of blocks are rounded by containers. What is farther off is a gap, not rounding.
_TOLERANCE = SOUND_HZ // 100
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """The sound of one file."""

    video: Video
    """The recording; its footage is the time in which any track has sound."""
    tracks: tuple[SoundTrack, ...]
    content_until: Callable[[int], str]
    """Hash of all packets of sound up to a media time, and of a little more."""


def probe_sound(
    source: Source,
    *,
    sample: SampleConfig,
    decode: DecodeConfig,
    correction: ClockCorrection = UNCORRECTED,
    access: Access = PUBLIC,
    to_utc: ToUtc = utc_if_no_zone,
) -> Sound:
    """Read every packet of sound once; a recording with pictures is the same video as they are.

    Raises:
        SourceError: the file has no sound that can be used; the message names cause and remedy.
        UnreachableError: the medium does not answer.
    """
    with open_container(source.uri, num_bytes=source.num_bytes, access=access) as container:
        tracks = sound_tracks(container)
        has_pictures = any(not s.disposition & _COVERS for s in container.streams.video)
        if not tracks and not has_pictures:
            raise SourceError(f"{source.uri}: holds no sound that can be decoded")
        if has_pictures:
            known: Video | None = probe(
                source,
                sample=sample,
                decode=decode,
                correction=correction,
                access=access,
                to_utc=to_utc,
            )[0]
        else:
            known = None
        if known and not tracks:
            silent = replace(known, warnings=(*known.warnings, NO_SOUND))
            return Sound(video=silent, tracks=(), content_until=lambda _: known.content_id)
        if known and known.has_clock_jumps:
            raise SourceError(
                f"{source.uri}: its clock starts again inside, so nobody knows when its sound was"
                " recorded; cut it where the parts were joined"
            )
        scan = _Scan(container, tracks, known, decode)
        scan.run()
        footage = scan.footage()
        if not footage:
            raise SourceError(f"{source.uri}: its sound has no packets; record or export it again")
        length_ns = footage[-1].end_ns - footage[0].start_ns
        if length_ns > seconds_to_ns(decode.max_duration_s):
            raise SourceError(
                f"{source.uri}: its sound is spread over {length_ns / NS_PER_S / 86_400:.1f} days,"
                f" more than decode.max_duration_s={decode.max_duration_s:g}; raise it if that is"
                " true"
            )
        if known:
            video = replace(known, footage=footage)
        else:
            video = _sound_alone(source, container, scan, correction=correction, to_utc=to_utc)
    return Sound(video=video, tracks=tracks, content_until=scan.content_until)


def sound_tracks(container: InputContainer) -> tuple[SoundTrack, ...]:
    """The tracks of sound that can be decoded, in their order."""
    streams = [one for one in container.streams.audio if one.codec_context is not None]
    return tuple(
        SoundTrack(
            number=number,
            stream_index=stream.index,
            title=sanitized(_title(stream))[:_MAX_TITLE_CHARS],
            language=_language(stream.metadata.get("language", "")),
        )
        for number, stream in enumerate(streams[:_MAX_TRACKS])
    )


def _title(stream: AudioStream) -> str:
    """As the container calls it: ``name`` in MP4 and MOV, ``title`` in the others."""
    return stream.metadata.get("title") or stream.metadata.get("name") or ""


def tracks_of(video: Video, access: Access) -> tuple[SoundTrack, ...]:
    """The same of a file that was probed."""
    with open_container(video.uri, num_bytes=video.num_bytes, access=access) as container:
        return sound_tracks(container)


def read_sound(
    video: Video, track: SoundTrack, span: TimeRange, *, access: Access
) -> tuple[Samples, tuple[TimeRange, ...]]:
    """Samples from ``span.start_ns`` on, and where there are none; those are silent.

    Sample ``k`` is what is heard at ``span.start_ns + k * NS_PER_SAMPLE`` of media time.
    """
    taken = _Taken(span)
    start_s = Fraction(span.start_ns, NS_PER_S)
    for media_s, frame in sound_frames(video, track.stream_index, start_s, access):
        at = round((media_s - start_s) * SOUND_HZ)
        if at >= len(taken.samples):
            break
        taken.add(frame, at)
    taken.flush()
    return taken.samples, tuple(without([span], joined(taken.present)))


class _Taken:
    """Puts decoded frames where they belong in a range."""

    def __init__(self, span: TimeRange) -> None:
        self.samples = np.zeros(-(-span.duration_ns // NS_PER_SAMPLE), np.float32)
        self.present: list[TimeRange] = []
        self._span = span
        self._following = 0
        self._form: tuple[str, str, int] | None = None
        self._resampler = _resampler()

    def add(self, frame: av.AudioFrame, at: int) -> None:
        """Take a frame that begins ``at`` samples after the start of the range."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form or abs(at - self._following) > _TOLERANCE:
            self.flush()
            self._form, self._following, self._resampler = form, at, _resampler()
        frame.pts = None  # the resampler would fill gaps by itself, and in another way
        self._put(self._resampler.resample(frame))

    def flush(self) -> None:
        """Take what the resampler still holds."""
        if self._form:
            self._put(self._resampler.resample(None))

    def _put(self, pieces: Sequence[av.AudioFrame]) -> None:
        for piece in pieces:
            block = piece.to_ndarray()[0]
            begin, self._following = self._following, self._following + len(block)
            low, high = max(0, -begin), min(len(block), len(self.samples) - begin)
            if low < high:
                self.samples[begin + low : begin + high] = block[low:high]
                self.present.append(_range_of(self._span, begin + low, begin + high))


def _resampler() -> av.AudioResampler:
    return av.AudioResampler(format="fltp", layout="mono", rate=SOUND_HZ)


def _language(text: str) -> str:
    """The code of a language, "" for what is none or says that it is not known."""
    return text if text.isascii() and text.isalpha() and text != "und" and len(text) <= 3 else ""  # noqa: PLR2004


def _range_of(span: TimeRange, first: int, last: int) -> TimeRange:
    return TimeRange(
        span.start_ns + first * NS_PER_SAMPLE,
        min(span.end_ns, span.start_ns + last * NS_PER_SAMPLE),
    )


@dataclass(slots=True)
class _Track:
    stream: AudioStream
    ranges: list[TimeRange] = field(default_factory=list)
    wrapped: int = 0
    last_pts: int | None = None


class _Scan:
    """Walks over all packets of sound, and keeps when there is sound and what it is made of."""

    def __init__(
        self,
        container: InputContainer,
        tracks: Sequence[SoundTrack],
        known: Video | None,
        decode: DecodeConfig,
    ) -> None:
        self._container = container
        self._period = clock_period(container.format.name)
        self._tracks = {
            track.stream_index: _Track(container.streams[track.stream_index])  # type: ignore[arg-type]
            for track in tracks
        }
        self._max_packets = decode.max_packets
        self._hash = hashlib.blake2b(digest_size=12)
        self._marks: list[tuple[int, str]] = []
        self.origin_s = known.origin_pts * known.time_base if known else self._start_s()
        """Media time 0."""

    @property
    def content_id(self) -> str:
        """Hash of all packets."""
        return self._hash.hexdigest()

    @property
    def first(self) -> AudioStream:
        """The stream of the first track."""
        return next(iter(self._tracks.values())).stream

    def content_until(self, media_ns: int) -> str:
        """The hash when the first packet of a later second had come."""
        later = bisect_right(self._marks, media_ns // NS_PER_S, key=itemgetter(0))
        return self._marks[later][1] if later < len(self._marks) else self.content_id

    def footage(self) -> tuple[TimeRange, ...]:
        """When there is sound in any track."""
        ranges = [one for track in self._tracks.values() for one in track.ranges]
        return tuple(joined(ranges, MAX_GAP_NS))

    def run(self) -> None:
        """Read to the end; what cannot be read is left out."""
        num_packets = 0
        streams = [track.stream for track in self._tracks.values()]
        for _ in range(_MAX_FAILURES):
            try:
                for packet in self._container.demux(streams):
                    extend_limit()
                    if packet.size and packet.pts is not None:
                        self._add(self._tracks[packet.stream.index], packet)
                        num_packets += 1
                        if num_packets > self._max_packets:
                            raise SourceError(
                                f"{self._container.name}: has more than decode.max_packets="
                                f"{self._max_packets} packets of sound; raise it if that is true"
                            )
            except (av.FFmpegError, IndexError):
                continue
            return

    def _add(self, track: _Track, packet: AnyPacket) -> None:
        pts, time_base = packet.pts or 0, packet.time_base or _MICROSECOND
        if self._period:
            if track.last_pts is None:
                off_s = pts * time_base - self.origin_s
                track.wrapped = -round(off_s / (self._period * time_base)) * self._period
            elif pts - track.last_pts < -self._period // 2:
                track.wrapped += self._period
            track.last_pts = pts
        origin = round(self.origin_s / time_base)
        start_ns = max(0, pts_to_ns(pts + track.wrapped - origin, time_base))
        end_ns = pts_to_ns(pts + track.wrapped - origin + (packet.duration or 0), time_base)
        if not self._marks or start_ns // NS_PER_S > self._marks[-1][0]:
            self._marks.append((start_ns // NS_PER_S, self.content_id))
        self._hash.update(packet)
        if end_ns <= start_ns:
            return
        ranges = track.ranges
        if ranges and start_ns - ranges[-1].end_ns <= MAX_GAP_NS:
            if end_ns > ranges[-1].end_ns:
                ranges[-1] = TimeRange(ranges[-1].start_ns, end_ns)
        else:
            ranges.append(TimeRange(start_ns, end_ns))
            if len(ranges) > _MAX_RANGES:
                raise SourceError(
                    f"{self._container.name}: its sound has more than {_MAX_RANGES} gaps; its"
                    " times are damaged, export it again"
                )

    def _start_s(self) -> Fraction:
        """What a player calls 0:00; a negative time is that of samples which are never heard."""
        starts = [
            track.stream.start_time * track.stream.time_base
            for track in self._tracks.values()
            if track.stream.start_time is not None and track.stream.time_base
        ]
        return max(Fraction(0), min(starts, default=Fraction(0)))


def _sound_alone(
    source: Source,
    container: InputContainer,
    scan: _Scan,
    *,
    correction: ClockCorrection,
    to_utc: ToUtc,
) -> Video:
    """A recording without pictures as a video of its own."""
    stream, footage = scan.first, scan.footage()
    end_ns = footage[-1].end_ns
    time_base = stream.time_base or _MICROSECOND
    origin_pts = round(scan.origin_s / time_base)
    inside = clocks_in(container, stream, origin_pts=origin_pts, end_ns=end_ns, to_utc=to_utc)
    camera_ns, clock, warnings = camera_clock(source, inside, end_ns)
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
        width=0,
        height=0,
        rotation=0,
        time_base=time_base,
        origin_pts=origin_pts,
        footage=footage,
        num_frames=0,
        num_keyframes=0,
        correction=correction,
        warnings=(*source.warnings, *warnings),
    )
