"""What speaks against a camera's clock: gaps, overlaps, and the times at which files were written.

Pure. Nothing is changed: each finding has the line of config that would mend it, for a person who
knows where the recorder stood.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from statistics import median_low

from pipeline.sources.wall_clock import (
    NEAR_NS,
    QUARTER_NS,
    ZONES,
    fixed_zone,
    is_zone_step,
    length,
    offset_ns,
    touches,
    utc_ns_of,
    wall_at,
)
from pipeline.timebase import NS_PER_S, TimeRange, ns_to_datetime

_TOUCHING_NS = 10 * NS_PER_S
_MIN_FILES = 4
_MOST = 0.8
_MIN_SPREAD_NS = 1800 * NS_PER_S
"""Files that were copied were written within minutes; that says nothing of when they ended."""
_MAX_MOVES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One recording, by its uncorrected clock."""

    uri: str
    span: TimeRange
    """UTC."""
    zone: str
    """The zone that was assumed, as nothing in the path or file names one; "" if it was named."""
    written_ns: int | None
    """When the file was last written."""
    is_end_named: bool = False
    """Whether the end is that of a name: wrong if the clock was set in between."""

    @property
    def wall_start(self) -> datetime:
        """What the recorder's clock showed."""
        return wall_at(self.span.start_ns, self.zone)

    @property
    def wall_end(self) -> datetime:
        """What it showed at the end, if it was not set meanwhile."""
        return self.wall_start + timedelta(microseconds=self.span.duration_ns // 1000)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a right clock would not do."""

    at_ns: int | None
    """UTC by the clock as it is taken now; None if the files have no time."""
    text: str
    config: str
    """The line that mends it, or "" if the files must be looked at."""


@dataclass(frozen=True, slots=True)
class CameraOffset:
    """A camera, and what its clock is corrected by already."""

    camera: str
    offset_ns: int = 0

    def config(self, add_ns: int) -> str:
        """The line of config that adds so much more."""
        name = self.camera.replace("\\", "\\\\").replace('"', '\\"')
        offset_s = round((self.offset_ns + add_ns) / NS_PER_S)
        return f'clock: {{cameras: {{"{name}": {{offset_s: {offset_s}}}}}}}'


def findings(camera: CameraOffset, takes: Sequence[Take], now: datetime) -> list[Finding]:
    """All that speaks against the clock of one camera, by time."""
    usual_ns = median_low(take.span.duration_ns for take in takes)
    takes = [_of_usual_length(take, usual_ns) for take in takes]
    takes.sort(key=lambda take: (take.span.start_ns, take.uri))
    found = [*_written(camera, takes), *_unset(camera, takes, now)]
    found += [*_overlaps(camera, takes), *_gaps(camera, takes)]
    return sorted(found, key=lambda one: one.at_ns or 0)


def _of_usual_length(take: Take, usual_ns: int) -> Take:
    """With the usual length, if by its name it is longer or shorter by what a clock is set."""
    if not take.is_end_named or not is_zone_step(take.span.duration_ns - usual_ns):
        return take
    start_ns = take.span.start_ns
    return replace(take, span=TimeRange(start_ns, start_ns + usual_ns))


def refused(problems: Sequence[str], zone: str) -> list[Finding]:
    """Of a camera whose names say times that its zone skips when summer time begins."""
    if not problems:
        return []
    winter, summer = (offset_ns(datetime(2026, month, 1), zone) for month in (1, 7))  # noqa: DTZ001
    text = f"{len(problems)} files have a local time that does not exist: no summer time"
    return [Finding(None, text, f"sources: {{timezone: {fixed_zone(min(winter, summer))}}}")]


def _written(camera: CameraOffset, takes: Sequence[Take]) -> Iterator[Finding]:
    """A file is written when it ends; who keeps the time of writing may have a right clock."""
    late = [(take, take.written_ns - take.span.end_ns) for take in takes if take.written_ns]
    if len(late) < _MIN_FILES:
        return
    times = [take.written_ns or 0 for take, _ in late]
    if max(times) - min(times) < _MIN_SPREAD_NS:
        return
    by_zone = _zones_that(takes, lambda take, end: abs((take.written_ns or 0) - end) <= NEAR_NS)
    middle_ns = median_low(late_ns for _, late_ns in late)
    steady = sum(abs(late_ns - middle_ns) <= NEAR_NS for _, late_ns in late) >= _MOST * len(late)
    if steady and abs(middle_ns) <= NEAR_NS:
        return
    said = f"{len(late)} files were written {length(middle_ns)} {_side(middle_ns)} their end"
    if by_zone and takes[0].zone not in by_zone:
        yield _zone_finding(takes[0], f"{said}, as in another zone", by_zone)
    elif steady and takes[0].zone and is_zone_step(middle_ns):
        ahead_ns = offset_ns(takes[0].wall_start, takes[0].zone)
        yield Finding(
            takes[0].span.start_ns,
            f"{said}, as if the clock were not in {takes[0].zone}",
            f"sources: {{timezone: {fixed_zone(ahead_ns - middle_ns)}}}",
        )
    elif steady:
        yield Finding(
            takes[0].span.start_ns,
            f"{said}: a wrong day or a wrong clock",
            camera.config(middle_ns),
        )
    elif not by_zone:
        yield from _moved(camera, late)


def _moved(camera: CameraOffset, late: Sequence[tuple[Take, int]]) -> Iterator[Finding]:
    """A clock that was right by zone, and then by another."""
    late = sorted(late, key=lambda one: one[0].written_ns or 0)
    steps = groupby(late, lambda one: round(one[1] / QUARTER_NS))
    runs = [list(run) for _, run in steps]
    if len(runs) > _MAX_MOVES or min(map(len, runs)) < 2:  # noqa: PLR2004
        return
    for run in runs:
        take, late_ns = run[0]
        if abs(late_ns) > NEAR_NS:
            yield Finding(
                take.span.start_ns,
                f"from here on {len(run)} files were written {length(late_ns)} {_side(late_ns)}"
                " their end: the clock was moved; index these files for themselves",
                camera.config(late_ns),
            )


def _unset(camera: CameraOffset, takes: Sequence[Take], now: datetime) -> Iterator[Finding]:
    """Clocks that were never set, and clocks ahead of ours."""
    first, last = takes[0], takes[-1]
    if first.wall_start.year < 2001:  # noqa: PLR2004 - recorders begin at 1970 or at 2000
        late_ns = (first.written_ns or 0) - first.span.end_ns
        yield Finding(
            first.span.start_ns,
            f"begins on {first.wall_start:%Y-%m-%d}, as clocks do that nobody has set",
            camera.config(late_ns) if first.written_ns else "",
        )
    if ns_to_datetime(last.span.start_ns) > now + timedelta(hours=1):
        late_ns = (last.written_ns or 0) - last.span.end_ns
        yield Finding(
            last.span.start_ns, "lies in the future", camera.config(late_ns) if late_ns else ""
        )


def _overlaps(camera: CameraOffset, takes: Sequence[Take]) -> Iterator[Finding]:
    """Time that two files show: a clock that was set back, or two views under one name."""
    zone = takes[0].zone
    for span in _shown_twice(takes):
        if span.duration_ns <= NEAR_NS:
            continue
        long = length(span.duration_ns)
        back, ahead = wall_at(span.start_ns, zone), wall_at(span.end_ns, zone)
        places = [name for name in ZONES if zone and touches(ahead, back, name)]
        ambiguous = zone and len({utc_ns_of(back, zone, 0), utc_ns_of(back, zone, 1)}) > 1
        if ambiguous:
            text = f"{long} are shown twice, in the hour that comes twice in {zone}"
            text += ": index the files of the second pass for themselves"
            yield Finding(span.start_ns, text, "sources: {ambiguous: later}")
        elif places and zone not in places:
            text = f"{long} are shown twice where summer time ends in {places[0]}"
            yield _zone_finding(takes[0], text, places, span.start_ns)
        elif is_zone_step(span.duration_ns):
            text = f"{long} are shown twice, as if the clock had been set back (another zone?)"
            yield Finding(span.start_ns, f"{text}: index the files after that for themselves",
                          camera.config(span.duration_ns))  # fmt: skip
        else:
            yield Finding(
                span.start_ns,
                f"{long} are shown twice: two views under one name, or a clock that was set;"
                " see timereel plan --json for the files",
                "",
            )


def _gaps(camera: CameraOffset, takes: Sequence[Take]) -> Iterator[Finding]:
    """Of a camera that records all the time: holes as long as zones are apart."""
    steps = list(_steps(takes))
    touching = sum(gap_ns <= _TOUCHING_NS for _, _, gap_ns in steps)
    if len(takes) < _MIN_FILES or touching < _MOST * len(steps):
        return
    zone, twice = takes[0].zone, _shown_twice(takes)
    for before, after, gap_ns in steps:
        if not zone or gap_ns <= _TOUCHING_NS or not is_zone_step(gap_ns):
            continue
        at_ns, long = before.span.end_ns, length(gap_ns)
        places = [n for n in ZONES if touches(before.wall_end, after.wall_start, n)]
        if any(span.end_ns == at_ns and span.duration_ns == gap_ns for span in twice):
            continue  # the second pass of the hour that comes twice; the other finding says it
        if abs(after.wall_start - before.wall_end) <= timedelta(seconds=NEAR_NS // NS_PER_S):
            text = f"a gap of {long} where {zone} changes, and none by the names: no summer time"
            walls = (before.wall_start, after.wall_start)
            fixed = fixed_zone(min(offset_ns(wall, zone) for wall in walls))
            yield Finding(at_ns, text, f"sources: {{timezone: {fixed}}}")
        elif places and zone not in places:
            text = f"a gap of {long} where summer time begins in {places[0]}"
            yield _zone_finding(takes[0], text, places, at_ns)
        else:
            text = f"a gap of {long}, as if the clock had been set forward (another zone?)"
            yield Finding(at_ns, f"{text}: index the files after that for themselves",
                          camera.config(-gap_ns))  # fmt: skip


def _steps(takes: Sequence[Take]) -> Iterator[tuple[Take, Take, int]]:
    """Each file with the one that reached furthest before it, and the nanoseconds between."""
    furthest = takes[0]
    for take in takes[1:]:
        yield furthest, take, take.span.start_ns - furthest.span.end_ns
        furthest = max(furthest, take, key=lambda one: one.span.end_ns)


def _shown_twice(takes: Sequence[Take]) -> list[TimeRange]:
    """Ranges that at least two files show, joined where they nearly touch."""
    joined: list[TimeRange] = []
    for before, take, gap_ns in _steps(takes):
        if gap_ns >= 0:
            continue
        start_ns = take.span.start_ns
        end_ns = min(before.span.end_ns, take.span.end_ns)
        if joined and start_ns - joined[-1].end_ns <= _TOUCHING_NS:
            start_ns, end_ns = joined[-1].start_ns, max(end_ns, joined[-1].end_ns)
            joined.pop()
        joined.append(TimeRange(start_ns, end_ns))
    return joined


def _zones_that(takes: Sequence[Take], fits: Callable[[Take, int], bool]) -> list[str]:
    """The zones in which nearly all files end when they should."""
    if not takes[0].zone:
        return []
    found = []
    for name in ZONES:
        ends = ((take, utc_ns_of(take.wall_end, name, 0)) for take in takes)
        if sum(fits(take, end_ns) for take, end_ns in ends) >= _MOST * len(takes):
            found.append(name)
    return found


def _zone_finding(take: Take, text: str, zones: Sequence[str], at_ns: int | None = None) -> Finding:
    others = f" (or a place with the same time: {', '.join(zones[1:4])})" if zones[1:] else ""
    at_ns = take.span.start_ns if at_ns is None else at_ns
    return Finding(at_ns, text + others, f"sources: {{timezone: {zones[0]}}}")


def _side(late_ns: int) -> str:
    return "after" if late_ns > 0 else "before"
