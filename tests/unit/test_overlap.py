"""Each moment of a camera belongs to one file, and all that any file shows belongs to some file."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.flow.driver.ownership import owner_uris
from pipeline.plan.overlap import (
    overtaken,
    ownerships_of,
    precedence,
    resolve_overlaps,
    yield_to_others,
)
from pipeline.records import IndexedFile, Ownership, PacketIndex, Shard, Video, WindowPlan, Yielded
from pipeline.tables.ownership import indexed_file
from pipeline.tables.rows import Provenance, video_row, videos_table
from pipeline.timebase import ClockCorrection, TimeRange, ns_to_datetime, without
from tests.made import a_video

MS = 1_000_000
NO_PACKETS = PacketIndex(
    pts=np.array([], dtype=np.int64),
    dts=np.array([], dtype=np.int64),
    num_bytes=np.array([], dtype=np.int32),
    keyframe=np.array([], dtype=bool),
    discard=np.array([], dtype=bool),
)


def ms(start, end):
    return TimeRange(start * MS, end * MS)


def a_file(name, start_ms, *footage_ms, **changes):
    footage = tuple(ms(*one) for one in footage_ms)
    facts = {"uri": f"{name}.mp4", "clock": "path", "start_ns": start_ms * MS, "footage": footage}
    return a_video(video_id=name, **facts | changes)


def a_claim(span, uri):
    return Ownership(span=span, uri=uri, video_id=uri)


def yielded_media(video):
    return without(video.footage, video.owned)


def shards_of(video, *, step_ms=100, per_window=5, windows_per_shard=2):
    """A frame every ``step_ms`` from the start of each stretch; media ticks are milliseconds."""
    windows = []
    for stretch in video.footage:
        ticks = range(stretch.start_ns // MS, -(-stretch.end_ns // MS), step_ms)
        groups = [ticks[i : i + per_window] for i in range(0, len(ticks), per_window)]
        bounds = [*(group[0] * MS for group in groups), stretch.end_ns]
        for group, (start_ns, end_ns) in zip(groups, pairwise(bounds), strict=True):
            span = TimeRange(start_ns, end_ns)
            windows.append(WindowPlan(window_id=f"{start_ns}", span=span, frame_pts=tuple(group)))
    return [
        Shard(
            shard_id=f"{video.video_id}/{i}",
            video=video,
            span=TimeRange(group[0].span.start_ns, group[-1].span.end_ns),
            packets=NO_PACKETS,
            windows=tuple(group),
            cost_s=1.0,
        )
        for i in range(0, len(windows), windows_per_shard)
        if (group := windows[i : i + windows_per_shard])
    ]


def shared_out(files, held=()):
    """Each file as it is looked at, and its shards."""
    ownerships = resolve_overlaps(files, {"cam": held})
    return {
        file.video_id: yield_to_others(file, shards_of(file), ownerships[file.video_id])
        if file.video_id in ownerships
        else (file, tuple(shards_of(file)))
        for file in files
    }


def windows_of(shards):
    return [plan for shard in shards for plan in shard.windows]


def test_the_file_that_starts_first_keeps_the_overlap_and_the_other_says_so():
    files = [a_file("b", 28_000, (0, 22_000)), a_file("a", 0, (0, 30_000))]
    decoded = shared_out(files)
    first, _ = decoded["a"]
    then, shards = decoded["b"]
    assert (first.yielded, first.owned) == ((), first.footage)
    assert then.yielded == (Yielded(span=ms(0, 2_000), uri="a.mp4", video_id="a"),)
    assert then.owned == (ms(2_000, 22_000),)
    assert then.warnings[-1] == "yields 2.000 s to other files of this camera, first to a.mp4"
    windows = windows_of(shards)
    assert windows[0].span.start_ns == 2_000 * MS
    assert windows[0].frame_pts[0] == 2_000
    assert sum(plan.span.duration_ns for plan in windows) == 20_000 * MS


def test_shards_that_lose_nothing_stay_the_same_and_need_no_new_work():
    file = a_file("b", 28_000, (0, 22_000))
    before = shards_of(file)
    _, after = yield_to_others(file, before, [a_claim(ms(0, 30_300), "a")])
    assert [shard.shard_id for shard in after[1:]] == [shard.shard_id for shard in before[3:]]
    assert after[0].shard_id not in {shard.shard_id for shard in before}


def test_a_file_inside_another_owns_nothing_and_has_no_work():
    then, shards = shared_out([a_file("a", 0, (0, 30_000)), a_file("b", 5_000, (0, 9_000))])["b"]
    assert (then.owned, shards) == ((), ())
    assert "give the cameras different names if these are two views" in then.warnings[-1]


def test_of_files_planned_together_more_pixels_go_before_an_earlier_start():
    small = a_file("a", 0, (0, 30_000), width=640, height=360)
    large = a_file("b", 10_000, (0, 30_000), width=1280, height=720)
    decoded = shared_out([small, large])
    assert decoded["b"][0].owned == large.footage
    assert decoded["a"][0].owned == (ms(0, 10_000),)


def test_pixels_are_counted_whatever_the_shape_and_then_the_earlier_start_speaks():
    wide = a_file("b", 0, (0, 30_000), width=800, height=200)
    high = a_file("a", 1, (0, 30_000), width=400, height=400)
    assert shared_out([high, wide])["b"][0].owned == wide.footage


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("ids", [("1", "2"), ("2", "1")])
def test_of_files_alike_the_earlier_name_speaks_whatever_their_hashes_and_order(order, ids):
    files = [
        a_file(ids[0], 0, (0, 30_000), uri="a.mp4"),
        a_file(ids[1], 0, (0, 30_000), uri="b.mp4"),
    ]
    decoded = shared_out([files[i] for i in order])
    assert decoded[ids[0]][0].owned == files[0].footage
    assert decoded[ids[1]][0].owned == ()


def test_what_is_kept_of_a_file_that_is_gone_goes_before_more_pixels():
    held = [a_claim(ms(0, 10_000), "small")]
    large = a_file("b", 0, (0, 30_000), width=3840, height=2160)
    assert shared_out([large], held)["b"][0].owned == (ms(10_000, 30_000),)


def test_the_takers_of_a_file_are_those_that_speak_and_not_all_that_show_it():
    outer, inner = a_file("a", 0, (0, 30_000)), a_file("b", 5_000, (0, 20_000))
    file = a_file("c", 6_000, (0, 30_000))
    ownerships = resolve_overlaps(
        [file, inner, outer], {"cam": [a_claim(ms(33_000, 40_000), "held")]}
    )
    assert {ownership.uri for ownership in ownerships["c"]} == {"held", "a.mp4", "b.mp4"}
    left, _ = yield_to_others(file, shards_of(file), ownerships["c"])
    assert owner_uris(left) == ["a.mp4", "held"]


def test_in_a_gap_of_the_first_file_the_other_is_looked_at():
    files = [a_file("a", 0, (0, 3_000), (6_000, 9_000)), a_file("b", 1_000, (0, 7_000))]
    then, shards = shared_out(files)["b"]
    assert then.owned == (ms(2_000, 5_000),)
    assert windows_of(shards)[0].span.start_ns == 2_000 * MS


def test_what_is_kept_of_a_file_that_is_gone_is_never_taken_away():
    then, _ = shared_out([a_file("a", 0, (0, 30_000))], [a_claim(ms(28_000, 50_000), "b")])["a"]
    assert then.owned == (ms(0, 28_000),)


def test_files_that_only_touch_or_have_other_cameras_or_no_told_time_lose_nothing():
    files = [
        a_file("a", 0, (0, 1_000)),
        a_file("b", 1_000, (0, 1_000)),
        a_file("c", 0, (0, 1_000), camera="other"),
        a_file("d", 0, (0, 1_000), clock="mtime"),
    ]
    assert resolve_overlaps(files, {}) == {}


def test_what_remains_without_a_frame_of_its_own_is_left_out():
    ownership = a_claim(ms(0, 950), "a")
    file = a_file("b", 0, (0, 1_000))
    left, shards = yield_to_others(file, shards_of(file), [ownership])
    assert (left.owned, shards) == ((), ())


def test_a_stretched_clock_is_cut_at_the_very_nanosecond():
    fast = ClockCorrection(rate_ppb=-50_000_000)
    file = a_file("b", 28_000, (0, 22_000), correction=fast)
    left, shards = yield_to_others(file, shards_of(file), [a_claim(ms(0, 30_000), "a")])
    [owned] = left.owned
    assert left.utc_ns(owned.start_ns) == 30_000 * MS
    assert left.utc_ns(owned.start_ns - 1) < 30_000 * MS
    assert windows_of(shards)[0].span.start_ns == owned.start_ns


@st.composite
def archives(draw, cameras=("cam",)):
    """Files of few cameras with gaps inside, at times that overlap in every way."""
    files = []
    for number in range(draw(st.integers(2, 5))):
        at, footage = 0, []
        for _ in range(draw(st.integers(1, 3))):
            start = at + draw(st.integers(0, 1500))
            at = start + draw(st.integers(1, 3000))
            footage.append((start, at))
            at += 1
        facts = {
            "width": draw(st.sampled_from([320, 640])),
            "uri": f"{draw(st.permutations('ab'))[0]}{number}.mp4",
            "camera": draw(st.sampled_from(cameras)),
        }
        files.append(a_file(f"v{number}", draw(st.integers(0, 5000)), *footage, **facts))
    return files


@st.composite
def held_claims(draw):
    """Claims of the index, which may even be equal or overlap."""
    ownerships = []
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, 8000))
        span = ms(start, start + draw(st.integers(1, 3000)))
        ownerships.append(a_claim(span, draw(st.sampled_from(["a0.mp4", "held"]))))
    return ownerships


def shared_out_plainly(files, held):
    """Each file against all that the index holds, and against every file that goes before it."""
    found = {}
    for file in files:
        before = [one for one in files if one.camera == file.camera and goes_before(one, file)]
        of_others = [*held.get(file.camera, ()), *(c for one in before for c in ownerships_of(one))]
        own = [mine.span for mine in ownerships_of(file)]
        met = {
            ownership
            for ownership in of_others
            if any(ownership.span.overlaps(span) for span in own)
        }
        if met:
            found[file.video_id] = met
    return found


def goes_before(one, other):
    """Width alone tells pixels here, and names differ."""
    if one.width != other.width:
        return one.width > other.width
    starts = [file.utc_ns(file.span.start_ns) for file in (one, other)]
    return starts[0] < starts[1] or (starts[0] == starts[1] and one.uri < other.uri)


@given(archives(("cam", "other")), held_claims(), st.randoms(use_true_random=False))
def test_the_sweep_finds_what_comparing_all_with_all_finds_in_any_order(files, held, chance):
    shuffled = chance.sample(files, len(files))
    found = resolve_overlaps(shuffled, {"cam": held})
    assert found == resolve_overlaps(files, {"cam": held})
    assert {key: set(ownerships) for key, ownerships in found.items()} == shared_out_plainly(
        files, {"cam": held}
    )
    assert all(len(set(ownerships)) == len(ownerships) for ownerships in found.values())


def as_held(file):
    return IndexedFile(
        video_id=file.video_id, uri=file.uri, camera=file.camera,
        ownerships=tuple(ownerships_of(file)),
        precedence=precedence(file), status="done", owner_ids=frozenset(),
    )  # fmt: skip


@given(archives(("cam", "other")), st.integers(0, 5))
def test_it_makes_no_difference_which_files_the_index_holds_already(files, num_held):
    held, planned = files[:num_held], files[num_held:]
    together = resolve_overlaps(files, {})
    found = resolve_overlaps(planned, {}, map(as_held, held))
    ids = {file.video_id for file in planned}
    assert found == {key: ownerships for key, ownerships in together.items() if key in ids}
    assert {file.video_id for file in overtaken(planned, map(as_held, held))} == {
        key
        for key, ownerships in together.items()
        if key not in ids and any(ownership.video_id in ids for ownership in ownerships)
    }


def test_a_file_that_has_yielded_to_another_need_not_do_so_again():
    large = a_file("b", 10_000, (0, 30_000), width=1280, height=720)
    small = as_held(a_file("a", 0, (0, 30_000), width=640, height=360))
    assert overtaken([large], [small]) == [small]
    assert overtaken([large], [replace(small, owner_ids=frozenset({"b"}))]) == []


@given(archives(), st.integers(0, 2_000), st.sampled_from([0, 1, -50_000_000, 333_333]))
def test_a_row_says_what_its_file_can_speak_for_whatever_it_has_yielded(files, ns, rate_ppb):
    """To the microsecond that tables hold, with slivers that nobody speaks for."""
    correction = ClockCorrection(offset_ns=ns, rate_ppb=rate_ppb)
    files = [replace(file, correction=correction, start_ns=file.start_ns + ns) for file in files]
    for video, shards in shared_out(files).values():
        row = video_row(
            video, status="done", num_shards=len(shards), results=(), num_events=0, num_segments=0,
            provenance=Provenance(task="t", model="", prompt_id="", fingerprint="f", config=""),
            at=ns_to_datetime(0),
        )  # fmt: skip
        [read] = videos_table([row]).to_pylist()
        told = indexed_file(read)
        assert list(told.ownerships) == ownerships_of(video)
        assert told.precedence == precedence(video)
        assert told.owner_ids == {given.video_id for given in video.yielded}


def moments(ranges):
    """Milliseconds in ranges that begin and end on whole ones."""
    return {at for one in ranges for at in range(one.start_ns // MS, one.end_ns // MS)}


@given(archives())
def test_every_moment_has_one_owner_and_only_slivers_have_none(files):
    decoded = shared_out(files)
    owned, taken = set(), 0
    for video, shards in decoded.values():
        mine = moments(map(video.utc, video.owned))
        assert mine | moments(map(video.utc, yielded_media(video))) == moments(
            map(video.utc, video.footage)
        )
        taken += len(mine)
        owned |= mine
        assert sorted(plan.span for plan in windows_of(shards)) == tiling(video, shards)
        assert all(shard.video == video for shard in shards) or not video.yielded
    shown = moments(file.utc(footage) for file in files for footage in file.footage)
    assert taken == len(owned)
    assert owned <= shown
    # Nobody owns what is left between two files if no frame of the grid begins in it.
    assert all(len(run) < 100 * len(files) for run in runs_of(shown - owned))


def tiling(video: Video, shards) -> list[TimeRange]:
    """The windows, if they tile what the video owns and hold every frame in it once."""
    windows = windows_of(shards)
    frames = [pts for plan in windows for pts in plan.frame_pts]
    assert frames == sorted(set(frames))
    for stretch in video.owned:
        mine = [plan.span for plan in windows if plan.span.overlaps(stretch)]
        assert (mine[0].start_ns, mine[-1].end_ns) == (stretch.start_ns, stretch.end_ns)
        assert all(one.end_ns == then.start_ns for one, then in pairwise(mine))
    uncut = [pts for plan in windows_of(shards_of(video)) for pts in plan.frame_pts]
    inside = [pts for pts in uncut if any(o.start_ns <= pts * MS < o.end_ns for o in video.owned)]
    assert frames == inside
    return sorted(plan.span for plan in windows)


def runs_of(moments):
    """Stretches of consecutive milliseconds."""
    runs = []
    for at in sorted(moments):
        if runs and runs[-1][-1] == at - 1:
            runs[-1].append(at)
        else:
            runs.append([at])
    return runs
