"""Each moment of a camera that a file shows is owned by exactly one file."""

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
from pipeline.tables.shared import Provenance
from pipeline.tables.videos import IndexedVideo, video_row, videos_table
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
    footage = tuple(ms(*span) for span in footage_ms)
    facts = {"uri": f"{name}.mp4", "clock": "path", "start_ns": start_ms * MS, "footage": footage}
    return a_video(video_id=name, **facts | changes)


def ownership_of(span, uri):
    return Ownership(span=span, uri=uri, video_id=uri)


def yielded_media(video):
    return without(video.footage, video.owned)


def shards_of(video, *, step_ms=100, per_window=5, windows_per_shard=2):
    """A frame every ``step_ms`` from the start of each stretch; one tick is a millisecond."""
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


def resolved(files, missing=()):
    """By video id, each file with the time that it owns, and its shards."""
    ownerships = resolve_overlaps(files, {"cam": missing})
    return {
        file.video_id: yield_to_others(file, shards_of(file), ownerships[file.video_id])
        if file.video_id in ownerships
        else (file, tuple(shards_of(file)))
        for file in files
    }


def windows_of(shards):
    return [plan for shard in shards for plan in shard.windows]


def test_the_file_that_starts_first_owns_the_overlap_and_the_other_has_a_warning():
    files = [a_file("b", 28_000, (0, 22_000)), a_file("a", 0, (0, 30_000))]
    files_by_id = resolved(files)
    first, _ = files_by_id["a"]
    second, shards = files_by_id["b"]
    assert (first.yielded, first.owned) == ((), first.footage)
    assert second.yielded == (Yielded(span=ms(0, 2_000), uri="a.mp4", video_id="a"),)
    assert second.owned == (ms(2_000, 22_000),)
    assert second.warnings[-1] == "yields 2.000 s to other files of this camera, first to a.mp4"
    windows = windows_of(shards)
    assert windows[0].span.start_ns == 2_000 * MS
    assert windows[0].frame_pts[0] == 2_000
    assert sum(plan.span.duration_ns for plan in windows) == 20_000 * MS


@pytest.mark.parametrize(("earlier_ns", "first"), [(0, 2_000), (999, 2_000), (1_000, 2_100)])
def test_a_frame_that_begins_at_the_border_but_for_less_than_a_microsecond_is_shown(
    earlier_ns, first
):
    """Both files were cut from one recording; their starts were rounded, each in its own way."""
    start_ns = 28_000 * MS - earlier_ns
    cut = a_file("b", 0, (0, 22_000), start_ns=start_ns)
    _, shards = resolved([cut, a_file("a", 0, (0, 30_000))])["b"]
    assert windows_of(shards)[0].frame_pts[0] == first
    assert windows_of(shards)[0].span.start_ns == 2_000 * MS + earlier_ns


def test_shards_that_yield_nothing_keep_their_ids():
    file = a_file("b", 28_000, (0, 22_000))
    before = shards_of(file)
    _, after = yield_to_others(file, before, [ownership_of(ms(0, 30_300), "a")])
    assert [shard.shard_id for shard in after[1:]] == [shard.shard_id for shard in before[3:]]
    assert after[0].shard_id not in {shard.shard_id for shard in before}


def test_a_file_inside_another_owns_nothing_and_has_no_shards():
    second, shards = resolved([a_file("a", 0, (0, 30_000)), a_file("b", 5_000, (0, 9_000))])["b"]
    assert (second.owned, shards) == ((), ())
    assert "give the cameras different names if these are two views" in second.warnings[-1]


def test_more_pixels_take_precedence_over_an_earlier_start():
    small = a_file("a", 0, (0, 30_000), width=640, height=360)
    large = a_file("b", 10_000, (0, 30_000), width=1280, height=720)
    files_by_id = resolved([small, large])
    assert files_by_id["b"][0].owned == large.footage
    assert files_by_id["a"][0].owned == (ms(0, 10_000),)


def test_files_with_equal_pixels_of_any_shape_are_ordered_by_start():
    wide = a_file("b", 0, (0, 30_000), width=800, height=200)
    high = a_file("a", 1, (0, 30_000), width=400, height=400)
    assert resolved([high, wide])["b"][0].owned == wide.footage


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("ids", [("1", "2"), ("2", "1")])
def test_of_files_that_differ_only_in_name_the_lesser_name_owns_the_time_for_any_ids_and_order(
    order, ids
):
    files = [
        a_file(ids[0], 0, (0, 30_000), uri="a.mp4"),
        a_file(ids[1], 0, (0, 30_000), uri="b.mp4"),
    ]
    files_by_id = resolved([files[i] for i in order])
    assert files_by_id[ids[0]][0].owned == files[0].footage
    assert files_by_id[ids[1]][0].owned == ()


def test_time_owned_by_a_missing_file_takes_precedence_over_more_pixels():
    missing = [ownership_of(ms(0, 10_000), "small")]
    large = a_file("b", 0, (0, 30_000), width=3840, height=2160)
    assert resolved([large], missing)["b"][0].owned == (ms(10_000, 30_000),)


