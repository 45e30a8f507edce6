"""The times of a recording in segments, as its playlist states them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction

import numpy as np

from pipeline.errors import SourceError
from pipeline.media.clock_jumps import MAX_TICKS, straighten
from pipeline.media.clocks import FoundClock, ToUtc, found_clock
from pipeline.records import NO_PTS, PacketIndex
from pipeline.storage.joined_file import starts_of
from pipeline.storage.playlists import Playlist
from pipeline.timebase import Int64Array

# Dates in a playlist and durations of segments are rounded; more than this is a hole.
_ROUNDED_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """Segments that follow one another without a break."""

    offset: int
    """Of its first segment in the joined file."""
    begins_s: float
    """Since the start of the first stretch."""


def playlist_clocks(playlist: Playlist | None, to_utc: ToUtc) -> list[FoundClock]:
    """What the first EXT-X-PROGRAM-DATE-TIME says about the start of the first segment."""
    if playlist is None:
        return []
    before_s = 0.0
    for part in playlist.parts:
        if part.begins is not None:
            try:
                begins = part.begins - timedelta(seconds=before_s)
            except OverflowError:
                return []
            return [found_clock("playlist", begins, to_utc)]
        before_s += part.duration_s
    return []


def place_segments(
    packets: PacketIndex,
    playlist: Playlist,
    offsets: Int64Array,
    *,
    uri: str,
    time_base: Fraction,
    period: int | None,
) -> tuple[PacketIndex, list[str]]:
    """The packets at the times of their segments; each part after a break may have its own clock.

    Args:
        packets: of the joined file.
        playlist: whose segments were joined.
        offsets: of the packets in the joined file, -1 where unknown.
        uri: of the playlist.
        time_base: seconds per tick.
        period: see ``straighten``.
    """
    known = np.maximum.accumulate(offsets)
    stretches = list(_stretches(playlist))
    rows = [int(np.searchsorted(known, stretch.offset)) for stretch in stretches]
    rows = [0, *rows[1:], len(packets)]
    pts, dts, shifts, warnings = [], [], [], []
    origin: int | None = None
    end = 0
    num_late = 0
    has_clock_jumps = False
    for stretch, low, high in zip(stretches, rows, rows[1:], strict=False):
        part, found = straighten(packets[low:high], uri, time_base=time_base, period=period)
        clock = np.where(part.dts == NO_PTS, part.pts, part.dts)
        timed = clock[clock != NO_PTS]
        shift = 0
        if len(timed):
            if origin is None:
                origin = int(timed[0])
            else:
                begin = origin + round(stretch.begins_s / time_base)
                if abs(begin) > MAX_TICKS:
                    raise SourceError(
                        f"{uri}: its dates (EXT-X-PROGRAM-DATE-TIME) lie"
                        f" {stretch.begins_s / 86_400:.0f} days apart; correct the playlist"
                    )
                num_late += begin < end
                shift = max(begin, end) - int(timed[0])
            usual = int(np.median(np.diff(timed))) if len(timed) > 1 else 1
            end = int(timed.max()) + shift + max(1, usual)
        pts.append(np.where(part.pts == NO_PTS, NO_PTS, part.pts + shift))
        dts.append(np.where(part.dts == NO_PTS, NO_PTS, part.dts + shift))
        former = part.shifts if len(part.shifts) else np.zeros(high - low, np.int64)
        shifts.append(former + shift)
        warnings += found
        has_clock_jumps |= part.has_clock_jumps
    if playlist.num_missing:
        warnings.append(f"{playlist.num_missing} segments that the playlist names are not there")
    if num_late:
        warnings.append(
            f"{num_late} parts begin by the playlist before the former part ends;"
            " they are placed straight after it"
        )
    moved = np.concatenate(shifts)
    discard = packets.discard.copy()
    # After the first break FFmpeg marks fragments whose clock has started again.
    discard[rows[1] :] = False
    return (
        replace(
            packets,
            pts=np.concatenate(pts),
            dts=np.concatenate(dts),
            discard=discard,
            shifts=moved if moved.any() else moved[:0],
            has_clock_jumps=has_clock_jumps,
        ),
        warnings,
    )


def _stretches(playlist: Playlist) -> Iterator[_Stretch]:
    """The parts of a recording between breaks: tagged ones, and those that the dates show."""
    first: tuple[float, datetime] | None = None
    begins_s, is_first = 0.0, True
    for offset, part in zip(starts_of(playlist), playlist.parts, strict=False):
        if part.is_header:
            continue
        stated_s = None
        if part.begins is not None:
            if first is None:
                first = begins_s, part.begins
            elif (first[1].tzinfo is None) == (part.begins.tzinfo is None):
                stated_s = first[0] + (part.begins - first[1]).total_seconds()
        is_break = part.follows_break or (
            stated_s is not None and abs(stated_s - begins_s) > _ROUNDED_S
        )
        begins_s = begins_s if stated_s is None else stated_s
        if is_first or is_break:
            yield _Stretch(offset=0 if is_first else offset, begins_s=begins_s)
        is_first = False
        begins_s += part.duration_s
