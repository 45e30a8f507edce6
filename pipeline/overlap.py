"""overlap: who speaks for a moment that several files of one camera show. Pure.

The file that starts first keeps the moment, and what the index holds is never taken away: the
other file goes on where it ends. Only times that somebody has written down count (``TOLD``); by
modification times alone, files that were copied together would seem to overlap.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pipeline.records import Claim, Clock, Shard, Video, WindowPlan, make_id
from pipeline.timebase import NS_PER_S, NS_PER_US, TimeRange, without

TOLD: frozenset[Clock] = frozenset({"path", "sidecar", "creation_time"})


def share_out(
    videos: Iterable[Video], held: Mapping[str, Sequence[Claim]]
) -> dict[str, tuple[Claim, ...]]:
    """What others speak for in the time of each video; videos that own all of theirs are left out.

    Args:
        videos: of any cameras, in any order; each id once.
        held: what the index has already, by camera.

    Returns:
        By video id, the claims of others that it shares an instant with, by start.
    """
    claims = {camera: list(own) for camera, own in held.items()}
    others: dict[str, tuple[Claim, ...]] = {}
    for video in sorted(videos, key=lambda v: (v.utc_ns(v.span.start_ns), v.video_id)):
        of_camera, own = claims.setdefault(video.camera, []), claims_of(video)
        met = [c for c in of_camera if any(c.span.overlaps(mine.span) for mine in own)]
        if met:
            others[video.video_id] = tuple(sorted(met, key=lambda claim: claim.span))
        of_camera.extend(own)
    return others


def claims_of(video: Video) -> list[Claim]:
    """What a file can speak for; nothing if nobody has written down its time."""
    if video.clock not in TOLD:
        return []
    return [Claim(span=_in_microseconds(video.utc(f)), uri=video.uri) for f in video.footage]


def _in_microseconds(span: TimeRange) -> TimeRange:
    """As a table would hold it, so that it does not matter when a file was indexed."""
    start_ns = span.start_ns // NS_PER_US * NS_PER_US
    return TimeRange(start_ns, max(span.end_ns // NS_PER_US * NS_PER_US, start_ns + NS_PER_US))


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
            cut.append((number, _resized(plan, TimeRange(start_ns, end_ns), frame_pts)))
        elif cut:
            former, last = cut[-1]
            cut[-1] = former, _resized(last, TimeRange(last.span.start_ns, end_ns), last.frame_pts)
        else:
            continue  # its time goes to the next window
        start_ns = end_ns
    return cut


def _resized(plan: WindowPlan, span: TimeRange, frame_pts: tuple[int, ...]) -> WindowPlan:
    if (span, frame_pts) == (plan.span, plan.frame_pts):
        return plan
    window_id = make_id(plan.window_id, span.start_ns, span.end_ns, *frame_pts)
    return WindowPlan(window_id=window_id, span=span, frame_pts=frame_pts)


def _with_windows(shard: Shard, windows: tuple[WindowPlan, ...]) -> Shard:
    if windows == shard.windows:
        return shard
    num_before, num_after = (
        sum(len(plan.frame_pts) for plan in plans) for plans in (shard.windows, windows)
    )
    return replace(
        shard,
        shard_id=make_id(shard.shard_id, *(plan.window_id for plan in windows)),
        span=TimeRange(windows[0].span.start_ns, windows[-1].span.end_ns),
        windows=windows,
        cost_s=shard.cost_s * num_after / num_before,
    )
