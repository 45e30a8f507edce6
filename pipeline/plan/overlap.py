"""overlap: who speaks for a moment that several files of one camera show. Pure.

The file with more pixels, then the one that starts first, then the earlier name; the others go on
where it ends. It makes no difference which of them the index holds already, so the order in which
files are indexed does not show: a file that the index holds and that is still there is done again
where a new one goes before it. One that is gone keeps what it speaks for, as nobody could look
again. Only times that somebody has written down count (``STATED_CLOCKS``); by modification times
alone, files that were copied together would seem to overlap.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeAlias

from pipeline.records import (
    Clock,
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

STATED_CLOCKS: frozenset[Clock] = frozenset({"path", "sidecar", "creation_time"})

_GONE = -1
_Ranked: TypeAlias = tuple[int, int, int, str, str]
"""A claim: start and end in nanoseconds, its file's rank or ``_GONE``, its uri and video id."""


def resolve_overlaps(
    videos: Iterable[Video],
    gone: Mapping[str, Sequence[Ownership]],
    held: Iterable[IndexedFile] = (),
) -> dict[str, tuple[Ownership, ...]]:
    """What others speak for in the time of each video; videos that own all of theirs are left out.

    Args:
        videos: of any cameras, in any order; each id once.
        gone: what files speak for that the index holds and that are there no more, by camera.
        held: other files of the index.

    Returns:
        By video id, the claims that go before its own and share an instant with it. Those of files
        that are gone come first, then by their file's precedence, each by start.
    """
    files = _in_order(videos, held)
    met: dict[int, set[_Ranked]] = {}
    for before, rank in _meetings(files, gone):
        if isinstance(files[rank], Video):
            met.setdefault(rank, set()).add(before)
    return {
        files[rank].video_id: tuple(
            Ownership(span=TimeRange(start_ns, end_ns), uri=uri, video_id=video_id)
            for start_ns, end_ns, _, uri, video_id in sorted(
                ownerships, key=lambda one: (one[2], one)
            )
        )
        for rank, ownerships in sorted(met.items())
    }


def overtaken(videos: Iterable[Video], held: Iterable[IndexedFile]) -> list[IndexedFile]:
    """Files of the index that planned ones go before, and that have not yielded to them yet."""
    files = _in_order(videos, held)
    found = {
        rank: file
        for (*_, owner_id), rank in _meetings(files, {})
        if isinstance(file := files[rank], IndexedFile) and owner_id not in file.owner_ids
    }
    return [found[rank] for rank in sorted(found)]


def precedence(video: Video) -> Precedence:
    """The least of several files speaks for what they share."""
    start_us = video.utc_ns(video.span.start_ns) // NS_PER_US
    return -video.width * video.height, start_us, video.uri, video.video_id


def _in_order(videos: Iterable[Video], held: Iterable[IndexedFile]) -> list[Video | IndexedFile]:
    return sorted([*videos, *held], key=_place)


def _place(file: Video | IndexedFile) -> Precedence:
    return precedence(file) if isinstance(file, Video) else file.precedence


def _meetings(
    files: Sequence[Video | IndexedFile], gone: Mapping[str, Sequence[Ownership]]
) -> Iterator[tuple[_Ranked, int]]:
    """Each claim, with the rank of every file that it overlaps and goes before.

    At least one of the two is planned.
    """
    ranked: dict[str, list[_Ranked]] = {
        camera: [_ranked(ownership, _GONE) for ownership in own] for camera, own in gone.items()
    }
    for rank, file in enumerate(files):
        ownerships = ownerships_of(file) if isinstance(file, Video) else file.ownerships
        ranked.setdefault(file.camera, []).extend(
            _ranked(ownership, rank) for ownership in ownerships
        )
    is_planned = [isinstance(file, Video) for file in files]
    for of_camera in ranked.values():
        yield from _sweep(of_camera, is_planned)


def _ranked(ownership: Ownership, rank: int) -> _Ranked:
    return ownership.span.start_ns, ownership.span.end_ns, rank, ownership.uri, ownership.video_id


