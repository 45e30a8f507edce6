"""Random damage to five kinds of video: no crash, no hang, no bug; run by hand (`make fuzz`).

Every mutation is made from its seed alone, so what is found can be made again with `--only`. The
stages run as they do in a job whose worker has died before: in a child process, under a watchdog
(``pipeline.processes``). Prints a table, and as its last line one JSON object with the counts.
"""

import argparse
import importlib
import json
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from pipeline.config import Config
from pipeline.flow.task.stages import Failure, decode_and_gate, probe_and_plan
from pipeline.processes.crash_isolation import ProcessDiedError, in_child_process
from pipeline.records import Window
from tests.videos import Recipe, make_video, source_of

RECIPES = {
    "h264 B-frames.mp4": Recipe(gop=15),
    "h264 open GOP.ts": Recipe(gop=12, open_gop=True),
    "hevc open GOP.mkv": Recipe(codec="libx265", gop=12, open_gop=True, num_frames=40),
    "vp9.webm": Recipe(codec="libvpx-vp9", num_frames=40),
    "mpeg4 B-frames.avi": Recipe(codec="mpeg4", bframes=2, time_base=Fraction(1, 25)),
}
OUTCOMES = ("whole", "suspect", "partial", "refused", "bug", "crashed", "hung")
BAD = ("bug", "crashed", "hung")


def mutate(data: bytes, seed: str) -> bytes:
    """Damage of one kind; half of it in the first kilobyte, where the headers are."""
    chance = random.Random(seed)
    damaged = bytearray(data)

    def place() -> int:
        return chance.randrange(min(1024, len(damaged)) if chance.random() < 0.5 else len(damaged))

    match chance.randrange(6):
        case 0:
            for _ in range(chance.randint(1, 64)):
                damaged[place()] = chance.randrange(256)
        case 1:
            for _ in range(chance.randint(1, 16)):
                damaged[place()] ^= 1 << chance.randrange(8)
        case 2:
            start = place()
            damaged[start : start + chance.randint(1, 4096)] = b""
        case 3:
            start, length = place(), chance.randint(1, 4096)
            damaged[start:start] = damaged[start : start + length]
        case 4:
            start = place()
            end = min(start + chance.randint(1, 4096), len(damaged))
            damaged[start:end] = bytes([chance.choice((0, 255))]) * (end - start)
        case 5:
            start = place()
            damaged[start : start + 4] = chance.choice((0, 1, 2**31 - 1, 2**32 - 1)).to_bytes(4)
    return bytes(damaged)


def look_at_all(clean: Path, seeds: Sequence[str], config: Config) -> Iterator[tuple[str, str]]:
    """One outcome and its reason per seed; runs in the child."""
    data = clean.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"damaged{clean.suffix}"
        for seed in seeds:
            path.write_bytes(mutate(data, seed))
            try:
                yield look_at(path, config)
            except Exception:  # noqa: BLE001 - it is what is looked for
                yield "bug", traceback.format_exc()


def look_at(path: Path, config: Config) -> tuple[str, str]:
    """What becomes of one damaged file; its windows must tile what was planned."""
    planned = probe_and_plan(source_of(path), config)
    if isinstance(planned, Failure):
        return "refused", planned.error
    num_failed = num_suspect = 0
    for shard in planned.shards:
        covered_ns = 0
        for item in decode_and_gate(shard, config):
            if isinstance(item, Window):
                covered_ns += item.plan.span.duration_ns
                num_suspect += item.num_suspect
            else:
                covered_ns += item.span.duration_ns
                num_failed += 1
        if covered_ns != sum(plan.span.duration_ns for plan in shard.windows):
            raise AssertionError("the windows do not add up to the plan")
    return ("partial" if num_failed else "suspect" if num_suspect else "whole"), ""


def fuzz(clean: Path, seeds: Sequence[str], config: Config) -> Iterator[tuple[str, str, str]]:
    """Seed, outcome and reason; a child that dies is replaced and goes on behind its last seed."""
    done = 0
    while done < len(seeds):
        try:
            for outcome, reason in in_child_process(look_at_all, clean, seeds[done:], config):
                yield seeds[done], outcome, reason
                done += 1
        except ProcessDiedError as exc:
            yield seeds[done], "hung" if "hung" in str(exc) else "crashed", str(exc)
            done += 1


def main() -> None:
    """Damage every kind of video and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=2000, help="of all files together")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--limit-s", type=float, default=30.0, help="for one packet")
    parser.add_argument("--only", help="a single mutation, by the seed that was printed")
    asked = parser.parse_args()
    limits = {"max_stall_s": asked.limit_s, "max_shard_s": 10 * asked.limit_s}
    config = Config.model_validate({"decode": limits, "sample": {"fps": 5}})
    per_file = -(-asked.mutations // len(RECIPES))
    total: Counter[str] = Counter()
    slowest, started_s = (0.0, ""), time.monotonic()
    print(f"{'':22}" + "".join(f"{outcome:>9}" for outcome in OUTCOMES))  # noqa: T201
    with tempfile.TemporaryDirectory() as folder:
        for name, recipe in RECIPES.items():
            clean = make_video(Path(folder) / name, recipe)
            seeds = [f"{asked.seed}/{name}/{number}" for number in range(per_file)]
            if asked.only:
                seeds = [seed for seed in seeds if seed == asked.only]
            counts: Counter[str] = Counter()
            former_s = time.monotonic()
            for seed, outcome, reason in fuzz(clean, seeds, config):
                counts[outcome] += 1
                slowest = max(slowest, (time.monotonic() - former_s, seed))
                former_s = time.monotonic()
                if outcome in BAD or asked.only:
                    print(f"{seed}: {outcome}\n{reason}", file=sys.stderr)  # noqa: T201
            print(f"{name:22}" + "".join(f"{counts[o]:9}" for o in OUTCOMES), flush=True)  # noqa: T201
            total += counts
    wall_s = time.monotonic() - started_s
    print(f"{'all':22}" + "".join(f"{total[o]:9}" for o in OUTCOMES))  # noqa: T201
    counted = {outcome: total[outcome] for outcome in OUTCOMES}
    times = {"wall_s": round(wall_s, 1), "slowest_s": round(slowest[0], 2), "slowest": slowest[1]}
    print(json.dumps({"mutations": total.total(), **counted, **times}))  # noqa: T201
    sys.exit(any(total[outcome] for outcome in BAD))


if __name__ == "__main__":
    # The child must find `look_at_all` by the name of this module, which is not "__main__".
    importlib.import_module("tests.hard.fuzz").main()
