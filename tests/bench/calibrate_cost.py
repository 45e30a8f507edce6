"""Fits the constants of ``pipeline/plan/cost.py`` to this machine, and says how well they predict.

Run as ``python -m tests.bench.calibrate_cost [FILE ...]``; files named are only predicted, never
fitted. Prints a table and, last, one JSON object.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.config import DecodeConfig, FrameConfig, SampleConfig
from pipeline.media import decode_frames, probe
from pipeline.plan import cost, sampled_pts, shards
from tests.bench.footage import Cut, make
from tests.videos import source_of

SECONDS, ONCE = 8, 4
CUTS = {
    "360p, GOP 25": Cut(width=640, height=360, gop=25, kilobits=500),
    "360p, no B, GOP 100": Cut(width=640, height=360, gop=100, bframes=0, kilobits=1000),
    "720p, GOP 50": Cut(width=1280, height=720, kilobits=1000),
    "720p, no B, 3 Mb/s": Cut(width=1280, height=720, bframes=0, kilobits=3000),
    "1080p, GOP 100": Cut(gop=100, kilobits=1500),
    "360p, pans": Cut(width=640, height=360, gop=100, kilobits=800, pans=True),
    "720p, pans, no B": Cut(width=1280, height=720, bframes=0, kilobits=2500, pans=True),
    "HEVC 360p, pans": Cut(codec="libx265", width=640, height=360, kilobits=600, pans=True),
    "HEVC 360p": Cut(codec="libx265", width=640, height=360, kilobits=300),
    "HEVC 720p, GOP 100": Cut(codec="libx265", width=1280, height=720, gop=100, kilobits=800),
}
HELD_OUT = {
    "720p, GOP 100": Cut(width=1280, height=720, gop=100, kilobits=2000),
    "1080p, no B, 4 Mb/s": Cut(bframes=0, kilobits=4000),
    "HEVC 720p, no B": Cut(codec="libx265", width=1280, height=720, bframes=0, kilobits=1500),
}
SAMPLINGS = ((1.0, True), (1.0, False), (5.0, True))
TERMS = (
    "PACKET_S", "GOP_S", "SAMPLE_S", "LUMA_PIXEL_S", "RGB_SOURCE_PIXEL_S", "RGB_PIXEL_S",
    "h264 byte_s", "h264 pixel_s", "hevc byte_s", "hevc pixel_s", "other byte_s", "other pixel_s",
)  # fmt: skip


def measure(path: Path, fps: float, rgb: bool, *, seconds: float) -> tuple[list[float], float]:
    """The work of decoding a file in units of ``TERMS``, and the CPU seconds it took."""
    frame, sample = FrameConfig(), SampleConfig(fps=fps)
    video, packets = probe(source_of(path), sample=sample, decode=DecodeConfig())
    keep = np.flatnonzero(packets.shown_pts > packets.shown_pts[0] + seconds / video.time_base)
    targets = sampled_pts(video, packets, sample)
    if len(keep):
        targets = targets[targets < packets.shown_pts[keep[0]]]
        packets = shards.packets_for(packets, targets)
    gop_rows = shards._gop_rows(packets)
    work = cost.work_of(packets, gop_rows, targets)
    pixels = video.width * video.height
    decoded, num_bytes = work.decoded.sum() * pixels, work.decoded_bytes.sum()
    codec = video.codec if video.codec in cost.CODECS else "other"
    samples = len(targets)
    units = {
        "PACKET_S": len(packets),
        "GOP_S": (work.samples > 0).sum(),
        "SAMPLE_S": samples,
        "LUMA_PIXEL_S": samples * pixels,
        "RGB_SOURCE_PIXEL_S": samples * pixels * rgb,
        "RGB_PIXEL_S": samples * min(frame.rgb_max_pixels, pixels) * rgb,
        f"{codec} byte_s": num_bytes,
        f"{codec} pixel_s": decoded,
    }
    started = time.process_time()
    got = sum(1 for _ in decode_frames(video, packets, targets.tolist(), frame=frame, rgb=rgb))
    cpu_s = time.process_time() - started
    assert got
    return [float(units.get(term, 0)) for term in TERMS], cpu_s


def known() -> np.ndarray:
    """The constants as they stand in the code."""
    found = []
    for term in TERMS:
        name, _, field = term.partition(" ")
        codec = cost.CODECS.get(name, cost.OTHER_CODECS)
        found.append(getattr(codec, field) if field else getattr(cost, name))
    return np.array(found)


def fit(units: np.ndarray, cpu_s: np.ndarray) -> np.ndarray:
    """Constants with the least relative error; none negative, what was not measured is kept."""
    constants = known()
    used = np.flatnonzero(units.any(axis=0))
    weights = 1 / cpu_s
    pulled = 0.02 * len(cpu_s)  # towards the constants as they are, where the data say little
    while True:
        scaled = units[:, used] * constants[used] * weights[:, None]
        pull = np.eye(len(used)) * np.sqrt(pulled / len(used))
        ratio = np.linalg.lstsq(
            np.vstack([scaled, pull]),
            np.concatenate([np.ones(len(cpu_s)), pull.diagonal()]),
            rcond=None,
        )[0]
        if (ratio > 0).all():
            constants[used] *= ratio
            return constants
        constants[used[ratio <= 0]] = 0
        used = used[ratio > 0]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("files", nargs="*", type=Path)
    arguments.add_argument("--out", type=Path, default=Path("out/bench"))
    given = arguments.parse_args()
    rows = []
    for held_out, cuts in ((False, CUTS), (True, HELD_OUT)):
        for name, cut in cuts.items():
            file = given.out / f"cost-{name.replace(' ', '-').replace('/', '')}.mp4"
            path = make(file, cut, seconds=SECONDS, once=ONCE)
            rows += [(name, s, *measure(path, *s, seconds=60), held_out) for s in SAMPLINGS]
    for path in given.files:
        rows += [(path.name, s, *measure(path, *s, seconds=20), True) for s in SAMPLINGS]
    fitted = fit(
        np.array([units for *_, units, _, held_out in rows if not held_out]),
        np.array([cpu_s for *_, cpu_s, held_out in rows if not held_out]),
    )
    table = Table("file", "fps", "RGB", "CPU s", "by the code", "by the fit", "")
    off: dict[str, list[float]] = {"code": [], "fit": []}
    for name, (fps, rgb), units, cpu_s, held_out in rows:
        ratios = [float(np.dot(units, constants)) / cpu_s for constants in (known(), fitted)]
        for which, ratio in zip(off, ratios, strict=True):
            if held_out:
                off[which].append(ratio)
        table.add_row(
            name, f"{fps:g}", "yes" if rgb else "no", f"{cpu_s:.3f}",
            *(f"{100 * (ratio - 1):+.0f} %" for ratio in ratios), "held out" if held_out else "",
        )  # fmt: skip
    Console(width=120).print(table)
    for term, constant in zip(TERMS, fitted, strict=True):
        print(f"{term:20} {constant:.2e}")
    worst = {f"worst_{k}_pct": max(abs(100 * (r - 1)) for r in v) for k, v in off.items() if v}
    within = {
        f"within_25_pct_{k}": float(np.mean([abs(r - 1) <= 0.25 for r in v]))
        for k, v in off.items()
        if v
    }
    print(json.dumps({**worst, **within}))


if __name__ == "__main__":
    main()
