"""Ten hours of 1080p through the whole job, with an object store far smaller than their pictures.

The engine only waits (``tests.bench.simulated``); its windows of RGB pictures cross the object
store as they do for a real one. Run as ``python -m tests.bench.long_job``; the last line is JSON.
"""

import argparse
import json
import re
import resource
import shutil
import threading
import time
from functools import partial
from pathlib import Path
from unittest import mock

import psutil
import ray
from ray._private.internal_api import memory_summary

from pipeline.config import load_config
from pipeline.flow.driver import archive as driver
from pipeline.flow.graph import answer_graph
from pipeline.timebase import NS_PER_S
from tests.bench.footage import Cut, make
from tests.bench.simulated import Replicas, opener
from tests.videos import source_of

REPLICAS = Replicas(num=1, slots=8, latency_s=1.0)


class Watch(threading.Thread):
    """The most memory that any one worker has had for itself, by what it was doing."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb: dict[str, int] = {}
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(1):
            for process in psutil.Process().children(recursive=True):
                try:
                    name = re.match(r"ray::(?:Map\w*\()?(?:MapBatches\()?(\w+)", process.name())
                    used_mb = process.memory_full_info().uss // 2**20
                except psutil.Error:
                    continue  # it has ended
                if name:
                    self.peak_mb[name[1]] = max(self.peak_mb.get(name[1], 0), used_mb)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=Path("out/bench"))
    arguments.add_argument("--hours", type=float, default=10)
    arguments.add_argument("--fps", type=float, default=1.0, help="of sampling")
    arguments.add_argument("--store-mb", type=int, default=300)
    given = arguments.parse_args()
    cut = Cut(rate=5, gop=50, kilobits=300)
    path = make(given.out / f"long-{given.hours:g}h.mp4", cut, seconds=round(given.hours * 3600))
    config = load_config(
        overrides=(
            "task={name: t, labels: {fall: someone falls}}",
            "engine={kind: vllm, model: simulated/engine, num_gpus: 0}",
            f"engine.max_concurrency={REPLICAS.slots}",
            f"sample.fps={given.fps}",
            "plan.max_window_frames=16",
        )
    )
    folders = index, notes = given.out / "long-index", given.out / "long-notes"
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=given.store_mb * 2**20)
    watch, started_s = Watch(), time.monotonic()
    watch.start()
    simulated = partial(answer_graph, open_engine=opener(REPLICAS, notes))
    with mock.patch.object(driver, "answer_graph", simulated):
        report = driver.index_archive(
            [source_of(path)], config, str(index), on_progress=lambda _report: None
        )
    watch.done.set()
    store = memory_summary(ray.get_runtime_context().gcs_address, stats_only=True)
    spilled = re.search(r"Spilled (\d+) MiB", store)
    result = {
        "hours": round(report.video_ns / NS_PER_S / 3600, 3),
        "windows": report.windows,
        "wall_s": round(time.monotonic() - started_s),
        "decode_cpu_s": round(report.decode_cpu_s, 1),
        "store_mb": given.store_mb,
        "spilled_mb": int(spilled[1]) if spilled else 0,
        "driver_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "peak_mb": watch.peak_mb,
    }
    print(store)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
