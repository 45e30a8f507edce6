"""What a recording costs that is indexed again and again as it grows, beside one run at its end.

``python -m tests.bench.growing --out DIR``; an hour, twelve looks, each way of recording. The
stages run in this process, without Ray. Decoded anew with each look it would be 6.5 times as much.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from pipeline.config import Config, load_config
from pipeline.flow.driver import archive as driver
from pipeline.flow.driver.report import Report
from pipeline.flow.task.stages import Failure, probe_and_plan
from pipeline.records import Completion
from pipeline.sources import list_sources
from tests.growing import KINDS, asking, grow
from tests.hard.without_ray import leave_out_ray
from tests.videos import Recipe

RATE = 2
RECIPE = Recipe(rate=RATE, width=640, height=360, gop=4 * RATE, bframes=2)
SAMPLING = ("sample.fps=1", "plan.max_window_frames=32")
MODEL = {
    "task": {"name": "gate", "labels": {"enter": "comes in"}, "summary": False},
    "engine": {"kind": "openai", "model": "m", "base_url": "http://nowhere/v1"},
    "sample": {"fps": 1},
    "plan": {"max_window_frames": 16},
}
"""Nothing is remembered from window to window: only single windows at the end are asked again."""


def main() -> None:
    """Print a line per way of recording and way of looking."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--looks", type=int, default=12)
    parser.add_argument("--shards", type=int, nargs="*", default=[120, 60], help="Of the file.")
    given = parser.parse_args()
    leave_out_ray()
    print("recording    engine, shards   decode CPU   windows   (times one run at the end)")
    for kind in KINDS:
        _measure(kind, given.out / kind, given.minutes, given.verifications, given.shards)


def _measure(
    kind: str, folder: Path, minutes: int, verifications: int, parts: Sequence[int]
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / f"cam1_20260301T080000Z{KINDS[kind]}"
    recipe = Recipe(**{**RECIPE.__dict__, "num_frames": minutes * 60 * RATE})
    # An odd share more, so that no look ends where a shard does.
    shares = [min(1.0, (look + 0.37) / verifications) for look in range(1, verifications)] + [1.0]
    cost_s = _cost_s(kind, folder, recipe)
    settings = {
        f"signals {num_shards:4}": load_config(
            None, (*SAMPLING, f"plan.shard_cost_s={cost_s / num_shards}")
        )
        for num_shards in parts
    }
    settings["a model    1"] = Config.model_validate(MODEL)
    grown: dict[str, list[Report]] = {name: [] for name in settings}
    for _ in grow(kind, path, recipe, shares):
        for name, config in settings.items():
            grown[name].append(_index(path, folder / name, config))
    for name, config in settings.items():
        once = _index(path, folder / f"{name} once", config)
        cpu = sum(one.decode_cpu_s for one in grown[name]) / once.decode_cpu_s
        asked = sum(map(_num_windows, grown[name])) / _num_windows(once)
        print(f"{kind:12} {name:14} {cpu:12.3f} {asked:9.3f}", flush=True)


def _num_windows(report: Report) -> int:
    return sum(report.windows.values())


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
    silent = asking(lambda _: Completion(text='{"events": []}', finish_reason="stop"))
    answer_graph = silent if config.wants_rgb else driver.answer_graph
    with mock.patch.object(driver, "answer_graph", answer_graph):
        report = driver.index_archive(sources, config, str(where), on_progress=lambda _: None)
    assert (report.videos_done, report.failures) == (1, []), report
    return report


if __name__ == "__main__":
    main()
