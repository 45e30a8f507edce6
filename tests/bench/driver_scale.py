"""What the driver needs for archives of a million files, without Ray: ``make bench-driver``.

``python -m tests.bench.driver_scale`` measures three parts, each in a process of its own, and
prints a line for each figure with what it is allowed, and last one JSON object:

* sharing: one camera's files that overlap their neighbours are shared out.
* known: a run over files that are all indexed. The listing itself is made before the clock
  starts, and its memory is given apart.
* planned: a run over new files of the same cameras, which come after those that are known. What
  stands for the tasks of Ray only hands over what they would send; its own time is taken off.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import pyarrow as pa

from pipeline.config import Config, load_config
from pipeline.flow.driver import archive as driver
from pipeline.flow.task.packed_shard import PackedShard
from pipeline.index import Writer
from pipeline.plan.overlap import resolve_overlaps
from pipeline.records import Source, Video, make_id
from pipeline.sources import SourceTable
from pipeline.tables.schema import VIDEOS
from pipeline.timebase import NS_PER_S, TimeRange, datetime_to_ns
from tests.bench.archive import Recordings, write
from tests.bench.driver_cost import max_rss_mb
from tests.made import a_video

ROOT = Path(__file__).parents[2]
SHARED, KNOWN, NEW = 16_000, 1_000_000, 100_000
SHARDS_PER_VIDEO = 15
ALLOWED = {
    "sharing_cpu_s": 0.3,
    "known_cpu_s": 10.0,
    "known_driver_mb": 500.0,
    "planned_cpu_ms_per_file": 1.0,
}


def sharing(num_files: int) -> dict[str, float]:
    """CPU seconds to share out files of 60 s that begin 50 s apart; the least of three."""
    videos = [
        a_video(
            video_id=make_id(number), uri=f"/archive/{number}.mp4", clock="path",
            start_ns=number * 50 * NS_PER_S, footage=(TimeRange(0, 60 * NS_PER_S),),
        )
        for number in range(num_files)
    ]  # fmt: skip
    taken_s = []
    for _ in range(3):
        began_s = time.process_time()
        shared = resolve_overlaps(videos, {})
        taken_s.append(time.process_time() - began_s)
        assert len(shared) == num_files - 1
    return {"sharing_cpu_s": round(min(taken_s), 3)}


def known(folder: str, num_files: int) -> dict[str, float]:
    """CPU seconds and memory of a run that finds nothing new, beyond its listing."""
    started_mb = max_rss_mb()
    sources = _listed(0, num_files)
    listed_mb = max_rss_mb()
    began_s = time.process_time()
    report = _run(sources, folder, Tasks())
    cpu_s = time.process_time() - began_s
    assert report.videos_skipped == num_files
    return {
        "known_cpu_s": round(cpu_s, 2),
        "known_driver_mb": max_rss_mb() - listed_mb,
        "known_listing_mb": listed_mb - started_mb,
        "known_imports_mb": started_mb,
    }


def planned(folder: str, first: int, num_files: int) -> dict[str, float]:
    """CPU milliseconds of the driver for each file that is new."""
    sources, tasks = _listed(first, first + num_files), Tasks()
    began_s = time.process_time()
    report = _run(sources, folder, tasks)
    cpu_s = time.process_time() - began_s - tasks.cpu_s
    assert tasks.num_probed == num_files
    assert not report.videos_skipped
    return {
        "planned_cpu_ms_per_file": round(1000 * cpu_s / num_files, 3),
        "planned_mb": max_rss_mb(),
    }


class Tasks:
    """What stands for the graphs, and the time that it takes itself."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self.num_probed = 0

    def probe(
        self, sources: Sequence[Source], _config: Config
    ) -> Iterator[tuple[Video, tuple[PackedShard, ...]]]:
        """Stands for ``graph.probe_graph``; every file is 72 minutes long."""
        for source in sources:
            began_s = time.process_time()
            probed = _probed(source)
            self.cpu_s += time.process_time() - began_s
            self.num_probed += 1
            yield probed

    def answer(self, _shards: Sequence[PackedShard], _config: Config) -> Iterator[object]:
        """Stands for ``graph.answer_graph``: nothing is answered, so nothing is committed."""
        return iter(())


