"""What the detector finds, through files, decoding and the index, and how fast; without Ray.

    make bench-eye CLIP=vtest.avi TRUTH=gt.txt EMPTY='talk_1.mp4 screen_1.webm'

* ``CLIP`` and ``TRUTH``: a clip and its persons in the form of MOTChallenge: AP50 and tracks.
* ``EMPTY``: footage without anybody; each person in it is invented.
* The shipped clip: its six visits, and the speed on footage that moves a tenth of the time. That
  is made of its first empty seconds, again and again, and of its beginning.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from pipeline.config import Config, load_config
from pipeline.engine.detector import DetectorEngineConfig
from pipeline.engine.detector.decoding import overlaps
from pipeline.engine.detector.follow import follow
from pipeline.engine.detector.network import Found, Network, open_network
from pipeline.evaluation.tracks import score_tracks
from pipeline.flow.driver.archive import index_archive
from pipeline.index import Index, open_index
from pipeline.records import Source
from pipeline.sources import list_sources
from pipeline.timebase import NS_PER_S, seconds_to_ns
from tests.bench.bench_cascade import TRUTH
from tests.conftest import LOBBY, ROOT
from tests.hard.without_ray import leave_out_ray

CONFIG = ROOT / "configs" / "cameras-cpu.yaml"
_EMPTY_S, _BUSY_SHARE = 5.0, 0.1
_RIGHT = 0.5
"""Intersection over union from which a box is right."""

Boxes: TypeAlias = dict[int, list[tuple[float, ...]]]
"""By the number of the frame: x0, y0, x1, y1, and of found boxes the confidence."""


def indexed(path: Path, folder: Path, *settings: str) -> tuple[Index, float]:
    """The index of one recording, and the CPU seconds that it took."""
    model = f"engine.model={ROOT / 'models' / 'nanodet-g'}"
    config = load_config(CONFIG, (model, "evidence.pictures=false", *settings))
    before = time.process_time()
    index_archive(_sources(path, config), config, str(folder), on_progress=lambda _: None)
    return open_index(str(folder)), time.process_time() - before


def _sources(path: Path, config: Config) -> list[Source]:
    return list_sources([str(path)], config.sources.naming([str(path)]))


def persons(index: Index) -> list[dict[str, Any]]:
    """The persons of an index, with the second of the file of each box."""
    [video] = index.sql("SELECT start FROM videos").to_pylist()
    rows = index.sql("SELECT * FROM events WHERE label = 'person' ORDER BY start").to_pylist()
    for row in rows:
        for box in row["boxes"]:
            box["second"] = (box["at"] - video["start"]).total_seconds()
    return rows


def true_boxes(path: Path) -> Boxes:
    """The boxes of a file of MOTChallenge that count; its frames begin at 1."""
    boxes: Boxes = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        frame, _, left, top, width, height, counts = map(float, line.split(",")[:7])
        if counts:
            boxes[int(frame) - 1].append((left, top, left + width, top + height))
    return boxes


def average_precision(truth: Boxes, found: Boxes) -> float:
    """AP50 over all points; the boxes of a frame, the surest first, take the free ones they fit."""
    rated = [one for frame, boxes in found.items() for one in ranked(truth.get(frame, []), boxes)]
    rated.sort(key=lambda one: -one[0])
    right: npt.NDArray[np.float64] = np.cumsum([is_right for _, is_right in rated], dtype=float)
    precision = np.maximum.accumulate((right / np.arange(1, len(right) + 1))[::-1])[::-1]
    recall = right / sum(map(len, truth.values()))
    return float(np.sum(np.diff(recall, prepend=0) * precision))


def ranked(
    truth: Sequence[tuple[float, ...]], boxes: Sequence[tuple[float, ...]]
) -> Iterator[tuple[float, bool]]:
    """The confidence of each box of a frame, and whether it is right."""
    known = np.array(truth, np.float32).reshape(-1, 4)
    free = np.ones(len(known), np.bool_)
    for *box, confidence in sorted(boxes, key=lambda one: -one[4]):
        shared = np.where(free, overlaps(np.array([box], np.float32), known)[0], 0)
        is_right = bool(shared.max(initial=0) >= _RIGHT)
        if is_right:
            free[shared.argmax()] = False
        yield confidence, is_right


def clip_figures(clip: Path, truth: Path, folder: Path) -> dict[str, Any]:
    """AP50 of the persons when every frame is looked at at its full size."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        rate, num_frames = float(stream.average_rate or 0), stream.frames
        settings = (f"engine.fps={rate}", f"sample.fps={rate}", "gate.kind=none",
                    f"frame.rgb_max_pixels={stream.width * stream.height}")  # fmt: skip
    index, cpu_s = indexed(clip, folder, *settings)
    seen = {frame: boxes for frame, boxes in true_boxes(truth).items() if frame < num_frames}
    by_event, by_box = _boxes_of_events(index, rate), _boxes_of_answers(index, rate)
    return {
        "true boxes": sum(map(len, seen.values())),
        "found boxes": sum(map(len, by_event.values())),
        "AP50, ranked by the confidence of events": round(average_precision(seen, by_event), 3),
        "AP50, ranked by the score of boxes": round(average_precision(seen, by_box), 3),
        "cpu_s": round(cpu_s, 1),
    }


