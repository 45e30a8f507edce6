"""Records that carry arrays print as one short line, in logs and in failed assertions."""

from pipeline.config import load_config
from pipeline.flow.task.stages import Planned, decode_and_gate, probe_and_plan
from pipeline.records import Window
from tests.conftest import LOBBY
from tests.videos import source_of


def test_a_record_with_arrays_is_one_short_line():
    config = load_config(None, ("sample.fps=0.2", "decode.max_shard_s=600"))
    planned = probe_and_plan(source_of(LOBBY), config)
    assert isinstance(planned, Planned)
    shard = planned.shards[0]
    window = next(item for item in decode_and_gate(shard, config) if isinstance(item, Window))
    for record, word in ((shard, shard.shard_id), (shard.packets, "keyframes"), (window, "luma=")):
        assert word in repr(record)
        assert len(repr(record).splitlines()) == 1
        assert len(repr(record)) < 400