def _probed(source: Source) -> tuple[Video, tuple[PackedShard, ...]]:
    assert source.start_ns is not None
    length_ns = 86_400 * NS_PER_S // 20
    video = a_video(
        video_id=make_id("new", source.uri), uri=source.uri, camera=source.camera, clock="path",
        num_bytes=source.num_bytes, start_ns=source.start_ns,
        footage=(TimeRange(0, length_ns),),
    )  # fmt: skip
    return video, tuple(
        PackedShard(
            shard_id=make_id(video.video_id, number), planned_ns=length_ns // SHARDS_PER_VIDEO,
            cost_s=30.0, packed=b"",
        )
        for number in range(SHARDS_PER_VIDEO)
    )  # fmt: skip


def _run(sources: Sequence[Source], folder: str, tasks: Tasks) -> driver.Report:
    with mock.patch.multiple(
        driver,
        running_ray=lambda *_: nullcontext(),
        probe_graph=tasks.probe,
        answer_graph=tasks.answer,
    ):
        return driver.index_archive(sources, _config(), folder, on_progress=lambda _report: None)


def _config() -> Config:
    return load_config(ROOT / "configs" / "surveillance.yaml")


def _rows(first: int, last: int) -> pa.Table:
    return Recordings(first=first, last=last).videos()


def _listed(first: int, last: int) -> SourceTable:
    """The files as a listing gives them: by camera and start."""
    found = (
        Source(
            uri=row["uri"], num_bytes=row["num_bytes"], etag="", camera=row["camera"],
            start_ns=datetime_to_ns(row["clock_start"]), clock="path",
        )
        for begin in range(first, last, Recordings.PER_DAY)
        for row in _rows(begin, min(begin + Recordings.PER_DAY, last))
        .select(["uri", "num_bytes", "camera", "clock_start"])
        .to_pylist()
    )  # fmt: skip
    listed = SourceTable.of(found)
    listed.sort()
    return listed


def make_index(folder: str, num_files: int) -> None:
    """An index of videos that are done, a commit a day, as the configuration would make them."""
    writer, config = Writer(folder), _config()
    for first in range(0, num_files, Recordings.PER_DAY):
        rows = _rows(first, min(first + Recordings.PER_DAY, num_files))
        for name, value in (("task", config.task.name), ("fingerprint", config.fingerprint)):
            column = pa.repeat(pa.scalar(value), rows.num_rows)
            rows = rows.set_column(VIDEOS.get_field_index(name), VIDEOS.field(name), column)
        write(writer.store, "videos", rows)


def main() -> None:
    """Each part in a new process, so that its memory is its own."""
    options = argparse.ArgumentParser()
    options.add_argument("--part", choices=["sharing", "make", "known", "planned"])
    options.add_argument("--index")
    asked = options.parse_args()
    match asked.part:
        case "sharing":
            print(json.dumps(sharing(SHARED)))  # noqa: T201
        case "make":
            make_index(asked.index, KNOWN)
        case "known":
            print(json.dumps(known(asked.index, KNOWN)))  # noqa: T201
        case "planned":
            print(json.dumps(planned(asked.index, KNOWN, NEW)))  # noqa: T201
        case None:
            _measure_all()


def _measure_all() -> None:
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for part in ("sharing", "make", "known", "planned"):
            command = [sys.executable, "-m", "tests.bench.driver_scale", "--part", part]
            said = subprocess.run(
                [*command, "--index", folder], stdout=subprocess.PIPE, text=True, check=True
            ).stdout
            figures: dict[str, float] = json.loads(said) if said else {}
            found |= figures
            for name, figure in figures.items():
                print(_line(name, figure), flush=True)  # noqa: T201
    print(json.dumps(found))  # noqa: T201


def _line(name: str, figure: float) -> str:
    allowed = ALLOWED.get(name)
    told = "" if allowed is None else f"  of {allowed:g}, {figure / allowed:.2f} times that"
    return f"{name:26} {figure:>10,.3f}{told}"


if __name__ == "__main__":
    main()