def test_a_file_yields_to_the_files_that_own_its_time_and_not_to_all_that_show_it():
    outer, inner = a_file("a", 0, (0, 30_000)), a_file("b", 5_000, (0, 20_000))
    file = a_file("c", 6_000, (0, 30_000))
    ownerships = resolve_overlaps(
        [file, inner, outer], {"cam": [ownership_of(ms(33_000, 40_000), "gone.mp4")]}
    )
    assert {ownership.uri for ownership in ownerships["c"]} == {"gone.mp4", "a.mp4", "b.mp4"}
    reduced, _ = yield_to_others(file, shards_of(file), ownerships["c"])
    assert owner_uris(reduced) == ["a.mp4", "gone.mp4"]


def test_in_a_gap_of_the_first_file_the_other_file_owns_the_time():
    files = [a_file("a", 0, (0, 3_000), (6_000, 9_000)), a_file("b", 1_000, (0, 7_000))]
    second, shards = resolved(files)["b"]
    assert second.owned == (ms(2_000, 5_000),)
    assert windows_of(shards)[0].span.start_ns == 2_000 * MS


def test_time_owned_by_a_missing_file_is_never_taken_away():
    second, _ = resolved([a_file("a", 0, (0, 30_000))], [ownership_of(ms(28_000, 50_000), "b")])[
        "a"
    ]
    assert second.owned == (ms(0, 28_000),)


def test_files_that_only_touch_or_have_other_cameras_or_no_stated_time_yield_nothing():
    files = [
        a_file("a", 0, (0, 1_000)),
        a_file("b", 1_000, (0, 1_000)),
        a_file("c", 0, (0, 1_000), camera="other"),
        a_file("d", 0, (0, 1_000), clock="mtime"),
    ]
    assert resolve_overlaps(files, {}) == {}


def test_a_remainder_without_a_sampled_frame_is_yielded_too():
    ownership = ownership_of(ms(0, 950), "a")
    file = a_file("b", 0, (0, 1_000))
    reduced, shards = yield_to_others(file, shards_of(file), [ownership])
    assert (reduced.owned, shards) == ((), ())


def test_a_file_with_a_drifting_clock_is_cut_at_the_exact_nanosecond():
    fast = ClockCorrection(rate_ppb=-50_000_000)
    file = a_file("b", 28_000, (0, 22_000), correction=fast)
    reduced, shards = yield_to_others(file, shards_of(file), [ownership_of(ms(0, 30_000), "a")])
    [owned] = reduced.owned
    assert reduced.utc_ns(owned.start_ns) == 30_000 * MS
    assert reduced.utc_ns(owned.start_ns - 1) < 30_000 * MS
    assert windows_of(shards)[0].span.start_ns == owned.start_ns


@st.composite
def archives(draw, cameras=("cam",)):
    """Files of a few cameras with gaps inside them, at times that overlap in many ways."""
    files = []
    for number in range(draw(st.integers(2, 5))):
        end, footage = 0, []
        for _ in range(draw(st.integers(1, 3))):
            start = end + draw(st.integers(0, 1500))
            end = start + draw(st.integers(1, 3000))
            footage.append((start, end))
            end += 1
        facts = {
            "width": draw(st.sampled_from([320, 640])),
            "uri": f"{draw(st.permutations('ab'))[0]}{number}.mp4",
            "camera": draw(st.sampled_from(cameras)),
        }
        files.append(a_file(f"v{number}", draw(st.integers(0, 5000)), *footage, **facts))
    return files


@st.composite
def ownerships(draw):
    """Time owned by missing files; ranges may be equal or overlap."""
    drawn = []
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, 8000))
        span = ms(start, start + draw(st.integers(1, 3000)))
        drawn.append(ownership_of(span, draw(st.sampled_from(["a0.mp4", "gone.mp4"]))))
    return drawn


def compared_pairwise(files, missing):
    """Each file compared with the missing files and with every file that takes precedence."""
    expected = {}
    for file in files:
        owners = [f for f in files if f.camera == file.camera and takes_precedence(f, file)]
        of_others = [*missing.get(file.camera, ())]
        of_others += [ownership for owner in owners for ownership in ownerships_of(owner)]
        spans = [ownership.span for ownership in ownerships_of(file)]
        overlapping = {
            ownership
            for ownership in of_others
            if any(ownership.span.overlaps(span) for span in spans)
        }
        if overlapping:
            expected[file.video_id] = overlapping
    return expected


def takes_precedence(first, second):
    """All heights are equal here, and all names differ."""
    if first.width != second.width:
        return first.width > second.width
    starts = [file.utc_ns(file.span.start_ns) for file in (first, second)]
    return starts[0] < starts[1] or (starts[0] == starts[1] and first.uri < second.uri)


