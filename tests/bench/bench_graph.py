"""How much of vLLM's own speed arrives through the Ray graph, and what the graph itself can carry.

``python -m tests.bench.bench_graph`` runs three parts (``--parts vllm,replicas,driver``):

* vllm: the shipped checkpoint answers the same windows twice in this run, once called directly,
  once through decode tasks, the object store, an actor and the driver. In both the model has one
  core to itself, as a GPU would be, and all else has the others (not with ``--shared-cores``).
  Windows are as many frames as those of ``configs/surveillance.yaml``, of a quarter of the pixels;
  smaller ones, which this model answers faster than one core can decode and tokenise them, would
  measure that core (try ``--set``).
* replicas: engines that only wait show how busy one machine's graph keeps so many of them. By
  default each answers a window a second, which is what ``pipeline/config/models`` assumes of
  Qwen3-VL-32B on two H100. Decoders and actors share this machine's cores with the driver; of
  a cluster one machine has the driver's share alone (``graph_driver_cpu_ms_per_window``).
* driver: CPU and memory of the driver's own work, at growing numbers of windows.

It prints a table and, last, one JSON object.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from pipeline.config import Config, load_config
from pipeline.flow.task.packed_shard import PackedShard, pack_shard
from pipeline.flow.task.stages import Planned, decode_and_gate, probe_and_plan
from pipeline.records import Window
from tests.bench.simulated import Replicas, busy_fraction, opener, shards_of
from tests.videos import source_of

ROOT = Path(__file__).parents[2]
BLOCKS_AHEAD = 64
"""Decoded blocks that wait to be taken: Ray Data lets a decode task be two ahead, and a cluster
that feeds 64 replicas decodes on dozens of cores."""
MAX_DECODERS = 8
"""Processes that this machine decodes in; each is as many blocks ahead as several of a cluster."""
WINDOWS = ("plan.max_window_frames=32", "frame.rgb_max_pixels=86016", "plan.shard_cost_s=1")
WARM_UP = 32
"""Answers after which the clock starts, in both paths: loading and first steps do not count."""
MIN_STORE_BYTES = 100 * 2**20
"""Ray refuses less than 75 MiB."""


def num_at_hand(config: Config) -> int:
    """Windows that the graph hands to the engine's actor: twice what it takes, and half as many."""
    return 3 * config.engine.max_concurrency


def store_bytes(config: Config) -> int:
    """Room for what the engine is fed from, and no more: decoding goes on while the model answers.

    Ray Data uses half of a store, and keeps half of that for what is on its way out.
    """
    window_bytes = config.plan.max_window_frames * config.frame.rgb_max_pixels * 3
    return max(MIN_STORE_BYTES, 4 * num_at_hand(config) * window_bytes)


def answers_per_s(times_s: list[float]) -> float:
    """From the ``WARM_UP``-th answer to the last."""
    return (len(times_s) - WARM_UP) / (times_s[-1] - times_s[WARM_UP - 1])


def world(folder: Path, num_clips: int, config: Config) -> list[Planned]:
    """Generated footage of the demo model's world, planned into at least ``num_clips`` windows."""
    from pipeline.demo.archive import demo_recordings, write_archive

    planned: list[Planned] = []
    num_windows = 0
    for seed in range(100):
        part = folder / str(seed)
        write_archive(part, demo_recordings(1000 + seed, num_cameras=1))
        for path in sorted(part.rglob("*.mp4")):
            one = probe_and_plan(source_of(path, camera=f"cam{seed}"), config)
            assert isinstance(one, Planned), one
            planned.append(one)
            num_windows += sum(len(shard.windows) for shard in one.shards)
        if num_windows >= num_clips:
            return planned
    raise SystemExit(f"--clips {num_clips}: too many")


