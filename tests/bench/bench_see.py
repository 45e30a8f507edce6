"""CPU time of what a timeline page asks of a large index, and of the first picture of a clip.

    make bench-see                # 20 million events; building them takes ten CPU minutes, 6 GB
    make bench-see ROWS=2000000   # a quick look

CPU time counts all threads, and is the median of repeats; the first view also makes the rollup.
Answers are asked over HTTP, so that their time has the server's and a small client's part as well.
The bytes are those that a browser receives, packed by gzip. The clip is what the player asks for
where the browser cannot play HEVC itself: ten seconds of 1080p at 25 frames a second.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import av
import httpx
import numpy as np

import pipeline.index as pi
from pipeline.config import DecodeConfig, SampleConfig
from pipeline.media import probe
from pipeline.media.player_clip import clip, frames_in
from pipeline.plan import packets_for
from pipeline.see.isolation import Children
from pipeline.timebase import NS_PER_S, TimeRange
from tests.bench.archive import FIRST_DAY, Archive
from tests.bench.bench_index import build
from tests.page_server import page_bytes, received_bytes, served
from tests.videos import source_of

_LANES = [f"cam{i:04}" for i in range(100, 124)]


def cpu_ms(ask: Callable[[], object], rounds: int) -> float:
    """The median CPU time of a question."""
    took = []
    for _ in range(rounds):
        before = time.process_time()
        ask()
        took.append((time.process_time() - before) * 1000)
    return round(statistics.median(took), 1)


def answers(address: str, day: datetime, rounds: int) -> dict[str, dict[str, float]]:
    """CPU time and bytes of what the page asks first: a day's list, and its lanes."""
    span = {"start": day.isoformat(), "end": (day + timedelta(days=1)).isoformat()}
    urls = {
        "day, a list of 60 events": httpx.URL(f"{address}/api/v1/events", params=span),
        "day, 24 lanes with coverage": httpx.URL(
            f"{address}/api/v1/lanes", params=span | {"camera": _LANES, "bins": 400}
        ),
    }
    with httpx.Client(timeout=300) as client:
        return {
            name: {
                "cpu_ms": cpu_ms(lambda url=url: received_bytes(client, url), rounds),
                "bytes": received_bytes(client, url),
            }
            for name, url in urls.items()
        }


def hevc_clip(folder: Path) -> dict[str, float]:
    """CPU time until the player has its first picture; wall time in a process of its own."""
    path = moving_hevc(folder / "hevc.mp4")
    video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    shown = frames_in(video, packets, TimeRange(5 * NS_PER_S // 2, 25 * NS_PER_S // 2)).tolist()
    asked = (video, packets_for(packets, shown), shown)
    cpu_s = time.process_time()
    pieces = clip(*asked)
    first = until_a_picture(pieces)
    first_cpu_s = time.process_time() - cpu_s
    num_bytes = len(first) + sum(len(piece) for piece in pieces)
    cpu_s, began_s = time.process_time() - cpu_s, time.monotonic()
    pieces = Children(1).run(clip, *asked)
    until_a_picture(pieces)
    first_s = time.monotonic() - began_s
    pieces.close()
    figures = {"first_picture_cpu_s": first_cpu_s, "first_picture_s": first_s, "cpu_s": cpu_s}
    return {name: round(value, 2) for name, value in figures.items()} | {"bytes": num_bytes}


def until_a_picture(pieces: Iterator[bytes]) -> bytes:
    """What comes until the first frame is there."""
    received = b""
    while b"mdat" not in received:
        received += next(pieces)
    return received


def moving_hevc(path: Path) -> Path:
    """Fourteen seconds of 1080p in which every block moves."""
    blocks = np.random.default_rng(1).integers(0, 255, (68, 120, 3), dtype=np.uint8)
    picture = np.kron(blocks, np.ones((16, 16, 1), dtype=np.uint8))[:1080]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.options = {"preset": "ultrafast", "x265-params": "keyint=50:log-level=none"}
        for number in range(350):
            moved = np.ascontiguousarray(np.roll(picture, 4 * number, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        container.mux(stream.encode())
    return path


def main() -> None:
    """Build what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=20_000_000, help="events")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, default=Path("out/bench"))
    args = parser.parse_args()
    index = pi.open(build(Archive(events=args.rows, days=args.days), args.folder.absolute()))
    start, end = FIRST_DAY, FIRST_DAY + timedelta(days=args.days)
    day = FIRST_DAY + timedelta(days=args.days // 2)
    month, after = day + timedelta(days=30), day + timedelta(days=1)
    size = {"max_bins": 400, "max_labels": 3}

    def lanes(until: object, since: object = day) -> Callable[[], object]:
        return lambda: pi.density(index, since, until, camera=_LANES, **size)

    questions = {
        "first view": (lambda: pi.density(index, start, end, by_camera=False, **size), 1),
        "year, all cameras": (
            lambda: pi.density(index, start, end, by_camera=False, **size),
            args.rounds,
        ),
        "year, 24 lanes": (lanes(end, start), args.rounds),
        "month, 24 lanes": (lanes(month), args.rounds),
        "day, 24 lanes": (lanes(after), args.rounds),
        "day, coverage of 24 lanes": (
            lambda: pi.coverage_lanes(index, day, after, max_bins=400, camera=_LANES),
            args.rounds,
        ),
    }
    figures = {name: cpu_ms(ask, rounds) for name, (ask, rounds) in questions.items()}
    with served(index.store.root) as (address, _):
        found = {"rows": args.rows, "cpu_ms": figures, "page_bytes": page_bytes(address)}
        found["answers"] = answers(address, day, args.rounds)
    with tempfile.TemporaryDirectory() as folder:
        found["ten seconds of 1080p HEVC"] = hevc_clip(Path(folder))
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
