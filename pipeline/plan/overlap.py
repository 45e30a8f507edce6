"""overlap: which file owns a moment that several files of one camera show. Pure.

Files have a precedence: more pixels first, then the earlier start (in whole microseconds, as tables
hold it), then the lesser name. Of the files that show a moment, the one with the highest precedence
owns it; the others yield it.

The result does not depend on the order in which files are indexed. If a new file takes precedence
over an indexed file that still exists, the indexed file is indexed again. An indexed file that no
longer exists ("missing") keeps the time that it owns, since nobody could analyse it again.

Only files whose start somebody has written down own time (``STATED_CLOCKS``): by modification times
alone, files that were copied together would seem to overlap.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeAlias

from pipeline.records import (
    STATED_CLOCKS,
    IndexedFile,
    Ownership,
    Precedence,
    Shard,
    Video,
    WindowPlan,
    Yielded,
    name_shard,
)
from pipeline.timebase import NS_PER_S, NS_PER_US, TimeRange, without

_MISSING_RANK = -1
_Ranked: TypeAlias = tuple[int, int, int, str, str]
"""An ownership: start and end in nanoseconds, the rank of its file, its uri and video id.

A lower rank takes precedence; a missing file has ``_MISSING_RANK``."""


def resolve_overlaps(
    videos: Iterable[Video],
    missing: Mapping[str, Sequence[Ownership]],
    indexed: Iterable[IndexedFile] = (),
) -> dict[str, tuple[Ownership, ...]]:
    """The time in each video that other files own; videos that own all of their time are left out.

    Args:
        videos: of any cameras, in any order; each id once.
        missing: by camera, the time owned by indexed files that no longer exist.
        indexed: indexed files that still exist.

    Returns:
        By video id, the ownerships that take precedence over the video and share an instant with
        it. Those of missing files come first, then by the precedence of their files; for each file
        by start.
    """
    files = _by_precedence(videos, indexed)
    by_rank: dict[int, set[_Ranked]] = {}
    for ownership, rank in _overlaps(files, missing):
        if isinstance(files[rank], Video):
            by_rank.setdefault(rank, set()).add(ownership)
    return {
        files[rank].video_id: tuple(
            Ownership(span=TimeRange(start_ns, end_ns), uri=uri, video_id=video_id)
            for start_ns, end_ns, _, uri, video_id in sorted(
                ownerships, key=lambda ownership: (ownership[2], ownership)
            )
        )
        for rank, ownerships in sorted(by_rank.items())
    }


def overtaken(videos: Iterable[Video], indexed: Iterable[IndexedFile]) -> list[IndexedFile]:
    """Indexed files over which planned videos take precedence, and that have not yielded yet."""
    files = _by_precedence(videos, indexed)
    by_rank = {
        rank: file
        for (*_, owner_id), rank in _overlaps(files, {})
        if isinstance(file := files[rank], IndexedFile) and owner_id not in file.owner_ids
    }
    return [by_rank[rank] for rank in sorted(by_rank)]


def precedence(video: Video) -> Precedence:
    """Sort key: of several files that show a moment, the one with the least key owns it."""
    start_us = video.utc_ns(video.span.start_ns) // NS_PER_US
    return -video.width * video.height, start_us, video.uri, video.video_id


def _by_precedence(
    videos: Iterable[Video], indexed: Iterable[IndexedFile]
) -> list[Video | IndexedFile]:
    return sorted([*videos, *indexed], key=_precedence)


def _precedence(file: Video | IndexedFile) -> Precedence:
    return precedence(file) if isinstance(file, Video) else file.precedence


def _overlaps(
    files: Sequence[Video | IndexedFile], missing: Mapping[str, Sequence[Ownership]]
) -> Iterator[tuple[_Ranked, int]]:
    """Pairs of an ownership and the rank of a file that it overlaps and takes precedence over.

    At least one of the two files is planned.
    """
    ranked: dict[str, list[_Ranked]] = {
        camera: [_ranked(ownership, _MISSING_RANK) for ownership in ownerships]
        for camera, ownerships in missing.items()
    }
    for rank, file in enumerate(files):
        ownerships = ownerships_of(file) if isinstance(file, Video) else file.ownerships
        ranked.setdefault(file.camera, []).extend(
            _ranked(ownership, rank) for ownership in ownerships
        )
    is_planned = [isinstance(file, Video) for file in files]
    for ranked_of_camera in ranked.values():
        yield from _sweep(ranked_of_camera, is_planned)


def _ranked(ownership: Ownership, rank: int) -> _Ranked:
    return ownership.span.start_ns, ownership.span.end_ns, rank, ownership.uri, ownership.video_id


def _sweep(
    ownerships: Iterable[_Ranked], is_planned: Sequence[bool]
) -> Iterator[tuple[_Ranked, int]]:
    """As ``_overlaps`` for one camera: sweeps over the ownerships by start.

    The ownerships that contain the current start are open. Indexed and planned ones are in separate
    heaps: two indexed files are never compared, so the time taken depends on the pairs that are
    yielded.
    """
    open_indexed: list[tuple[int, _Ranked]] = []
    open_planned: list[tuple[int, _Ranked]] = []
    for current in sorted(ownerships):
        start_ns, end_ns, rank, *_ = current
        same_kind = open_planned if rank != _MISSING_RANK and is_planned[rank] else open_indexed
        for heap in (open_indexed, open_planned):
            while heap and heap[0][0] <= start_ns:
                heapq.heappop(heap)
        for _, other in chain(open_planned, open_indexed if same_kind is open_planned else ()):
            if other[2] < rank:
                yield other, rank
            elif rank < other[2]:
                yield current, other[2]
        heapq.heappush(same_kind, (end_ns, current))


def ownerships_of(video: Video) -> list[Ownership]:
    """The time that a file can own: its footage, or none if its start is not written down."""
    if video.clock not in STATED_CLOCKS:
        return []
    return [
        Ownership(span=video.utc(f).in_microseconds(), uri=video.uri, video_id=video.video_id)
        for f in video.footage
    ]


def yield_to_others(
    video: Video, shards: Sequence[Shard], ownerships: Sequence[Ownership]
) -> tuple[Video, tuple[Shard, ...]]:
    """The video and its shards without the time that other files own.

    The sampled frames stay those of the file's own grid. Shards that lose no time stay as they are.
    A remainder in which no sampled frame begins is yielded too, since it has no frame to show.
    """
    pieces = without(video.footage, [video.media(ownership.span) for ownership in ownerships])
    windows: dict[int, list[WindowPlan]] = {}
    owned = []
    numbered = [(number, plan) for number, shard in enumerate(shards) for plan in shard.windows]
    for piece in pieces:
        cut = _cut(numbered, piece, video)
        if cut:
            owned.append(piece)
        for number, plan in cut:
            windows.setdefault(number, []).append(plan)
    yielded_media = without(video.footage, owned)
    if not yielded_media:
        return video, tuple(shards)
    yielded = _assign_owners(ownerships, yielded_media, video)
    yielded_ns, all_ns = (
        sum(part.duration_ns for part in r) for r in (yielded_media, video.footage)
    )
    warning = f"yields {yielded_ns / NS_PER_S:.3f} s to other files of this camera, first to "
    warning += yielded[0].uri
    if 2 * yielded_ns > all_ns:
        warning += "; give the cameras different names if these are two views"
    video = replace(video, yielded=yielded, warnings=(*video.warnings, warning))
    return video, tuple(
        replace(_with_windows(shard, tuple(windows[number])), video=video)
        for number, shard in enumerate(shards)
        if number in windows
    )


def _assign_owners(
    ownerships: Sequence[Ownership], yielded_media: Sequence[TimeRange], video: Video
) -> tuple[Yielded, ...]:
    """Each yielded part with its owner: the first that covers it, or else the nearest."""
    spans = [video.media(ownership.span) for ownership in ownerships]
    parts: list[tuple[TimeRange, Ownership]] = []
    unassigned = list(yielded_media)
    for ownership, span in zip(ownerships, spans, strict=True):
        rest = without(unassigned, [span])
        parts += [(part, ownership) for part in without(unassigned, rest)]
        unassigned = rest
    for sliver in unassigned:
        nearest = min(range(len(ownerships)), key=lambda i: _distance_ns(sliver, spans[i]))
        parts.append((sliver, ownerships[nearest]))
    return tuple(
        Yielded(span=span, uri=ownership.uri, video_id=ownership.video_id)
        for span, ownership in sorted(parts, key=lambda part: part[0])
    )


def _distance_ns(first: TimeRange, second: TimeRange) -> int:
    return max(first.start_ns - second.end_ns, second.start_ns - first.end_ns)


def _cut(
    numbered: Iterable[tuple[int, WindowPlan]], piece: TimeRange, video: Video
) -> list[tuple[int, WindowPlan]]:
    """The parts of the windows that lie in ``piece``. They tile it, or none has a frame there."""
    cut: list[tuple[int, WindowPlan]] = []
    start_ns = piece.start_ns
    for number, plan in numbered:
        if not plan.span.overlaps(piece):
            continue
        end_ns = min(plan.span.end_ns, piece.end_ns)
        # The other file's border is known to the microsecond only, and a file that was cut from the
        # same recording begins a frame just there: without it, nothing would show that time.
        first_ns = piece.start_ns - NS_PER_US
        frame_pts = tuple(
            pts for pts in plan.frame_pts if first_ns < video.media_ns(pts) < piece.end_ns
        )
        if frame_pts:
            cut.append((number, _resized(plan, TimeRange(start_ns, end_ns), frame_pts, video)))
        elif cut:
            last_number, last = cut[-1]
            span = TimeRange(last.span.start_ns, end_ns)
            cut[-1] = last_number, _resized(last, span, last.frame_pts, video)
        else:
            continue  # the next window gets its time
        start_ns = end_ns
    return cut


def _resized(
    plan: WindowPlan, span: TimeRange, frame_pts: tuple[int, ...], video: Video
) -> WindowPlan:
    if (span, frame_pts) == (plan.span, plan.frame_pts):
        return plan
    return WindowPlan.of(video.video_id, plan.content_id, span, frame_pts)


def _with_windows(shard: Shard, windows: tuple[WindowPlan, ...]) -> Shard:
    if windows == shard.windows:
        return shard
    num_before, num_after = (
        sum(len(plan.frame_pts) for plan in plans) for plans in (shard.windows, windows)
    )
    return replace(
        shard,
        shard_id=name_shard(windows),
        span=TimeRange(windows[0].span.start_ns, windows[-1].span.end_ns),
        windows=windows,
        cost_s=shard.cost_s * num_after / num_before,
    )
