"""Clocks inside a file: what its container says about when the recording began.

``pipeline.records.clocks`` has the order of trust, and docs/clocks.md explains each clock.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TypeAlias

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.errors import SourceError
from pipeline.records import CLOCKS, STATED_CLOCKS, Clock, Source, make_id
from pipeline.timebase import NS_PER_S, ClockCorrection, datetime_to_ns, ns_to_datetime

ToUtc: TypeAlias = Callable[[datetime], tuple[int, tuple[str, ...]]]
"""UTC in nanoseconds of a time, which may lack a zone; and warnings."""

_CREDIBLE_YEARS = range(1990, 2200)
_DAY = timedelta(days=1)
# Clocks may differ by this much; many count whole seconds.
_AGREE_NS = 5 * NS_PER_S
# A time code is the time of day if the date that the file names lies so near to its footage.
_NEAR = timedelta(seconds=60)
_TAGS: tuple[tuple[Clock, tuple[str, ...]], ...] = (
    ("creationdate", ("com.apple.quicktime.creationdate",)),
    ("creation_time", ("creation_time",)),
    # AVI, RIFF and tags of editors; of an MXF file the time at which it was completed.
    ("date", ("date", "modification_date")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundClock:
    """What one clock says."""

    clock: Clock
    start_ns: int
    """UTC of media time 0."""
    warnings: tuple[str, ...] = ()
    refused: str = ""
    """Why its local time cannot be turned into UTC; "" if it can."""


def found_clock(clock: Clock, at: datetime, to_utc: ToUtc) -> FoundClock:
    """What a clock says that shows ``at`` at media time 0."""
    try:
        start_ns, warnings = to_utc(at)
    except SourceError as exc:
        return FoundClock(clock=clock, start_ns=0, refused=str(exc))
    return FoundClock(clock=clock, start_ns=start_ns, warnings=warnings)


def utc_if_no_zone(at: datetime) -> tuple[int, tuple[str, ...]]:
    """A time without a zone is UTC."""
    return datetime_to_ns(at if at.tzinfo else at.replace(tzinfo=UTC)), ()


def clocks_in(
    container: InputContainer,
    stream: VideoStream | AudioStream,
    *,
    origin_pts: int,
    end_ns: int,
    to_utc: ToUtc,
) -> list[FoundClock]:
    """The clocks in the header and in the frames of an open file.

    Args:
        container: open.
        stream: of the pictures, or of the sound where there are none.
        origin_pts: ticks of media time 0.
        end_ns: media time of the end of the last frame.
        to_utc: for times without a zone, which recorders write in their local time.
    """
    tags = {**_lower(stream.metadata), **_lower(container.metadata)}
    found = [found_clock(clock, at, to_utc) for clock, at in _dated(tags)]
    if container.format.name == "dhav" and stream.time_base:
        at = _naive(origin_pts * stream.time_base)
        if at.year in _CREDIBLE_YEARS:
            found.append(found_clock("frames", at, to_utc))
    rate = stream.guessed_rate if isinstance(stream, VideoStream) else None
    timecode = _timecode(tags.get("timecode", ""), rate)
    if timecode is not None:
        for former in [one for one in found if not one.refused]:
            timed = _time_of_day(timecode, former.start_ns, end_ns, to_utc)
            if timed is not None:
                found.append(timed)
                break
    return found


def camera_clock(
    source: Source, found: Sequence[FoundClock], end_ns: int
) -> tuple[int, Clock, tuple[str, ...]]:
    """UTC of media time 0, the clock that says so, and warnings.

    Args:
        source: as listed.
        found: the clocks inside the file.
        end_ns: media time of the end of the last frame, which is when the file was written.

    Raises:
        SourceError: the clock that counts shows a local time that does not exist, or comes twice.
    """
    clocks = sorted(found, key=lambda one: CLOCKS.index(one.clock))
    if source.start_ns is not None:
        # What the listing must say about this time is among the warnings of the source.
        clocks.insert(0, FoundClock(clock=source.clock, start_ns=source.start_ns))
    if clocks:
        best = clocks[0]
        if best.refused:
            raise SourceError(f"{source.uri}: {best.refused}")
        warnings = (*best.warnings, *_disagreements(best, clocks[1:], end_ns))
        return best.start_ns, best.clock, warnings
    if source.mtime_ns is not None:
        return source.mtime_ns - end_ns, "mtime", ()
    return 0, "none", ()


def _disagreements(best: FoundClock, others: Sequence[FoundClock], end_ns: int) -> Iterator[str]:
    for other in others:
        # Some recorders write the time at which the file was complete.
        off_ns = min(abs(other.start_ns - best.start_ns - late) for late in (0, end_ns))
        # The first chapter's time stands in all of them.
        is_of_first = best.clock == "chapter" and other.clock in ("creation_time", "timecode")
        if off_ns > _AGREE_NS and not is_of_first and not other.refused:
            yield (
                f"its clocks disagree: it begins at {_iso(best.start_ns)} by {best.clock}, which is"
                f" taken, and at {_iso(other.start_ns)} by {other.clock}"
            )


def _iso(utc_ns: int) -> str:
    return ns_to_datetime(utc_ns).isoformat(timespec="seconds")


def _lower(tags: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): text for name, text in tags.items()}


def _dated(tags: Mapping[str, str]) -> Iterator[tuple[Clock, datetime]]:
    for clock, names in _TAGS:
        for name in names:
            at = parse_time(tags.get(name, ""))
            if at is not None:
                yield clock, at
                break


def parse_time(text: str) -> datetime | None:
    """A date with a time of day, ISO 8601; None for anything else.

    1904 and 1970 mean that the clock was never set.
    """
    if ":" not in text:
        return None
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return at if at.year in _CREDIBLE_YEARS else None


def _naive(seconds: Fraction) -> datetime:
    """The local time that a clock shows which counts ``seconds`` since 1970."""
    try:
        return ns_to_datetime(round(seconds * NS_PER_S)).replace(tzinfo=None)
    except (OverflowError, ValueError):
        return datetime.min  # noqa: DTZ901 - no zone is meant


def _timecode(text: str, rate: Fraction | None) -> timedelta | None:
    """The time since midnight of ``HH:MM:SS:FF`` (or ``;FF``), None if it is none."""
    parts = text.replace(";", ":").replace(".", ":").split(":")
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):  # noqa: PLR2004
        return None
    hours, minutes, seconds, frames = map(int, parts)
    within = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if within >= _DAY or not rate or frames >= rate + 1:
        return None
    return within + timedelta(seconds=float(frames / rate))


def _time_of_day(
    timecode: timedelta, dated_ns: int, end_ns: int, to_utc: ToUtc
) -> FoundClock | None:
    """What a time code says, if it is the time of day of a file with that date.

    Cameras may also count the time that they have recorded so far. So the date of the file must be
    that of the first or of the last frame, or lie between.
    """
    dated, length = ns_to_datetime(dated_ns), timedelta(microseconds=end_ns // 1000)
    day = datetime(dated.year, dated.month, dated.day)  # noqa: DTZ001 - in an unknown zone
    for days in (-1, 0, 1):
        local = day + days * _DAY + timecode
        for at in (local.replace(tzinfo=UTC), local):
            found = found_clock("timecode", at, to_utc)
            start = ns_to_datetime(found.start_ns)
            if not found.refused and start - _NEAR <= dated <= start + length + _NEAR:
                return found
    return None


def identified(
    source: Source, content_id: str, camera_ns: int, clock: Clock, correction: ClockCorrection
) -> tuple[str, int]:
    """The id and the start in UTC of a video, from its content and what its camera's clock says."""
    start_ns = correction.utc_ns(camera_ns) if clock != "none" else camera_ns
    stated = start_ns if clock in STATED_CLOCKS else ""
    changed = filter(None, [str(correction)])
    return make_id(content_id, source.camera, stated, *changed), start_ns
