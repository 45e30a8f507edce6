"""The next run recognises committed shards at any frame rate."""

from fractions import Fraction

import pytest

from pipeline.config import load_config
from pipeline.flow.driver.ledger import Ledger
from pipeline.flow.task.packed_shard import pack_shard
from pipeline.flow.task.stages import Planned, probe_and_plan
from pipeline.records import WindowResult
from pipeline.sources import list_sources
from pipeline.tables.windows import window_results, windows_table
from tests.unit.test_finish import provenance
from tests.videos import make_video


@pytest.mark.parametrize("suffix", ["mp4", "ts", "mkv"])
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30), Fraction(30_000, 1001), Fraction(7)])
def test_no_committed_shard_is_answered_again(tmp_path, rate, suffix):
    path = make_video(tmp_path / f"v.{suffix}", rate=rate, num_frames=180, gop=12, bframes=0)
    config = load_config(None, ("plan.shard_cost_s=0.002", "plan.max_window_frames=2"))
    [source] = list_sources([str(path)], config.sources)
    planned = probe_and_plan(source, config)
    assert isinstance(planned, Planned)
    assert len(planned.shards) > 1
    results = [
        WindowResult(
            window_id=plan.window_id, shard_id=shard.shard_id, video_id=planned.video.video_id,
            span=plan.span, status="analysed", frame_pts=plan.frame_pts,
        )
        for shard in planned.shards
        for plan in shard.windows
    ]  # fmt: skip
    stored = windows_table(((planned.video, result) for result in results), provenance())
    shards = list(map(pack_shard, planned.shards))
    assert Ledger().expect(planned.video, shards, window_results(stored)) == []
    # The check would see a single nanosecond that is missing.
    assert len(Ledger().expect(planned.video, shards, window_results(stored)[1:])) == 1
