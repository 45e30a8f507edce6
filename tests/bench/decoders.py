"""One measurement per process: sample a video at 1 fps into 768x448 RGB, the way each library does.

Run as ``python -m tests.bench.decoders NAME FILE``; prints CPU seconds, frames and memory as JSON.
What is imported counts neither as time nor as memory.
"""

import importlib
import json
import pickle
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

FPS = 1
WIDTH, HEIGHT = 768, 448
# qwen-vl-utils holds 44 MB for each frame of 1080p.
_QWEN_S = 20

PARTS: dict[str, float] = {}
"""What one measurement knows beside its total: CPU seconds and calls of its parts."""


def exact(path: str) -> Iterator[int]:
    """Everything a job does before a model sees frames: probe, plan, decode, gate."""
    return _timereel(path)


def within(path: str) -> Iterator[int]:
    """The same, frames up to half a second from the grid."""
    return _timereel(path, "sample.mode=within")


def keyframe(path: str) -> Iterator[int]:
    """The same, keyframes only."""
    return _timereel(path, "sample.mode=keyframe")


def gated(path: str) -> Iterator[int]:
    """The same as ``exact``, windows in which nothing moves left out."""
    return _timereel(path, "gate.kind=motion")


def shard(path: str) -> Iterator[int]:
    """The decoder alone, on one planned shard that was pickled to ``path``."""
    from pipeline.config import FrameConfig
    from pipeline.media import decode_frames

    one = pickle.loads(Path(path).read_bytes())
    want_pts = [pts for window in one.windows for pts in window.frame_pts]
    for frame in decode_frames(one.video, one.packets, want_pts, frame=FrameConfig(), rgb=True):
        assert frame.rgb is not None
        yield 1