@given(archives(("cam", "other")), ownerships(), st.randoms(use_true_random=False))
def test_the_sweep_gives_the_result_of_pairwise_comparison_in_any_order(files, missing, chance):
    shuffled = chance.sample(files, len(files))
    by_id = resolve_overlaps(shuffled, {"cam": missing})
    assert by_id == resolve_overlaps(files, {"cam": missing})
    assert {key: set(of_others) for key, of_others in by_id.items()} == compared_pairwise(
        files, {"cam": missing}
    )
    assert all(len(set(of_others)) == len(of_others) for of_others in by_id.values())


def as_indexed(file):
    return IndexedFile(
        video_id=file.video_id, uri=file.uri, camera=file.camera,
        ownerships=tuple(ownerships_of(file)),
        precedence=precedence(file), status="done", owner_ids=frozenset(),
    )  # fmt: skip


@given(archives(("cam", "other")), st.integers(0, 5))
def test_the_result_does_not_depend_on_which_files_are_indexed_already(files, num_indexed):
    indexed, planned = files[:num_indexed], files[num_indexed:]
    together = resolve_overlaps(files, {})
    by_id = resolve_overlaps(planned, {}, map(as_indexed, indexed))
    ids = {file.video_id for file in planned}
    assert by_id == {key: of_others for key, of_others in together.items() if key in ids}
    assert {file.video_id for file in overtaken(planned, map(as_indexed, indexed))} == {
        key
        for key, of_others in together.items()
        if key not in ids and any(ownership.video_id in ids for ownership in of_others)
    }


def test_a_file_that_has_yielded_to_another_is_not_overtaken_by_it_again():
    large = a_file("b", 10_000, (0, 30_000), width=1280, height=720)
    small = as_indexed(a_file("a", 0, (0, 30_000), width=640, height=360))
    assert overtaken([large], [small]) == [small]
    assert overtaken([large], [replace(small, owner_ids=frozenset({"b"}))]) == []


@given(archives(), st.integers(0, 2_000), st.sampled_from([0, 1, -50_000_000, 333_333]))
def test_a_row_gives_all_the_time_its_file_can_own_whatever_it_has_yielded(files, ns, rate_ppb):
    """To the microsecond that tables hold, with slivers that no file owns."""
    correction = ClockCorrection(offset_ns=ns, rate_ppb=rate_ppb)
    files = [replace(file, correction=correction, start_ns=file.start_ns + ns) for file in files]
    for video, shards in resolved(files).values():
        row = video_row(
            IndexedVideo(video=video, status="done", num_shards=len(shards), results=()),
            provenance=Provenance(task="t", model="", prompt_id="", fingerprint="f", config=""),
            at=ns_to_datetime(0),
        )  # fmt: skip
        [stored] = videos_table([row]).to_pylist()
        file = indexed_file(stored)
        assert list(file.ownerships) == ownerships_of(video)
        assert file.precedence == precedence(video)
        assert file.owner_ids == {part.video_id for part in video.yielded}


def moments(ranges):
    """The milliseconds in ranges that begin and end on whole milliseconds."""
    return {ms for span in ranges for ms in range(span.start_ns // MS, span.end_ns // MS)}


@given(archives())
def test_every_moment_has_one_owner_and_only_slivers_have_none(files):
    files_by_id = resolved(files)
    owned, num_owned = set(), 0
    for video, shards in files_by_id.values():
        mine = moments(map(video.utc, video.owned))
        assert mine | moments(map(video.utc, yielded_media(video))) == moments(
            map(video.utc, video.footage)
        )
        num_owned += len(mine)
        owned |= mine
        assert sorted(plan.span for plan in windows_of(shards)) == tiling(video, shards)
        assert all(shard.video == video for shard in shards) or not video.yielded
    shown = moments(file.utc(footage) for file in files for footage in file.footage)
    assert num_owned == len(owned)
    assert owned <= shown
    # No file owns a remainder between two files in which no sampled frame begins.
    assert all(len(run) < 100 * len(files) for run in runs_of(shown - owned))


def tiling(video: Video, shards) -> list[TimeRange]:
    """The windows, if they tile what the video owns and hold every frame in it once."""
    windows = windows_of(shards)
    frames = [pts for plan in windows for pts in plan.frame_pts]
    assert frames == sorted(set(frames))
    for stretch in video.owned:
        mine = [plan.span for plan in windows if plan.span.overlaps(stretch)]
        assert (mine[0].start_ns, mine[-1].end_ns) == (stretch.start_ns, stretch.end_ns)
        assert all(a.end_ns == b.start_ns for a, b in pairwise(mine))
    uncut = [pts for plan in windows_of(shards_of(video)) for pts in plan.frame_pts]
    inside = [pts for pts in uncut if any(o.start_ns <= pts * MS < o.end_ns for o in video.owned)]
    assert frames == inside
    return sorted(plan.span for plan in windows)


def runs_of(moments):
    """Runs of consecutive milliseconds."""
    runs = []
    for moment in sorted(moments):
        if runs and runs[-1][-1] == moment - 1:
            runs[-1].append(moment)
        else:
            runs.append([moment])
    return runs
