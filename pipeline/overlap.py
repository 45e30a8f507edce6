"""overlap: who speaks for a moment that several files of one camera show. Pure.

What the index holds is never taken away. Of files that are planned together the one with more
pixels keeps the moment, then the one that starts first; the others go on where it ends. Only times
that somebody has written down count (``TOLD``); by modification times alone, files that were copied
together would seem to overlap.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeAlias

from pipeline.records import Claim, Clock, Shard, Video, WindowPlan, name_shard
from pipeline.timebase import NS_PER_S, TimeRange, without

TOLD: frozenset[Clock] = frozenset({"path", "sidecar", "creation_time"})

_HELD = -1
_Ranked: TypeAlias = tuple[int, int, int, str]
"""A claim: start and end in nanoseconds, its file's rank in the plan or ``_HELD``, its uri."""


def share_out(
    videos: Iterable[Video], held: Mapping[str, Sequence[Claim]]
) -> dict[str, tuple[Claim, ...]]:
    """What others speak for in the time of each video; videos that own all of theirs are left out.

    Args:
        videos: of any cameras, in any order; each id once.
        held: what the index has already, by camera.

    Returns:
        By video id, the claims that go before its own and share an instant with it. Those of the
        index come first, then by their file's precedence, each by start.
    """
    ranked: dict[str, list[_Ranked]] = {
        camera: [_ranked(claim, _HELD) for claim in own] for camera, own in held.items()
    }
    ordered = sorted(videos, key=precedence)
    for rank, video in enumerate(ordered):
        of_camera = ranked.setdefault(video.camera, [])
        of_camera.extend(_ranked(claim, rank) for claim in claims_of(video))
    met: dict[int, set[_Ranked]] = {}
    for before, rank in chain.from_iterable(map(_meetings, ranked.values())):
        met.setdefault(rank, set()).add(before)
    return {
        ordered[rank].video_id: tuple(
            Claim(span=TimeRange(start_ns, end_ns), uri=uri)
            for start_ns, end_ns, _, uri in sorted(claims, key=lambda one: (one[2], one))
        )
        for rank, claims in sorted(met.items())
    }


def precedence(video: Video) -> tuple[int, int, str, str]:
    """The least of several files that are planned together speaks for what they share."""
    pixels = video.width * video.height
    return -pixels, video.utc_ns(video.span.start_ns), video.uri, video.video_id


def _ranked(claim: Claim, rank: int) -> _Ranked:
    return claim.span.start_ns, claim.span.end_ns, rank, claim.uri


def _meetings(claims: Iterable[_Ranked]) -> Iterator[tuple[_Ranked, int]]:
    """Each claim with the rank of every planned file that it overlaps and goes before.

    Swept by start. What the index holds does not meet what it holds, so those that are open are
    kept apart, and the time taken follows from what meets.
    """
    open_held: list[tuple[int, _Ranked]] = []
    open_planned: list[tuple[int, _Ranked]] = []
    for opened in sorted(claims):
        start_ns, end_ns, rank, _ = opened
        for still_open in (open_held, open_planned):
            while still_open and still_open[0][0] <= start_ns:
                heapq.heappop(still_open)
        for _, other in chain(open_planned, () if rank == _HELD else open_held):
            if other[2] < rank:
                yield other, rank
            elif rank < other[2]:
                yield opened, other[2]
        heapq.heappush(open_held if rank == _HELD else open_planned, (end_ns, opened))


def claims_of(video: Video) -> list[Claim]:
    """What a file can speak for; nothing if nobody has written down its time."""
    if video.clock not in TOLD:
        return []
    return [Claim(span=video.utc(f).in_microseconds(), uri=video.uri) for f in video.footage]


def takers(video: Video, claims: Iterable[Claim]) -> list[str]:
    """The files that take a part of the video, of claims as ``share_out`` orders them."""
    left, uris = list(video.footage), []
    for claim in claims:
        rest = without(left, [video.media(claim.span)])
        if rest != left:
            uris.append(claim.uri)
        left = rest
    return list(dict.fromkeys(uris))


def leave_to_others(
    video: Video, shards: Sequence[Shard], claims: Sequence[Claim]
) -> tuple[Video, tuple[Shard, ...]]:
    """The video and its shards without what others speak for.

    The frames that are looked at stay those of the file's own grid. Shards that lose nothing stay
    as they are; a remainder in which none of those frames begins is left out too, since there is
    nothing in it to look at.
    """
    pieces = without(video.footage, [video.media(claim.span) for claim in claims])
    kept: dict[int, list[WindowPlan]] = {}
    owned = []
    numbered = [(number, plan) for number, shard in enumerate(shards) for plan in shard.windows]
    for piece in pieces:
        cut = _cut(numbered, piece, video)
        if cut:
            owned.append(piece)
        for number, plan in cut:
            kept.setdefault(number, []).append(plan)
    ceded = tuple(without(video.footage, owned))
    ceded_ns, all_ns = (sum(part.duration_ns for part in r) for r in (ceded, video.footage))
    told = f"{ceded_ns / NS_PER_S:.3f} s are left to other files of this camera, first to "
    told += claims[0].uri
    if 2 * ceded_ns > all_ns:
        told += "; name the cameras apart if these are two views"
    video = replace(video, ceded=ceded, warnings=(*video.warnings, told))
    return video, tuple(
        replace(_with_windows(shard, tuple(kept[number])), video=video)
        for number, shard in enumerate(shards)
        if number in kept
    )


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