def plan(path: str) -> Iterator[int]:
    """Probe and plan; leaves the middle shard beside the file."""
    from pipeline.flow.task.stages import Planned, probe_and_plan
    from tests.videos import source_of

    planned = probe_and_plan(source_of(path), _config("plan.shard_cost_s=5"))
    assert isinstance(planned, Planned), planned
    middle = planned.shards[len(planned.shards) // 2]
    Path(path).with_suffix(".shard").write_bytes(pickle.dumps(middle))
    yield len(planned.shards)


def _config(*settings: str):
    from pipeline.config import load_config

    engine = ("engine.kind=vllm", "engine.model=none")
    window = "plan.max_window_frames=16"
    return load_config(overrides=(f"sample.fps={FPS}", window, *engine, *settings))


def _timereel(path: str, *settings: str) -> Iterator[int]:
    from pipeline.flow.task.stages import Planned, decode_and_gate, probe_and_plan
    from pipeline.gate import MotionGate
    from pipeline.media.pixels import Converter, SmallColour
    from tests.videos import source_of

    for owner, method, name in (
        (Converter, "luma", "luma"),
        (Converter, "colour", "colour"),
        (SmallColour, "rgb", "rgb"),
        (MotionGate, "is_quiet", "gate"),
    ):
        setattr(owner, method, _timed(getattr(owner, method), name))
    config = _config(*settings)
    planned = _timed(probe_and_plan, "read")(source_of(path), config)
    assert isinstance(planned, Planned), planned
    PARTS["predicted"] = sum(shard.cost_s for shard in planned.shards)
    for shard in planned.shards:
        for item in decode_and_gate(shard, config):
            PARTS["decode"] = PARTS.get("decode", 0) + item.decode_cpu_s
            yield len(item.frame_pts)


def _timed(function: Callable, name: str) -> Callable:
    """Counts the CPU seconds and the calls of a part of the work."""

    def timed(*args):
        started = time.process_time()
        try:
            return function(*args)
        finally:
            PARTS[name] = PARTS.get(name, 0.0) + time.process_time() - started
            PARTS[f"num_{name}"] = PARTS.get(f"num_{name}", 0) + 1

    return timed


def pyav(path: str) -> Iterator[int]:
    """The plain loop over every frame."""
    import av

    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        for number, frame in enumerate(container.decode(stream)):
            if number % 25 == 0:
                frame.reformat(WIDTH, HEIGHT, "rgb24", threads=1).to_ndarray()
                yield 1


def floor(path: str) -> Iterator[int]:
    """Keyframes alone, each made RGB: nothing that decodes can take less."""
    import av

    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        stream.codec_context.skip_frame = "NONKEY"
        for frame in container.decode(stream):
            frame.reformat(WIDTH, HEIGHT, "rgb24", threads=1).to_ndarray()
            yield 1


def ffmpeg(path: str) -> Iterator[int]:
    """The command line tool's ``fps`` filter."""
    import imageio_ffmpeg

    tool = imageio_ffmpeg.get_ffmpeg_exe()
    scaled = f"fps={FPS},scale={WIDTH}:{HEIGHT}:flags=area"
    command = [tool, "-v", "error", "-threads", "1", "-filter_threads", "1", "-i", path]
    command += ["-an", "-vf", scaled, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        while process.stdout.read(WIDTH * HEIGHT * 3):
            yield 1
    assert process.returncode == 0


def decord2(path: str) -> Iterator[int]:
    """``get_batch`` of the sampled frames, thirty at a time."""
    from decord import VideoReader, cpu

    reader = VideoReader(path, ctx=cpu(0), width=WIDTH, height=HEIGHT, num_threads=1)
    wanted = [*range(0, len(reader), round(reader.get_avg_fps() / FPS))]
    for start in range(0, len(wanted), 30):
        yield len(reader.get_batch(wanted[start : start + 30]).asnumpy())


def ray(path: str) -> Iterator[int]:
    """The loop inside ``ray.data.read_videos`` (VideoDatasource._read_stream)."""
    from decord import VideoReader

    reader = VideoReader(path, width=WIDTH, height=HEIGHT, num_threads=1)
    stride = max(1, round(reader.get_avg_fps() / FPS))
    for index, frame in enumerate(reader):
        if index % stride == 0:
            frame.asnumpy()
            yield 1


def qwen(path: str) -> Iterator[int]:
    """``qwen_vl_utils.fetch_video`` as its README calls it, a part of the file at a time."""
    import os

    os.environ["FORCE_QWENVL_VIDEO_READER"] = "decord"
    import torch
    from decord import VideoReader
    from qwen_vl_utils.vision_process import fetch_video

    torch.set_num_threads(1)
    reader = VideoReader(path, num_threads=1)
    seconds = len(reader) / reader.get_avg_fps()
    del reader
    start = 0
    while start < seconds:
        asked = {"video": path, "fps": FPS, "resized_width": WIDTH, "resized_height": HEIGHT}
        part = {"video_start": start, "video_end": min(start + _QWEN_S, seconds)}
        yield len(fetch_video({**asked, **part}))
        start += _QWEN_S


OURS = ("av", "pipeline.flow.task.stages", "pipeline.media", "tests.videos")
DECODERS: dict[str, tuple[Callable[[str], Iterator[int]], tuple[str, ...]]] = {
    "exact": (exact, OURS),
    "within": (within, OURS),
    "keyframe": (keyframe, OURS),
    "gated": (gated, OURS),
    "shard": (shard, OURS),
    "plan": (plan, OURS),
    "pyav": (pyav, ("av", "numpy")),
    "floor": (floor, ("av", "numpy")),
    "ffmpeg": (ffmpeg, ("imageio_ffmpeg",)),
    "decord2": (decord2, ("decord",)),
    "ray": (ray, ("decord",)),
    "qwen": (qwen, ("decord", "torch", "qwen_vl_utils")),
}


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _memory_mb(field: str) -> float:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def main(name: str, path: str) -> None:
    decode, imports = DECODERS[name]
    for module in imports:
        importlib.import_module(module)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before_mb, before_s = _memory_mb("VmRSS"), _cpu_s()
    num_frames = sum(decode(path))
    cpu_s = _cpu_s() - before_s
    child_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    used_mb = max(_memory_mb("VmHWM") - before_mb, child_mb)
    print(json.dumps({"cpu_s": cpu_s, "frames": num_frames, "rss_mb": used_mb, **PARTS}))


if __name__ == "__main__":
    main(*sys.argv[1:])