async def direct(config: Config, windows: list[Window]) -> float:
    """Answers per second of vLLM alone, called with as many requests at once as the graph does.

    Not with all of them: vLLM would make tokens of the last before the clock starts.
    """
    from pipeline.engine.prompt import messages, video_metadata
    from pipeline.engine.vllm.windows import VllmEngine, video_of

    engine = VllmEngine(config.engine, task=config.task, frame=config.frame, plan=config.plan)
    prompt = engine._vllm.rendered(messages(config.task))
    places = asyncio.Semaphore(num_at_hand(config))
    times_s: list[float] = []

    async def ask(number: int, frames: Any, ms: tuple[int, ...]) -> None:
        request = {
            "prompt": prompt,
            "multi_modal_data": {"video": [(frames, video_metadata(ms))]},
        }
        async with places:
            async for _ in engine._vllm.llm.generate(request, engine._sampling, str(number)):
                pass
        times_s.append(time.monotonic())

    requests = [video_of(window, window.rgb) for window in windows]
    try:
        await asyncio.gather(*(ask(i, *request) for i, request in enumerate(requests)))
    finally:
        engine.shutdown()
    return answers_per_s(times_s)


def through_graph(config: Config, shards: list[PackedShard]) -> tuple[float, int]:
    """Answers per second that reach the driver, and how many windows have failed."""
    from pipeline.flow.cluster import running_ray
    from pipeline.flow.graph import answer_graph

    with running_ray(config, None):
        times_s, failed = [], 0
        for result in answer_graph(shards, config):
            times_s.append(time.monotonic())
            failed += result.status == "failed"
    return answers_per_s(times_s), failed


@contextlib.contextmanager
def model_on_its_own_core() -> Iterator[None]:
    """The last core is the model's, whoever starts it; what is started here keeps to the others."""
    cores = os.sched_getaffinity(0)
    if len(cores) > 1:
        os.sched_setaffinity(0, cores - {max(cores)})
    with mock.patch.dict(os.environ, VLLM_CPU_OMP_THREADS_BIND=str(max(cores))):
        try:
            yield
        finally:
            os.sched_setaffinity(0, cores)


def bench_vllm(
    num_clips: int, rounds: int, overrides: Iterable[str], *, shared_cores: bool
) -> Iterator[tuple[str, Any]]:
    """Both paths in turn, the best of ``rounds`` of each."""
    demo = ROOT / "configs" / "demo.yaml"
    config = load_config(demo, (*WINDOWS, *overrides))
    config = _in_cluster(config, object_store_bytes=store_bytes(config))
    placed = contextlib.nullcontext() if shared_cores else model_on_its_own_core()
    with tempfile.TemporaryDirectory() as folder, placed:
        planned = world(Path(folder), num_clips, config)
        shards = [shard for one in planned for shard in one.shards]
        windows = [item for shard in shards for item in decode_and_gate(shard, config)]
        alone, graph = [], []
        for _ in range(rounds):
            alone.append(asyncio.run(direct(config, windows)))
            graph.append(through_graph(config, [pack_shard(shard) for shard in shards]))
    yield "clips", len(windows)
    yield "direct_clips_per_s", round(max(alone), 2)
    yield "clips_per_s", round(max(speed for speed, _ in graph), 2)
    yield "failed_clips", max(failed for _, failed in graph)
    yield "vs_direct_vllm", round(max(speed for speed, _ in graph) / max(alone), 3)


def _in_cluster(config: Config, **settings: int) -> Config:
    cluster = config.cluster.model_copy(update=settings)
    return config.model_copy(update={"cluster": cluster})


