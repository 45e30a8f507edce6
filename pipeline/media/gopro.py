"""GoPro: a recording in chapter files, and the satellite time in their telemetry (GPMF)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction

from av.container import InputContainer
from av.stream import Stream

from pipeline.errors import SourceError
from pipeline.media.clocks import FoundClock, ToUtc, camera_clock, clocks_in
from pipeline.media.container import open_container, pick_video
from pipeline.records import Source
from pipeline.storage.access import Access
from pipeline.timebase import NS_PER_S, datetime_to_ns, pts_to_ns

# GX010042.MP4, GX020042.MP4; older cameras write GOPR0042.MP4, GP010042.MP4.
_CHAPTER = re.compile(r"(G[HXL])(\d\d)(\d{4})(\.\w+)$", re.IGNORECASE)
_OLD_CHAPTER = re.compile(r"GP(\d\d)(\d{4})(\.\w+)$", re.IGNORECASE)
_HANDLER = "GoPro MET"
_MAX_CHAPTER_NS = 31 * 86_400 * NS_PER_S
_MAX_PACKETS = 64
_MAX_KEYS = 4096
_LOCKED = (2, 3)
"""Values of GPSF with which the receiver knows the time."""


def earlier_chapters(uri: str) -> list[str]:
    """The files of the recording before this chapter, in order; none if it is no chapter."""
    if match := _CHAPTER.search(uri):
        begin, number = uri[: match.start()] + match[1], int(match[2])
        return [f"{begin}{former:02d}{match[3]}{match[4]}" for former in range(1, number)]
    if match := _OLD_CHAPTER.search(uri):
        begin = uri[: match.start()] + match[0][:1]
        first = f"{begin}{'OPR' if match[0][1].isupper() else 'opr'}{match[2]}{match[3]}"
        folder = f"{uri[: match.start()]}{match[0][:2]}"
        rest = [f"{folder}{former:02d}{match[2]}{match[3]}" for former in range(1, int(match[1]))]
        return [first, *rest]
    return []


def gopro_clocks(
    source: Source,
    container: InputContainer,
    *,
    access: Access,
    to_utc: ToUtc,
) -> list[FoundClock]:
    """What the telemetry and the chapters before it say about the start of an open file."""
    found = [_chapter_clock(source, access, to_utc)]
    if _telemetry(container):
        # Of the open file the packets are read, and all streams but the video are left out.
        with open_container(source.uri, access=access) as again:
            found.append(_telemetry_clock(again))
    return [one for one in found if one]


def _chapter_clock(source: Source, access: Access, to_utc: ToUtc) -> FoundClock | None:
    """The start of a chapter: where the one before it ends. None if one before it is not there.

    All chapters of a recording have the creation time of the first.
    """
    uris = [] if source.start_ns is not None else earlier_chapters(source.uri)
    try:
        chapters = [_clocks_and_length(uri, access, to_utc) for uri in uris]
        if not chapters or not chapters[0][0]:
            return None
        start_ns, _, warnings = camera_clock(source, *chapters[0])
    except SourceError:
        return None
    lengths_ns = [length_ns for _, length_ns in chapters]
    if not all(0 < length_ns <= _MAX_CHAPTER_NS for length_ns in lengths_ns):
        return None
    return FoundClock(clock="chapter", start_ns=start_ns + sum(lengths_ns), warnings=warnings)


def _clocks_and_length(uri: str, access: Access, to_utc: ToUtc) -> tuple[list[FoundClock], int]:
    """The clocks of another file, and the length in nanoseconds that its header states."""
    with open_container(uri, access=access) as container:
        telemetry = _telemetry_clock(container)
        stream = pick_video(container, uri)
        length_ns = pts_to_ns(stream.duration or 0, stream.time_base or Fraction(1))
        end_ns = max(0, min(length_ns, _MAX_CHAPTER_NS))
        found = clocks_in(container, stream, origin_pts=0, end_ns=end_ns, to_utc=to_utc)
    return [*found, telemetry] if telemetry else found, length_ns


def _telemetry(container: InputContainer) -> list[Stream]:
    return [
        stream
        for stream in container.streams
        if stream.type == "data" and _HANDLER in stream.metadata.get("handler_name", "")
    ]


def _telemetry_clock(container: InputContainer) -> FoundClock | None:
    """The first satellite time in the telemetry of an open file; it reads some packets."""
    streams = _telemetry(container)
    if not streams:
        return None
    for number, packet in enumerate(container.demux(streams[0])):
        if number >= _MAX_PACKETS:
            break
        at = _satellite_time(bytes(packet)) if packet.size else None
        if at is not None and packet.pts is not None:
            time_base = packet.time_base or Fraction(1, 1000)
            start_ns = datetime_to_ns(at) - pts_to_ns(packet.pts, time_base)
            return FoundClock(clock="gps", start_ns=start_ns)
    return None


def _satellite_time(data: bytes) -> datetime | None:
    """UTC in GPSU, if the receiver had a fix (GPSF) when it wrote that."""
    values = dict(_keys(data))
    if int.from_bytes(values.get(b"GPSF", b"")[:4]) not in _LOCKED:
        return None
    try:
        text = values.get(b"GPSU", b"")[:16].decode("ascii")
        return datetime.strptime(text, "%y%m%d%H%M%S.%f").replace(tzinfo=UTC)
    except (ValueError, UnicodeDecodeError):
        return None


def _keys(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The values of a GPMF payload: key, type, size, repeat; containers (type 0) are entered."""
    offset = 0
    for _ in range(_MAX_KEYS):
        if offset + 8 > len(data):
            return
        key, kind, size = data[offset : offset + 4], data[offset + 4], data[offset + 5]
        length = size * int.from_bytes(data[offset + 6 : offset + 8])
        offset += 8
        if kind:
            yield key, data[offset : offset + length]
            offset += -(-length // 4) * 4
