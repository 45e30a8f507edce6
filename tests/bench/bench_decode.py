"""Decoding side by side in one run: ours, the ffmpeg tool, decord2, qwen-vl-utils, Ray's loop.

CPU seconds per hour of 1080p25, sampled at 1 fps into 768x448 RGB, one process per measurement.
The last line is one JSON object; what could not be measured is null. Ratios are the least over the
files they were measured on, more than 1 where timereel is faster.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.footage import Cut, make

FILES = {
    "H.264 B GOP 50": Cut(),
    "H.264 no B GOP 50": Cut(bframes=0, kilobits=4000),
    "H.264 B GOP 250": Cut(gop=250, kilobits=1000),
    "HEVC B GOP 250": Cut(codec="libx265", gop=250, kilobits=1000),
}
FIRST = next(iter(FILES))
OURS = ("exact", "within", "keyframe", "floor")
PEERS = ("pyav", "ffmpeg", "decord2")
# These take ten times as long, so on the first file alone.
SLOW_PEERS = ("qwen", "ray")
NEEDS = {
    "ffmpeg": ["ffmpeg"],
    "decord2": ["decord2"],
    "ray": ["decord"],
    "qwen": ["qwen", "decord"],
}
HOUR_S = 3600


def run(name: str, path: Path, peers: Path) -> dict[str, float] | None:
    """One measurement in a process of its own; None if its library is not at hand."""
    folders = [str(peers / folder) for folder in NEEDS.get(name, [])]
    here = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.decoders", name, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([here, *folders])},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["?"])[-1]
        if name not in NEEDS:
            raise SystemExit(f"{name} on {path}: {done.stderr}")
        print(f"{name} is left out: {last}", file=sys.stderr)
        return None
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def best(name: str, path: Path, given: argparse.Namespace) -> dict[str, float] | None:
    """The cheapest of several runs: what disturbs one only ever adds."""
    found = [run(name, path, given.peers) for _ in range(given.runs)]
    usable = [one for one in found if one is not None]
    return min(usable, key=lambda one: one["cpu_s"]) if usable else None


def compare(given: argparse.Namespace) -> dict[str, dict[str, dict[str, float] | None]]:
    """All measurements, by file and decoder."""
    found = {}
    for name, cut in FILES.items():
        path = make(given.out / f"{name.replace(' ', '-')}.mp4", cut, seconds=given.seconds)
        decoders = (*OURS, *PEERS, *(SLOW_PEERS if name == FIRST else ()))
        found[name] = {decoder: best(decoder, path, given) for decoder in decoders}
    return found


def show(found: dict[str, dict[str, dict[str, float] | None]], given: argparse.Namespace) -> None:
    """CPU seconds per hour, and what they go into."""
    per_hour = HOUR_S / given.seconds
    table = Table("CPU s per video hour", *found, title="1080p25, 1 fps, 768x448 RGB")
    for decoder in (*OURS, *PEERS, *SLOW_PEERS):
        row = []
        for measured in found.values():
            one, ours = measured.get(decoder), measured["exact"]
            if one is None or ours is None:
                row.append("-")
                continue
            ratio = f" {one['cpu_s'] / ours['cpu_s']:5.2f}x" if decoder != "exact" else " " * 7
            row.append(f"{one['cpu_s'] * per_hour:7.1f}{ratio} {one['rss_mb']:4.0f} MB")
        table.add_row(decoder, *row)
    Console(width=150).print(table)
    parts = Table(
        "exact, CPU s per hour", *found, title="What stands above the keyframe-only floor"
    )
    for label, part in {
        "reading the file and its index": lambda one, _: one["read"],
        "keyframes (the floor)": lambda _, floor: floor["cpu_s"],
        "grey pictures for the gate": lambda one, _: one["luma"],
        "colour pictures": lambda one, _: one["colour"] + one["rgb"],
        "frames between keyframes, and the rest": lambda one, floor: (
            one["cpu_s"] - one["read"] - one["luma"] - one["colour"] - one["rgb"] - floor["cpu_s"]
        ),
        "plan's prediction of decoding": lambda one, _: one["predicted"],
        "decoding as measured by the job": lambda one, _: one["decode"],
    }.items():
        parts.add_row(
            label,
            *(f"{part(one['exact'], one['floor']) * per_hour:.1f}" for one in found.values()),
        )
    Console(width=150).print(parts)


def gate(given: argparse.Namespace) -> dict[str, float]:
    """What the gate costs, and how many pictures of a quiet scene become RGB all the same."""
    path = make(given.out / "quiet.mp4", Cut(quiet=True, gop=250, kilobits=1000), seconds=120)
    one = best("gated", path, given)
    assert one
    share = one["gate"] / one["decode"]
    print(
        f"quiet footage: the gate takes {100 * share:.1f} % of decoding;"
        f" {one.get('num_rgb', 0):.0f} of {one['frames']:.0f} pictures became RGB"
    )
    return {"gate_share": share, "quiet_rgb_share": one.get("num_rgb", 0) / one["frames"]}


def memory(given: argparse.Namespace) -> dict[str, float]:
    """Peak of one decoder above its imports, for a short file and for a very long one."""
    cut = Cut(gop=250, kilobits=20)
    found = {}
    for name, seconds in (("5 min", 300), ("long", round(given.long_hours * HOUR_S))):
        path = make(given.out / f"memory-{seconds}.mp4", cut, seconds=seconds, once=10)
        planned = run("plan", path, given.peers)
        decoded = run("shard", path.with_suffix(".shard"), given.peers)
        assert planned
        assert decoded
        found[name] = decoded["rss_mb"]
        print(
            f"{seconds / HOUR_S:5.2f} h: decoder {decoded['rss_mb']:.0f} MB above imports,"
            f" probe and plan {planned['rss_mb']:.0f} MB, {planned['cpu_s']:.1f} CPU s"
        )
    return found


def least(
    found: dict[str, dict[str, dict[str, float] | None]], peer: str, names: list[str]
) -> float | None:
    """The smallest ratio of a peer to ours over some files."""
    ratios = [
        one["cpu_s"] / ours["cpu_s"]
        for name in names
        if (one := found[name].get(peer)) and (ours := found[name]["exact"])
    ]
    return round(min(ratios), 2) if ratios else None


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=Path("out/bench"))
    arguments.add_argument("--peers", type=Path, default=Path(".venv/peers"))
    arguments.add_argument("--seconds", type=int, default=120, help="length of each file")
    arguments.add_argument("--runs", type=int, default=2, help="the cheapest counts")
    arguments.add_argument("--long-hours", type=float, default=24)
    given = arguments.parse_args()
    found = compare(given)
    show(found, given)
    quiet = gate(given)
    peak_mb = memory(given)
    reordered = [name for name, cut in FILES.items() if cut.bframes]
    in_order = [name for name, cut in FILES.items() if not cut.bframes]
    hours = {
        f"{name}, {mode}": round(given.seconds / one["cpu_s"], 1)
        for name, measured in found.items()
        for mode in OURS
        if (one := measured[mode])
    }
    result = {
        "vs_ffmpeg": least(found, "ffmpeg", [*FILES]),
        "vs_decord2": least(found, "decord2", reordered),
        "vs_decord2_without_b": least(found, "decord2", in_order),
        "vs_qwen": least(found, "qwen", [FIRST]),
        "vs_ray": least(found, "ray", [FIRST]),
        "rss_mb": round(max(peak_mb.values()), 1),
        "hours_per_core_hour": hours,
        **{name: round(share, 4) for name, share in quiet.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