def bench_replicas(replicas: Replicas, seconds: float) -> Iterator[tuple[str, Any]]:
    """Replicas that only wait, on this machine's graph."""
    import ray

    from pipeline.flow import cluster, graph

    num_windows = int(replicas.windows_per_s * (seconds + 2 * replicas.latency_s))
    config = _in_cluster(replicas.config(), max_decode_tasks=MAX_DECODERS)
    # Room for every replica.
    ray.init(
        num_cpus=replicas.num // 2 + MAX_DECODERS + 1, include_dashboard=False, log_to_driver=False
    )
    context = ray.data.DataContext.get_current()
    context._max_num_blocks_in_streaming_gen_buffer = BLOCKS_AHEAD // MAX_DECODERS
    with (
        tempfile.TemporaryDirectory() as folder,
        # As with real pictures: a window is a block.
        mock.patch.object(cluster, "BLOCK_BYTES", 1024),
        cluster.running_ray(config, None),
    ):
        notes = Path(folder) / "notes"
        notes.mkdir()
        shards = list(shards_of(Path(folder), num_windows, config))
        # After all have started, and before the first is gone and its CPU time with it.
        marks = {num_windows // 5: 0.0, num_windows * 9 // 10: 0.0}
        cpu_s = time.process_time()
        results = graph.answer_graph(shards, config, open_engine=opener(replicas, notes))
        for num_answered, _ in enumerate(results, 1):
            if num_answered in marks:
                marks[num_answered] = cpu_s_of_all()
        cpu_s = time.process_time() - cpu_s
        (first, first_cpu_s), (last, last_cpu_s) = marks.items()
        yield "simulated_windows", num_answered
        yield "simulated_windows_per_s", round(replicas.windows_per_s, 1)
        yield f"busy_fraction_{replicas.num}_replicas", round(busy_fraction(notes, replicas), 4)
        yield "graph_driver_cpu_ms_per_window", round(1000 * cpu_s / num_answered, 3)
        all_cpu_s = last_cpu_s - first_cpu_s
        yield "graph_cpu_ms_per_window", round(1000 * all_cpu_s / (last - first), 3)
    ray.shutdown()


def cpu_s_of_all() -> float:
    """CPU seconds of this process and of those below it: Ray's own, decoders, actors.

    Of those that have ended only if their parent has waited for them. A raylet does not: the time
    of its ended workers is missing, and a difference of two calls is too small by it.
    """
    import psutil

    total_s = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total_s += times.user + times.system + times.children_user + times.children_system
    return total_s


def bench_driver(sizes: Iterable[int]) -> Iterator[tuple[str, Any]]:
    """The driver's own work, each size in a process of its own."""
    rows = []
    for size in sizes:
        command = [sys.executable, "-m", "tests.bench.driver_cost", str(size)]
        done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    yield "driver", rows


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="vllm,replicas,driver")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--set", action="append", default=[], help="of configs/demo.yaml, for the vllm part"
    )
    parser.add_argument("--shared-cores", action="store_true", help="the model's with all else")
    parser.add_argument("--replicas", type=int, default=64)
    parser.add_argument("--slots", type=int, default=16, help="windows in flight per replica")
    parser.add_argument("--latency", type=float, default=16.0, help="seconds per window")
    parser.add_argument("--seconds", type=float, default=60.0, help="for which all are busy")
    parser.add_argument("--windows", default="10000,100000", help="sizes for the driver part")
    asked = parser.parse_args()
    # Ray's workers are niced by default; vLLM called directly is not.
    os.environ.setdefault("RAY_worker_niceness", "0")
    parts = {
        "vllm": lambda: bench_vllm(
            asked.clips, asked.rounds, asked.set, shared_cores=asked.shared_cores
        ),
        "replicas": lambda: bench_replicas(
            Replicas(num=asked.replicas, slots=asked.slots, latency_s=asked.latency), asked.seconds
        ),
        "driver": lambda: bench_driver(map(int, asked.windows.split(","))),
    }
    figures: dict[str, Any] = {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    for part in asked.parts.split(","):
        for name, figure in parts[part]():
            figures[name] = figure
            print(f"{name:32} {figure}", flush=True)  # noqa: T201
    print(json.dumps(figures))  # noqa: T201


if __name__ == "__main__":
    main()
