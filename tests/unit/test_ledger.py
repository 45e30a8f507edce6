import random
from dataclasses import replace

from pipeline.flow.driver.ledger import Ledger
from pipeline.flow.task.packed_shard import pack_shard, unpack_shard
from pipeline.records import WindowResult
from pipeline.timebase import TimeRange
from tests.unit.test_plan import make_packets, make_video, plan_of


def make_shards():
    pts = list(range(0, 60_000, 40))
    shards = plan_of(make_video([(0, 60_000)], len(pts)), make_packets(pts, gop=50))
    assert len(shards) > 2
    return shards


def expect(ledger, shards, committed=()):
    """Ids of the shards that still need work, read from the bytes that Ray would get."""
    todo = ledger.expect(shards[0].video, map(pack_shard, shards), committed)
    return [unpack_shard(shard.packed).shard_id for shard in todo]


def ids(shards):
    return [shard.shard_id for shard in shards]


def results_of(shard):
    return [
        WindowResult(
            window_id=plan.window_id, shard_id=shard.shard_id, video_id=shard.video.video_id,
            span=plan.span, status="analysed", frame_pts=(),
        )
        for plan in shard.windows
    ]  # fmt: skip


def test_a_shard_is_whole_with_its_last_window_whatever_the_order():
    shards = make_shards()
    ledger = Ledger()
    assert expect(ledger, shards) == ids(shards)
    results = [result for shard in shards for result in results_of(shard)]
    random.Random(3).shuffle(results)
    whole = [shard for result in results if (shard := ledger.add(result))]
    assert sum(len(shard.results) for shard in whole) == len(results)
    assert {shard.results[0].shard_id for shard in whole} == {shard.shard_id for shard in shards}


def test_a_whole_video_is_returned_once_and_only_when_every_shard_is_whole():
    shards = make_shards()
    ledger = Ledger()
    expect(ledger, shards)
    for shard in shards:
        assert ledger.take_whole_videos() == []
        for result in results_of(shard):
            ledger.add(result)
    [video] = ledger.take_whole_videos()
    assert [r.span for r in video.results] == sorted(r.span for r in video.results)
    assert ledger.take_whole_videos() == []


def test_the_results_of_a_window_may_come_in_parts():
    shard = make_shards()[0]
    ledger = Ledger()
    expect(ledger, [shard])
    first, *others = results_of(shard)
    middle_ns = (first.span.start_ns + first.span.end_ns) // 2
    parts = [TimeRange(first.span.start_ns, middle_ns), TimeRange(middle_ns, first.span.end_ns)]
    for span in parts:
        part = WindowResult(
            window_id=str(span), shard_id=shard.shard_id, video_id=shard.video.video_id,
            span=span, status="failed", frame_pts=(),
        )  # fmt: skip
        last = ledger.add(part)
    for result in others:
        last = ledger.add(result)
    assert last is not None


def test_committed_shards_are_not_done_again():
    shards = make_shards()
    ledger = Ledger()
    committed = [*results_of(shards[0]), *results_of(shards[2])]
    missing = [shard for i, shard in enumerate(shards) if i not in {0, 2}]
    assert expect(ledger, shards, committed) == ids(missing)
    for shard in missing:
        for result in results_of(shard):
            ledger.add(result)
    [video] = ledger.take_whole_videos()
    assert len(video.results) == sum(len(shard.windows) for shard in shards)


def test_committed_results_of_a_part_of_a_shard_do_not_count():
    pts = list(range(0, 60_000, 40))
    [several] = plan_of(
        make_video([(0, 60_000)], len(pts)), make_packets(pts, gop=50), shard_cost_s=1e9
    )
    assert len(several.windows) > 1
    ledger = Ledger()
    assert expect(ledger, [several], results_of(several)[:-1]) == ids([several])


def test_a_video_whose_shards_are_all_committed_is_whole_at_once():
    shards = make_shards()
    ledger = Ledger()
    committed = [result for shard in shards for result in results_of(shard)]
    assert expect(ledger, shards, committed) == []
    assert len(ledger.take_whole_videos()) == 1


def test_after_a_new_start_an_open_shard_waits_for_all_of_its_windows_but_those_that_were_known():
    shards = make_shards()
    ledger = Ledger()
    expect(ledger, shards)
    results = [result for shard in shards for result in results_of(shard)]
    (first, second), *others = map(halves, results)
    ledger.add_known(first)
    (answered, _), *_ = others
    ledger.add(answered)
    assert ledger.start_again() == [answered]
    assert ledger.start_again() == []
    for result in [second, *(half for both in others for half in both)]:
        assert not ledger.take_whole_videos()
        ledger.add(result)
    [video] = ledger.take_whole_videos()
    assert len(video.results) == 2 * len(results)


def halves(result):
    """A window that was split, as where a frame in its middle cannot be decoded."""
    start, end = result.span.start_ns, result.span.end_ns
    middle = (start + end) // 2
    spans = (TimeRange(start, middle), TimeRange(middle, end))
    return [replace(result, span=span) for span in spans]
