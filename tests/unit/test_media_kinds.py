"""Files of recorders, editors and power cuts give the right frames, as one shard or as several."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import DecodeConfig, FrameConfig, SampleConfig
from pipeline.media import decode_frames, probe
from pipeline.plan import packets_for
from tests.kinds import KINDS
from tests.videos import number_in, source_of


@pytest.mark.parametrize("name", KINDS)
def test_frames_show_their_own_numbers_whatever_the_shards(tmp_path: Path, name: str) -> None:
    numbers = KINDS[name](tmp_path / name)
    video, packets = probe(source_of(tmp_path / name), sample=SampleConfig(), decode=DecodeConfig())
    shown = packets.shown_pts.tolist()
    keys = packets.pts[packets.keyframe & ~packets.discard].tolist()
    times_s = [float((pts - shown[0]) * video.time_base) for pts in shown]
    assert np.allclose(times_s, [i / 25 for i in range(len(numbers))], atol=1e-3)
    for cuts in ([], keys):
        bounds = sorted({shown[0], *cuts, shown[-1] + 1})
        frames = []
        for low, high in pairwise(bounds):
            want = [pts for pts in shown if low <= pts < high]
            part = packets_for(packets, want)
            frames += decode_frames(video, part, want, frame=FrameConfig(luma_width=160), rgb=False)
        assert [number_in(frame.luma) for frame in frames] == list(numbers)
        assert [frame.pts for frame in frames] == shown
        # At the joint of two transport streams the packet counter jumps as if packets were lost.
        joined = name in ("resolution change.ts", "clock starts again.ts")
        assert joined or not any(frame.suspect for frame in frames)