def _boxes_of_events(index: Index, rate: float) -> Boxes:
    """The table ``events``: all boxes of an event have its confidence."""
    found: Boxes = defaultdict(list)
    for row in persons(index):
        for box in row["boxes"]:
            sides = (box["x0"], box["y0"], box["x1"], box["y1"])
            found[round(box["second"] * rate)].append((*sides, row["confidence"]))
    return found


def _boxes_of_answers(index: Index, rate: float) -> Boxes:
    """The table ``windows``: each box has its own score."""
    found: Boxes = defaultdict(list)
    for window in index.sql("SELECT media_start, completion FROM windows").to_pylist():
        for event in json.loads(window["completion"] or '{"events": []}')["events"]:
            for second, *sides, score in (
                event.get("boxes", ()) if event["label"] == "person" else ()
            ):
                found[round((window["media_start"] + second) * rate)].append((*sides, score))
    return found


def track_figures(clip: Path, truth: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Scores of the persons' tracks at few pictures a second: the network and what follows them.

    Who is taken for whom hangs by a thread where two people cross, so the figures are means over
    every picture of the clip that the first look may be at.
    """
    network = open_network(str(ROOT / "models" / "nanodet-g"), ["person"], threads=1)
    with av.open(str(clip)) as container:
        rate = round(container.streams.video[0].average_rate or 0)
        found = [
            next(network.find([frame.to_ndarray(format="rgb24")], (frame.width, frame.height)))
            for frame in container.decode(video=0)
        ]
    lines = [(int(line.split(",")[0]) - 1, line) for line in truth.read_text("utf-8").splitlines()]
    files, figures = (folder / "true.txt", folder / "found.txt"), {}
    for fps in (5, 2):
        scores = []
        for first in range(rate // fps):
            looks = range(first, len(found), rate // fps)
            files[0].write_text("\n".join(line for number, line in lines if number in looks))
            files[1].write_text("\n".join(_followed(found, looks, network, rate)))
            scores.append(score_tracks(*files))
        means = {name: fmean(one[name] or 0 for one in scores) for name in _OF_TRACKS}
        least, most = (pick(one["idf1"] or 0 for one in scores) for pick in (min, max))
        means |= {"least idf1": least, "greatest idf1": most}
        figures[f"{fps} fps"] = {name: round(value, 3) for name, value in means.items()}
    return figures


_OF_TRACKS = ("idf1", "mota", "hota", "num_switches", "num_false_positives", "num_misses")


def _followed(
    found: Sequence[Mapping[str, Found]], looks: range, network: Network, rate: int
) -> Iterator[str]:
    """The tracks through these pictures, in the form of MOTChallenge."""
    defaults = DetectorEngineConfig()
    seen = [(number * NS_PER_S // rate, found[number]) for number in looks]
    gap_ns = seconds_to_ns(defaults.gap_s)
    for track, one in enumerate(follow((), seen, network.labels, gap_ns=gap_ns), start=1):
        if one.was_sure and one.num_looks >= defaults.min_looks:
            for sight in one.sights:
                x0, y0, x1, y1 = sight.box.tolist()
                frame = round(sight.at_ns * rate / NS_PER_S) + 1
                yield f"{frame},{track},{x0},{y0},{x1 - x0},{y1 - y0},1"


def visit_figures(folder: Path) -> dict[str, Any]:
    """The visits of the shipped clip: how late each starts, and how early it ends."""
    truth = json.loads(TRUTH.read_text(encoding="utf-8"))["sv_one_by_one_person.mp4"]
    index, cpu_s = indexed(LOBBY, folder)
    rows = persons(index)
    pairs = list(zip(rows, truth, strict=False))
    starts_late = [round(row["media_start"] - start, 2) for row, (start, _) in pairs]
    ends_early = [round(end - row["media_end"], 2) for row, (_, end) in pairs]
    return {
        "visits": len(rows),
        "starts late, s": str(starts_late),
        "ends early, s": str(ends_early),
        "confidence": str([round(row["confidence"], 2) for row in rows]),
        "cpu_s": round(cpu_s, 1),
    }


def _dark(picture: Image.Image) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 3, (picture.height, picture.width, 3))
    return Image.fromarray((np.asarray(picture) / 8 + noise).clip(0, 255).astype(np.uint8))


def _rain(picture: Image.Image) -> Image.Image:
    drawn = picture.copy()
    pen = ImageDraw.Draw(drawn, "RGBA")
    size = (picture.width, picture.height)
    for x, y in np.random.default_rng(0).uniform(0, size, (800, 2)):
        pen.line([x, y, x + 3, y + 25], fill=(220, 220, 230, 130))
    return drawn.filter(ImageFilter.GaussianBlur(1))


CONDITIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda picture: picture,
    "half the size": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "a quarter of the size": lambda picture: picture.resize(
        (picture.width // 4, picture.height // 4)
    ),
    "grey, as by infrared": lambda picture: picture.convert("L").convert("RGB"),
    "an eighth of the light, with noise": _dark,
    "drawn rain, a little out of focus": _rain,
}


def condition_figures(clip: Path, truth: Path) -> dict[str, str]:
    """AP50, precision and recall of the network alone, on every fifth picture made worse."""
    network = open_network(str(ROOT / "models" / "nanodet-g"), ["person"], threads=1)
    known = true_boxes(truth)
    seen, found = {}, {name: defaultdict(list) for name in CONDITIONS}
    with av.open(str(clip)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % 5:
                continue
            seen[number] = known.get(number, [])
            for name, worse in CONDITIONS.items():
                picture = np.asarray(worse(frame.to_image()))
                [shown] = network.find([picture], (frame.width, frame.height))
                boxes, scores = shown["person"].boxes, shown["person"].scores
                found[name][number] = [(*b, s) for b, s in zip(boxes, scores, strict=True)]
    return {
        name: f"AP50 {average_precision(seen, one):.2f}, {_believed(seen, one)}"
        for name, one in found.items()
    }


def _believed(truth: Boxes, found: Boxes) -> str:
    sure = {at: [box for box in boxes if box[4] >= 0.5] for at, boxes in found.items()}
    right = sum(_num_right(truth[at], boxes) for at, boxes in sure.items())
    num, num_true = (sum(map(len, boxes.values())) for boxes in (sure, truth))
    return f"of those believed {right / max(num, 1):.2f} right, {right / num_true:.2f} of all found"


def _num_right(truth: list[tuple[float, ...]], boxes: list[tuple[float, ...]]) -> int:
    return sum(is_right for _, is_right in ranked(truth, boxes))


def invented(paths: list[Path], folder: Path) -> dict[str, Any]:
    """The persons in footage without anybody, and how long that is."""
    total_s, found = 0.0, []
    for number, path in enumerate(paths):
        index, _ = indexed(path, folder / str(number))
        total_s += index.sql("SELECT sum(video_s) AS s FROM videos")["s"][0].as_py() or 0.0
        found += [
            {"file": path.name, "start": row["media_start"], "end": row["media_end"],
             "confidence": round(row["confidence"], 2), "box": _rounded(row["boxes"][0])}
            for row in persons(index)
        ]  # fmt: skip
    return {"minutes": round(total_s / 60, 1), "persons": found}


def _rounded(box: dict[str, Any]) -> list[int]:
    return [round(box[side]) for side in ("x0", "y0", "x1", "y1")]


def speed_figures(folder: Path, minutes: float) -> dict[str, Any]:
    """How much faster than real time a core is at two pictures a second, with and without gate."""
    path = folder / "camera.mp4"
    write_mostly_empty(path, minutes)
    figures = {}
    for gate, fps in (("motion", 2), ("motion", 10), ("none", 2)):
        settings = (f"gate.kind={gate}", f"sample.fps={fps}")
        _, cpu_s = indexed(path, folder / f"{gate}{fps}", *settings)
        figures[f"gate {gate}, sampled at {fps} fps"] = round(minutes * 60 / cpu_s, 1)
    return figures


def write_mostly_empty(path: Path, minutes: float) -> None:
    """Copy the clip's first empty seconds until they fill the time, then its first minute."""
    with av.open(str(LOBBY)) as source, av.open(str(path), "w") as written:
        stream = source.streams.video[0]
        out = written.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
        keys = [i for i, packet in enumerate(packets) if packet.is_keyframe]
        assert stream.time_base
        busy_s = minutes * 60 * _BUSY_SHARE
        limits = [round(seconds / stream.time_base) for seconds in (_EMPTY_S, busy_s)]
        empty, busy = (
            packets[: max(k for k in keys if packets[k].pts <= limit)] for limit in limits
        )
        step = min(b.dts - a.dts for a, b in pairwise(packets))
        rounds = round((minutes * 60 - busy_s) / (len(empty) * step * stream.time_base))
        at = 0
        for part in [*[empty] * rounds, busy]:
            first = part[0].dts
            for packet in part:
                copied = av.Packet(bytes(packet))
                copied.stream, copied.time_base = out, stream.time_base
                copied.is_keyframe = packet.is_keyframe
                copied.dts, copied.pts = (t - first + at for t in (packet.dts, packet.pts))
                written.mux(copied)
            at += len(part) * step


def main() -> None:
    """Measure what is asked for, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--empty", type=Path, nargs="*", default=[])
    parser.add_argument("--minutes", type=float, default=5.0, help="of the speed test; 0 for none")
    args = parser.parse_args()
    leave_out_ray()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = {
            "visits": lambda: visit_figures(folder / "visits"),
            "clip": lambda: clip_figures(args.clip, args.truth, folder / "clip"),
            "tracks": lambda: track_figures(args.clip, args.truth, folder),
            "worse pictures": lambda: condition_figures(args.clip, args.truth),
            "invented": lambda: invented(args.empty, folder / "empty"),
            "times real time per core": lambda: speed_figures(folder, args.minutes),
        }
        has_truth = args.clip and args.truth
        asked = (True, has_truth, has_truth, has_truth, args.empty, args.minutes)
        for (part, measure), is_asked in zip(parts.items(), asked, strict=True):
            if is_asked:
                json.dump({part: measure()}, sys.stdout, indent=1)
                sys.stdout.write("\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
