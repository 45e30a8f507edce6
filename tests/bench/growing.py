"""What a recording costs that is indexed again and again as it grows, beside one run at its end.

``python -m tests.bench.growing --out DIR``; an hour, twelve looks, each way of recording. The
stages run in this process, without Ray. Decoded anew with each look it would be 6.5 times as much.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline import flow
from pipeline.config import Config, load_config
from pipeline.flow.report import Report
from pipeline.flow.stages import Failure, probe_and_plan
from pipeline.sources import list_sources
from tests.growing import KINDS, grow
from tests.hard.without_ray import leave_out_ray
from tests.videos import Recipe

RATE = 2
RECIPE = Recipe(rate=RATE, width=640, height=360, gop=4 * RATE, bframes=2)
SAMPLING = ("sample.fps=1", "plan.max_window_frames=32")


def main() -> None:
    """Print a line per way of recording and size of a shard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--looks", type=int, default=12)
    parser.add_argument(
        "--shards", type=int, nargs="*", default=[120, 60], help="Of the whole file."
    )
    given = parser.parse_args()
    leave_out_ray()
    print("recording    shards   decode CPU   footage looked at   (times one run at the end)")
    for kind in KINDS:
        _measure(kind, given.out / kind, given.minutes, given.looks, given.shards)


def _measure(kind: str, folder: Path, minutes: int, looks: int, parts: Sequence[int]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / f"cam1_20260301T080000Z{KINDS[kind]}"
    recipe = Recipe(**{**RECIPE.__dict__, "num_frames": minutes * 60 * RATE})
    # An odd share more, so that no look ends where a shard does.
    shares = [min(1.0, (look + 0.37) / looks) for look in range(1, looks)] + [1.0]
    reports: dict[int, list[Report]] = {num_shards: [] for num_shards in parts}
    cost_s = _cost_s(kind, folder, recipe)
    settings = {n: load_config(None, (*SAMPLING, f"plan.shard_cost_s={cost_s / n}")) for n in parts}
    for _ in grow(kind, path, recipe, shares):
        for num_shards, config in settings.items():
            reports[num_shards].append(_index(path, folder / f"grown{num_shards}", config))
    for num_shards, config in settings.items():
        once = _index(path, folder / f"whole{num_shards}", config)
        cpu = sum(one.decode_cpu_s for one in reports[num_shards]) / once.decode_cpu_s
        shown = sum(one.analysed_ns for one in reports[num_shards]) / once.analysed_ns
        print(f"{kind:12} {num_shards:6} {cpu:12.3f} {shown:19.3f}", flush=True)


def _cost_s(kind: str, folder: Path, recipe: Recipe) -> float:
    """Predicted CPU seconds of decoding the whole recording, from its first minute."""
    path = folder / f"first{KINDS[kind]}"
    minute = Recipe(**{**recipe.__dict__, "num_frames": 60 * RATE})
    for _ in grow(kind, path, minute, [1.0]):
        pass
    config = load_config(None, SAMPLING)
    [source] = list_sources([str(path)], config.sources)
    planned = probe_and_plan(source, config)
    assert not isinstance(planned, Failure), planned
    path.unlink()
    per_s = sum(shard.cost_s for shard in planned.shards) / 60
    return per_s * recipe.num_frames / RATE


def _index(path: Path, where: Path, config: Config) -> Report:
    sources = list_sources([str(path)], config.sources)
    report = flow.index_archive(sources, config, str(where), on_progress=lambda _: None)
    assert (report.videos_done, report.failures) == (1, []), report
    return report


if __name__ == "__main__":
    main()
