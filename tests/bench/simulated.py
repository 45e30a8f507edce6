"""An engine that only waits, and a video that costs next to nothing to decode.

It is opened where the real one is (``open_engine`` of ``answer_graph``), so that what is measured
is everything around a model: scheduling, blocks, actors, the driver.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.config import Config, load_config
from pipeline.flow.task.packed_shard import PackedShard, pack_shard
from pipeline.flow.task.stages import Planned, probe_and_plan
from pipeline.records import Completion, Window
from tests.videos import make_video, source_of

ANSWER = '{"events":[],"summary":"nothing moves"}'
FRAMES_PER_WINDOW = 2


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """What is simulated: each answers ``slots`` windows at a time, in ``latency_s`` on average.

    A window takes from half to one and a half of that, by its id: answers differ in length.
    """

    num: int
    slots: int
    latency_s: float

    @property
    def windows_per_s(self) -> float:
        """If none ever waited."""
        return self.num * self.slots / self.latency_s

    def seconds_of(self, window: Window) -> float:
        """How long a window takes."""
        return self.latency_s * (0.5 + int(window.plan.window_id[:4], 16) / 0x10000)

    def config(self) -> Config:
        """A run on tiny pictures, two to a window."""
        return load_config(
            overrides=(
                "task={name: t, labels: {fall: someone falls}}",
                "engine={kind: vllm, model: simulated/engine, num_gpus: 0}",
                f"engine.replicas={self.num}",
                f"engine.max_concurrency={self.slots}",
                "sample.fps=1",
                "frame.rgb_max_pixels=1024",
                "frame.luma_width=32",
                f"plan.max_window_frames={FRAMES_PER_WINDOW}",
                # Enough shards for all decode tasks.
                "plan.shard_cost_s=0.02",
                # So that all replicas find room on one machine.
                "cluster.decode_cpus=1",
            )
        )


class WaitingEngine:
    """Waits for as long as a window takes; writes when it was open, and for how long it worked."""

    def __init__(self, _config: Config, *, replicas: Replicas, notes: Path) -> None:
        self._replicas = replicas
        self._slots = asyncio.Semaphore(replicas.slots)
        self._notes = notes / f"{time.monotonic_ns()}.jsonl"
        self._note(opened_s=time.monotonic())

    async def answer(self, window: Window) -> Completion:
        async with self._slots:
            began_s = time.monotonic()
            seconds = self._replicas.seconds_of(window)
            await asyncio.sleep(seconds)
            self._note(began_s=began_s, seconds=seconds)
        return Completion(text=ANSWER, finish_reason="stop", num_prompt_tokens=1)

    def shutdown(self) -> None:
        """Nothing was started."""

    def _note(self, **fact: float) -> None:
        with self._notes.open("a") as file:
            file.write(json.dumps(fact) + "\n")


def opener(replicas: Replicas, notes: Path) -> Callable[[Config], WaitingEngine]:
    """What to hand to ``answer_graph``; ``notes`` is an empty folder."""
    return partial(WaitingEngine, replicas=replicas, notes=notes)


def busy_fraction(notes: Path, replicas: Replicas) -> float:
    """Slot-seconds in use per slot-second that there was, between fill and drain.

    From when every replica has had the time to fill until the first has begun its last window. An
    answer counts for the time it was to take, also where it woke up late.
    """
    opened, begun = [], []
    for file in notes.glob("*.jsonl"):
        facts = [json.loads(line) for line in file.read_text().splitlines()]
        opened.append(facts[0]["opened_s"])
        begun.append(sorted((fact["began_s"], fact["seconds"]) for fact in facts[1:]))
    if len(opened) != replicas.num or not all(begun):
        raise SystemExit(f"{len(opened)} of {replicas.num} replicas opened; more windows needed")
    # A replica is filled one latency after it began; it drains one before its last window ends.
    start_s = max(*opened, *(times[0][0] for times in begun)) + replicas.latency_s
    end_s = min(times[-1][0] for times in begun)
    if end_s <= start_s:
        raise SystemExit("too few windows: no time in which all replicas could be busy")
    used_s = sum(
        max(0.0, min(began_s + seconds, end_s) - max(began_s, start_s))
        for times in begun
        for began_s, seconds in times
    )
    return used_s / (replicas.num * replicas.slots * (end_s - start_s))


def shards_of(folder: Path, num_windows: int, config: Config) -> Iterator[PackedShard]:
    """Shards with so many windows in all, of one generated video after the other."""
    per_video = min(num_windows, 20_000)
    path = make_video(
        folder / "v.mp4", num_frames=per_video * FRAMES_PER_WINDOW, rate=1, width=32, height=32,
        bframes=0,
    )  # fmt: skip
    for number in range(-(-num_windows // per_video)):
        planned = probe_and_plan(source_of(path, camera=f"cam{number}"), config)
        assert isinstance(planned, Planned), planned
        yield from map(pack_shard, planned.shards)