def _sweep(
    ownerships: Iterable[_Ranked], is_planned: Sequence[bool]
) -> Iterator[tuple[_Ranked, int]]:
    """As ``_meetings``, of one camera, by start.

    What the index holds does not meet what it holds, so those that are open are kept apart, and the
    time taken follows from what meets.
    """
    open_held: list[tuple[int, _Ranked]] = []
    open_planned: list[tuple[int, _Ranked]] = []
    for opened in sorted(ownerships):
        start_ns, end_ns, rank, *_ = opened
        mine = open_planned if rank != _GONE and is_planned[rank] else open_held
        for still_open in (open_held, open_planned):
            while still_open and still_open[0][0] <= start_ns:
                heapq.heappop(still_open)
        for _, other in chain(open_planned, open_held if mine is open_planned else ()):
            if other[2] < rank:
                yield other, rank
            elif rank < other[2]:
                yield opened, other[2]
        heapq.heappush(mine, (end_ns, opened))


def ownerships_of(video: Video) -> list[Ownership]:
    """What a file can speak for; nothing if nobody has written down its time."""
    if video.clock not in STATED_CLOCKS:
        return []
    return [
        Ownership(span=video.utc(f).in_microseconds(), uri=video.uri, video_id=video.video_id)
        for f in video.footage
    ]


def yield_to_others(
    video: Video, shards: Sequence[Shard], ownerships: Sequence[Ownership]
) -> tuple[Video, tuple[Shard, ...]]:
    """The video and its shards without what others speak for.

    The frames that are looked at stay those of the file's own grid. Shards that lose nothing stay
    as they are; a remainder in which none of those frames begins is left out too, since there is
    nothing in it to look at.
    """
    pieces = without(video.footage, [video.media(ownership.span) for ownership in ownerships])
    kept: dict[int, list[WindowPlan]] = {}
    owned = []
    numbered = [(number, plan) for number, shard in enumerate(shards) for plan in shard.windows]
    for piece in pieces:
        cut = _cut(numbered, piece, video)
        if cut:
            owned.append(piece)
        for number, plan in cut:
            kept.setdefault(number, []).append(plan)
    yielded_media = without(video.footage, owned)
    if not yielded_media:
        return video, tuple(shards)
    yielded = _shared_among(ownerships, yielded_media, video)
    yielded_ns, all_ns = (
        sum(part.duration_ns for part in r) for r in (yielded_media, video.footage)
    )
    told = f"{yielded_ns / NS_PER_S:.3f} s are left to other files of this camera, first to "
    told += yielded[0].uri
    if 2 * yielded_ns > all_ns:
        told += "; name the cameras apart if these are two views"
    video = replace(video, yielded=yielded, warnings=(*video.warnings, told))
    return video, tuple(
        replace(_with_windows(shard, tuple(kept[number])), video=video)
        for number, shard in enumerate(shards)
        if number in kept
    )


def _shared_among(
    ownerships: Sequence[Ownership], yielded_media: Sequence[TimeRange], video: Video
) -> tuple[Yielded, ...]:
    """Each part with the claim that it falls to; a sliver that none covers, with the nearest."""
    spans = [video.media(ownership.span) for ownership in ownerships]
    parts: list[tuple[TimeRange, Ownership]] = []
    left = list(yielded_media)
    for ownership, span in zip(ownerships, spans, strict=True):
        rest = without(left, [span])
        parts += [(part, ownership) for part in without(left, rest)]
        left = rest
    for sliver in left:
        nearest = min(range(len(ownerships)), key=lambda i: _distance_ns(sliver, spans[i]))
        parts.append((sliver, ownerships[nearest]))
    return tuple(
        Yielded(span=part, uri=ownership.uri, video_id=ownership.video_id)
        for part, ownership in sorted(parts, key=lambda one: one[0])
    )


def _distance_ns(one: TimeRange, other: TimeRange) -> int:
    return max(one.start_ns - other.end_ns, other.start_ns - one.end_ns)


def _cut(
    numbered: Iterable[tuple[int, WindowPlan]], piece: TimeRange, video: Video
) -> list[tuple[int, WindowPlan]]:
    """The windows inside ``piece``, which they tile; none if no frame of theirs begins there."""
    cut: list[tuple[int, WindowPlan]] = []
    start_ns = piece.start_ns
    for number, plan in numbered:
        if not plan.span.overlaps(piece):
            continue
        end_ns = min(plan.span.end_ns, piece.end_ns)
        frame_pts = tuple(
            pts for pts in plan.frame_pts if piece.start_ns <= video.media_ns(pts) < piece.end_ns
        )
        if frame_pts:
            cut.append((number, _resized(plan, TimeRange(start_ns, end_ns), frame_pts, video)))
        elif cut:
            former, last = cut[-1]
            span = TimeRange(last.span.start_ns, end_ns)
            cut[-1] = former, _resized(last, span, last.frame_pts, video)
        else:
            continue  # its time goes to the next window
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
