"""What a recording costs that is indexed again and again as it grows, beside one run at its end.

``make bench-growth``; an hour, twelve looks, each way of recording. The stages run in this process,
without Ray, and no engine answers: the costs are those of reading and decoding. Decoded anew with
each look it would be 6.5 times as much.
"""

import argparse
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from pipeline.config import Config, load_config
from pipeline.flow.driver import archive as driver
from pipeline.flow.driver.batch_plan import ProbedFile
from pipeline.flow.driver.report import Report
from pipeline.flow.task.stages import Failure, probe_and_plan
from pipeline.index import open_index
from pipeline.records import Completion, Source
from pipeline.sources import list_sources
from tests.growing import KINDS, asking, grow
from tests.hard.without_ray import leave_out_ray, probe_here
from tests.videos import Recipe

RATE = 2
RECIPE = Recipe(rate=RATE, width=640, height=360, gop=4 * RATE, bframes=2)
LONG_AGO_NS = 1_772_352_000 * 10**9
SETTLES = "sources.settle_s=3600"
SAMPLING = ("sample.fps=1", "plan.max_window_frames=32")
MODEL = (
    *("sample.fps=1", "plan.max_window_frames=16", "engine.kind=openai", "engine.model=m"),
    *("engine.base_url=http://nowhere/v1", "task.name=gate"),
    "task.labels={enter: comes in}",
)
"""Nothing is remembered from window to window: only single windows at the end are asked again."""


@dataclass(frozen=True)
class Cost:
    """Of one run or of several."""

    decode_cpu_s: float
    probe_cpu_s: float
    """Reading the packets of the file, to its present end."""
    num_windows: int
    unseen_s: float = 0.0
    """Footage at the end of the file that the index says nothing of yet."""


def main() -> None:
    """Print a line per way of recording and way of looking."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--looks", type=int, default=12)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument(
        "--shards",
        type=int,
        nargs="*",
        default=[6, 1],
        help="Of the file: of an hour, plan.shard_cost_s makes some 6 at 1080p, and 1 at 360p.",
    )
    given = parser.parse_args()
    leave_out_ray()
    print(
        "times one run at the end; the last column is the footage that a look leaves out, at most"
    )
    print(f"{'recording':12}{'run':28}{'decode CPU':>12}{'windows':>10}{'probe CPU':>12}{'s':>8}")
    for kind in given.kinds:
        _measure(kind, given.out / kind, given.minutes, given.looks, given.shards)


def _measure(kind: str, folder: Path, minutes: int, looks: int, parts: Sequence[int]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / f"cam1_20260301T080000Z{KINDS[kind]}"
    recipe = replace(RECIPE, num_frames=minutes * 60 * RATE)
    # An odd share more, so that no look ends where a shard does.
    shares = [min(1.0, (look + 0.37) / looks) for look in range(1, looks)] + [1.0]
    cost_s = _cost_s(kind, folder, recipe)
    settings: dict[str, Config] = {}
    for num_shards in parts:
        words = (*SAMPLING, f"plan.shard_cost_s={cost_s / num_shards}")
        settings[f"signals, {num_shards} shards"] = load_config(None, words)
        settings[f"signals, {num_shards} shards, settle"] = load_config(None, (*words, SETTLES))
    settings["a model"] = load_config(None, MODEL)
    settings["a model, settle"] = load_config(None, (*MODEL, SETTLES))
    grown: dict[str, list[Cost]] = {name: [] for name in settings}
    for share in grow(kind, path, recipe, shares):
        if share == 1:
            os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
        for name, config in settings.items():
            grown[name].append(_index(path, folder / name, config, share * minutes * 60))
    for name, config in settings.items():
        once = _index(path, folder / f"{name} once", config, minutes * 60)
        runs = grown[name]
        decoding = sum(run.decode_cpu_s for run in runs) / once.decode_cpu_s
        windows = sum(run.num_windows for run in runs) / once.num_windows
        probing = sum(run.probe_cpu_s for run in runs) / once.probe_cpu_s
        unseen_s = max(run.unseen_s for run in runs)
        print(
            f"{kind:12}{name:28}{decoding:12.3f}{windows:10.3f}{probing:12.2f}{unseen_s:8.0f}",
            flush=True,
        )


def _cost_s(kind: str, folder: Path, recipe: Recipe) -> float:
    """Predicted CPU seconds of decoding the whole recording, from its first minute."""
    path = folder / f"first{KINDS[kind]}"
    for _ in grow(kind, path, replace(recipe, num_frames=60 * RATE), [1.0]):
        pass
    config = load_config(None, SAMPLING)
    [source] = list_sources([str(path)], config.sources)
    planned = probe_and_plan(source, config)
    assert not isinstance(planned, Failure), planned
    path.unlink()
    per_s = sum(shard.cost_s for shard in planned.shards) / 60
    return per_s * recipe.num_frames / RATE


def _index(path: Path, where: Path, config: Config, length_s: float) -> Cost:
    sources = list_sources([str(path)], config.sources)
    silent = asking(
        lambda _: Completion(text='{"events": [], "summary": ""}', finish_reason="stop")
    )
    probe_cpu_s = 0.0

    def probe(batch: Sequence[Source], config: Config) -> Iterator[ProbedFile]:
        nonlocal probe_cpu_s
        started_s = time.process_time()
        probed = list(probe_here(batch, config))
        probe_cpu_s += time.process_time() - started_s
        yield from probed

    with (
        mock.patch.object(driver, "answer_graph", silent),
        mock.patch.object(driver, "probe_graph", probe),
    ):
        report: Report = driver.index_archive(
            sources, config, str(where), on_progress=lambda _: None
        )
    # A fragmented MP4 that ends inside a moof cannot be opened: the next look reads it.
    assert report.videos_done + len(report.waiting) + len(report.failures) == 1, report
    ends_ns = open_index(str(where)).windows()["media_end_ns"].to_pylist()
    return Cost(
        decode_cpu_s=report.decode_cpu_s,
        probe_cpu_s=probe_cpu_s,
        num_windows=sum(report.windows.values()),
        unseen_s=max(0.0, length_s - max(ends_ns, default=0) / 1e9),
    )


if __name__ == "__main__":
    main()
