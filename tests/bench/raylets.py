"""How speed grows with machines: real decoding, an endpoint that only waits, 1 and more raylets.

``python -m tests.bench.raylets`` makes a Ray cluster with so many raylets of one CPU, each with an
object store of its own, and answers the same number of windows of the shipped clip for each of
them. An endpoint of this process takes ``--latency`` for an answer, so that each replica could
answer ``SLOTS / latency`` windows a second. It prints a line for each number, and last one JSON
object.

The raylets share the cores of this machine, so wall time shows scaling only as long as all of them
together need less than that. The CPU of the driver is given, since all raylets share it; that of
the others is not: workers that end between two looks take their CPU time with them.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import demo
from pipeline.config import Config, load_config
from pipeline.flow.task.packed_shard import PackedShard, pack_shard
from pipeline.flow.task.stages import Planned, probe_and_plan
from tests.endpoint import Endpoint
from tests.videos import source_of

CLIP = Path(demo.__file__).with_name("lobby.mp4")
SLOTS = 4
"""Windows that a replica answers at a time."""
STORE_BYTES = 300_000_000
ANSWER = '{"events":[],"summary":"nothing moves"}'


def config_of(num_raylets: int, url: str) -> Config:
    """A replica and a decoder for each raylet; windows of 16 s with 32 frames."""
    return load_config(
        overrides=(
            "task={name: t, labels: {fall: someone falls}}",
            f"engine={{kind: openai, model: m, base_url: '{url}'}}",
            f"engine.replicas={num_raylets}",
            f"engine.max_concurrency={SLOTS}",
            "engine.timeout_s=600",
            "sample.fps=2",
            "plan.max_window_frames=32",
            "plan.shard_cost_s=1",
            "frame.rgb_max_pixels=86016",
            "cluster.decode_cpus=0.5",
            f"cluster.max_decode_tasks={num_raylets}",
        )
    )


def shards_of(num_windows: int, config: Config) -> list[PackedShard]:
    """Shards with at least so many windows, of the shipped clip as one camera after the other."""
    shards: list[PackedShard] = []
    while num_windows > 0:
        planned = probe_and_plan(source_of(CLIP, camera=f"cam{num_windows}"), config)
        assert isinstance(planned, Planned), planned
        shards += map(pack_shard, planned.shards)
        num_windows -= sum(len(shard.windows) for shard in planned.shards)
    return shards


@contextlib.contextmanager
def cluster_of(num_raylets: int) -> Iterator[str]:
    """A head without CPUs, and so many raylets with one."""
    import ray
    from ray.cluster_utils import Cluster

    # Unix sockets of Ray lie in there, and their paths must stay short.
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as temp:
        node = {"object_store_memory": STORE_BYTES, "temp_dir": temp}
        head = {"num_cpus": 0, "include_dashboard": False, **node}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(num_raylets):
                cluster.add_node(num_cpus=1, **node)
            yield cluster.address
        finally:
            ray.shutdown()
            cluster.shutdown()


def measure(num_raylets: int, num_windows: int, latency_s: float, url: str) -> dict[str, float]:
    """Windows per second that reach the driver, and its CPU milliseconds for each."""
    from pipeline.flow.cluster import running_ray
    from pipeline.flow.graph import answer_graph

    config = config_of(num_raylets, url)
    shards = shards_of(num_windows, config)
    # After all have started, and before the first has nothing more to do.
    marks = {num_windows // 4: (0.0, 0.0), num_windows * 9 // 10: (0.0, 0.0)}
    failed = 0
    with cluster_of(num_raylets) as address, running_ray(config, address):
        for number, result in enumerate(answer_graph(shards, config), 1):
            failed += result.status == "failed"
            if number in marks:
                marks[number] = time.monotonic(), time.process_time()
    (first, began), (last, ended) = marks.items()
    wall_s, driver_s = (after - before for before, after in zip(began, ended, strict=True))
    windows = last - first
    return {
        "raylets": num_raylets,
        "failed_windows": failed,
        "windows_per_s": round(windows / wall_s, 3),
        "share_of_engines": round(windows / wall_s * latency_s / SLOTS / num_raylets, 3),
        "driver_cpu_ms_per_window": round(1000 * driver_s / windows, 1),
    }


def main() -> None:
    """Each number of raylets in a process of its own, so that all CPU below it is counted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raylets", default="1,2")
    parser.add_argument("--latency", type=float, default=4.0, help="seconds for an answer")
    parser.add_argument("--windows", type=int, default=60, help="for each raylet")
    parser.add_argument("--url", help="measure one number of raylets here, with this endpoint")
    asked = parser.parse_args()
    numbers = [int(number) for number in asked.raylets.split(",")]
    if asked.url:
        print(json.dumps(measure(numbers[0], numbers[0] * asked.windows, asked.latency, asked.url)))  # noqa: T201
        return
    endpoint = Endpoint((200, ANSWER), delay_s=asked.latency)
    found: list[dict[str, Any]] = []
    for number in numbers:
        command = [sys.executable, "-m", "tests.bench.raylets", "--raylets", str(number)]
        command += ["--windows", str(asked.windows), "--latency", str(asked.latency)]
        command += ["--url", endpoint.url]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(found[-1], flush=True)  # noqa: T201
    endpoint.stop()
    one, most = found[0], found[-1]
    speed = most["windows_per_s"] / one["windows_per_s"] * one["raylets"] / most["raylets"]
    print(json.dumps({"wall_scaling": round(speed, 3)}))  # noqa: T201


if __name__ == "__main__":
    main()
