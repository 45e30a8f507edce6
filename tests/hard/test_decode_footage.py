"""The shared footage: real clips give the known times, broken ones end with frames or words."""

import hashlib
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.config import DecodeConfig, FrameConfig, SampleConfig
from pipeline.errors import SourceError
from pipeline.media import decode_frames, probe
from pipeline.media.pixels import Converter
from pipeline.plan import grid_pts, packets_for
from tests.videos import footage_dir, source_of

ROOT = Path(__file__).parents[2]
FOOTAGE = footage_dir()
pytestmark = pytest.mark.skipif(FOOTAGE is None, reason="no shared footage here")
MANIFEST: dict[str, Any] = (
    json.loads((FOOTAGE / "manifest.json").read_text())["files"] if FOOTAGE else {}
)

# Why the times differ from the manifest's.
DIFFERENT = {
    "hard/pts_jump_back.ts": "its clock starts again, and what follows is placed straight after",
    "real/sv_highway_video02.avi": "AVI with B-frames stores no display times",
    "real/speech_nasa_13013.mp4": "the manifest tells of the smaller of two video streams",
    "hard/duplicate_pts.mkv": "of frames with one time the last is taken",
    "hard/resolution_change.ts": "of frames with one time the last is taken",
}
# 10,000 to 90,000 frames each: covered by the limit tests only.
LONG = {"real/odd_long_black_362s_1080p.mp4", "hard/static_5h.mp4"}
LIMIT_S = 60

TIMED = sorted(
    name
    for name, facts in MANIFEST.items()
    if (facts.get("ground_truth") or {}).get("pts_frames") and name not in LONG
)
DAMAGED = {
    "hard/bitflips_mdat.mp4",
    "hard/lost_packets.ts",
    "hard/fragmented_cut.mp4",
    "real/odd_corrupted_decord.mp4",
    "archive/cam01/cam01_20260314T093000Z.mp4",
}
CHILD = """
import sys
from pathlib import Path
from pipeline.config import DecodeConfig, FrameConfig, SampleConfig
from pipeline.errors import SourceError
from pipeline.media import decode_frames, probe
from pipeline.plan import grid_pts, packets_for
from tests.videos import source_of
try:
    video, packets = probe(source_of(sys.argv[1]), sample=SampleConfig(), decode=DecodeConfig())
    want = grid_pts(video, packets.shown_pts, 0.2)[:100].tolist()
    part = packets_for(packets, want)
    num = sum(1 for _ in decode_frames(video, part, want, frame=FrameConfig(), rgb=True))
    print(f"{num} of {len(want)} frames")
except SourceError as exc:
    print(f"refused: {exc}")
"""


@pytest.mark.parametrize("name", TIMED)
def test_frame_times_are_those_of_the_manifest(name: str) -> None:
    assert FOOTAGE is not None
    try:
        video, packets = probe(
            source_of(FOOTAGE / name), sample=SampleConfig(), decode=DecodeConfig()
        )
    except SourceError:
        assert name == "hard/bitflips_moov.mp4"
        return
    if video.width >= 1280 and video.num_frames > 300:
        packets = packets[: int(np.flatnonzero(packets.keyframe)[1])]
    want = packets.shown_pts.tolist()
    small = FrameConfig(luma_width=32)
    found = [frame.pts for frame in decode_frames(video, packets, want, frame=small, rgb=False)]
    if len(packets) < video.num_frames:
        assert found == want
        return
    truth = MANIFEST[name]["ground_truth"]["pts_sha256"]
    digest = hashlib.sha256("\n".join(map(str, found)).encode()).hexdigest()
    assert (digest == truth) == (name not in DIFFERENT), DIFFERENT.get(name)


@pytest.mark.parametrize("name", sorted(set(TIMED) - {"hard/bitflips_moov.mp4"}))
def test_sampled_frames_equal_a_plain_loop_or_are_marked(name: str) -> None:
    assert FOOTAGE is not None
    video, packets = probe(source_of(FOOTAGE / name), sample=SampleConfig(), decode=DecodeConfig())
    if any("stores no display times" in warning for warning in video.warnings):
        return
    if len(packets.shifts):  # a plain loop finds no frame by a time that was moved
        return
    fps = 0.05 if video.span.duration_ns > 10**11 else 0.5
    want = grid_pts(video, packets.shown_pts, fps)[:20].tolist()
    small = FrameConfig(luma_width=64)
    part = packets_for(packets, want)
    frames = {f.pts: f for f in decode_frames(video, part, want, frame=small, rgb=False)}
    with av.open(f"file:{video.uri}", metadata_errors="replace") as container:
        stream = container.streams[video.stream_index]
        stream.thread_type = "NONE"
        sar = stream.sample_aspect_ratio or Fraction(1)
        pixels = Converter(video, sar=sar, frame=small, rgb=False)
        sanitized = {}
        for packet in container.demux(stream):
            try:
                pictures = packet.decode()
            except av.FFmpegError:
                continue
            sanitized.update((p.pts, pixels.luma(p)) for p in pictures if p.pts in set(want))
            if packet.pts is not None and packet.pts > want[-1] + 4 / video.time_base:
                break
    assert set(frames) == set(sanitized)
    for pts, frame in frames.items():
        if not frame.suspect:
            assert np.array_equal(frame.luma, sanitized[pts]), pts
    if name not in DAMAGED:
        assert not any(frame.suspect for frame in frames.values())


@pytest.mark.parametrize("name", sorted(n for n in MANIFEST if n.startswith("hard/") or n in LONG))
def test_broken_files_end_in_time_with_frames_or_plain_words(name: str) -> None:
    assert FOOTAGE is not None
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(FOOTAGE / name)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert "frames" in done.stdout or "refused" in done.stdout
    assert not done.stdout.startswith("0 of")
