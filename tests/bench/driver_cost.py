"""What the driver itself needs per window: booking, parsing, stitching and committing, without Ray.

``python -m tests.bench.driver_cost NUM_WINDOWS``, one process per measurement; prints JSON. The
graphs are replaced by generators that hand over what tasks would send; everything else is real.
``--quiet`` answers nothing, ``--uneven`` has frames at times like those of a network camera, and
``--joined 15`` shows what it would bring to keep so many quiet windows as one row.
"""

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

from pipeline.config import Config, load_config
from pipeline.flow.driver import archive as driver
from pipeline.flow.task.packed_shard import PackedShard
from pipeline.index.maintain import compact
from pipeline.index.store import Store
from pipeline.records import Source, Video, WindowResult, make_id
from pipeline.timebase import NS_PER_S, TimeRange
from tests.made import a_video

WINDOW_NS = 16 * NS_PER_S
WINDOWS_PER_SHARD = 15
WINDOWS_PER_VIDEO = 225
"""An hour."""
NUM_CAMERAS = 50
PARCEL_BYTES = 1000 * WINDOWS_PER_SHARD
TICKS_PER_S, TICKS_PER_FRAME = 90_000, 45_000
UNEVEN_TICKS = 6000
"""A frame of 15 per second."""
_EVENT = {"label": "person_enters", "start": 1.0, "end": 7.5}
_TEXT = "A person in a red jacket walks from the left door to the gate and stops there."
ANSWER = json.dumps({"events": [{"text": _TEXT, **_EVENT}], "summary": _TEXT * 2})
MARKERS = tuple(f"<{second}.2 seconds>" for second in range(16))


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Hour-long videos, known by their number."""

    num_videos: int
    is_quiet: bool = False
    is_uneven: bool = False
    joined: int = 1
    _shards: dict[str, tuple[str, int]] = field(default_factory=dict)
    _chance: random.Random = field(default_factory=lambda: random.Random(1))

    def sources(self) -> list[Source]:
        """One per video; the etag is its number."""
        return [
            Source(
                uri=f"/archive/{number}.mp4", num_bytes=10**9, etag=str(number),
                camera=f"cam{number % NUM_CAMERAS}", start_ns=None, clock="path",
            )
            for number in range(self.num_videos)
        ]  # fmt: skip

    def probe_graph(
        self, sources: Sequence[Source], _config: Config
    ) -> Iterator[tuple[Video, tuple[PackedShard, ...]]]:
        """Stands for ``graph.probe_graph``."""
        for source in sources:
            number = int(source.etag)
            hour = number // NUM_CAMERAS
            video = a_video(
                video_id=make_id("v", number), uri=source.uri, camera=source.camera, clock="path",
                start_ns=(1_700_000_000 + hour * 3600) * NS_PER_S,
                footage=(TimeRange(0, WINDOWS_PER_VIDEO * WINDOW_NS),),
                time_base=Fraction(1, TICKS_PER_S),
            )  # fmt: skip
            shards = []
            for first in range(0, WINDOWS_PER_VIDEO, WINDOWS_PER_SHARD):
                shard_id = make_id(video.video_id, first)
                self._shards[shard_id] = (video.video_id, first)
                shards.append(
                    PackedShard(
                        shard_id=shard_id, planned_ns=WINDOWS_PER_SHARD * WINDOW_NS, cost_s=30.0,
                        packed=os.urandom(PARCEL_BYTES),
                    )
                )  # fmt: skip
            yield video, tuple(shards)

    def answer_graph(self, shards: Sequence[PackedShard], _config: Config) -> Iterator[Any]:
        """Stands for ``graph.answer_graph``; like it, it keeps no shard on the driver."""
        ids = [shard.shard_id for shard in shards]
        return (result for shard_id in ids for result in self._results(shard_id))

    def _results(self, shard_id: str) -> Iterator[WindowResult]:
        video_id, first = self._shards.pop(shard_id)
        for number in range(first, first + WINDOWS_PER_SHARD, self.joined):
            span = TimeRange(number * WINDOW_NS, (number + self.joined) * WINDOW_NS)
            first_pts, end_pts = (
                ns * TICKS_PER_S // NS_PER_S for ns in (span.start_ns, span.end_ns)
            )
            shown = {
                "window_id": make_id(video_id, number), "shard_id": shard_id, "video_id": video_id,
                "span": span, "decode_cpu_s": self._chance.random(),
                "frame_pts": tuple(map(self._moved, range(first_pts, end_pts, TICKS_PER_FRAME))),
            }  # fmt: skip
            yield _quiet(**shown) if self.is_quiet else _answered(**shown)

    def _moved(self, pts: int) -> int:
        return pts + self._chance.randrange(UNEVEN_TICKS) if self.is_uneven else pts


def _quiet(**shown: Any) -> WindowResult:
    return WindowResult(status="quiet", quiet_reason="nothing changes", **shown)


def _answered(**shown: Any) -> WindowResult:
    return WindowResult(
        status="analysed",
        # New objects, as they come out of a pickle.
        text=bytes(ANSWER, "ascii").decode(), finish_reason="stop",
        markers=tuple(marker[:1] + marker[1:] for marker in MARKERS),
        num_prompt_tokens=5900, num_output_tokens=140, engine_s=0.3, **shown,
    )  # fmt: skip


def main(archive: Archive) -> dict[str, float]:
    """CPU seconds and peak memory of a whole run of the driver, and what its rows take then."""
    config = load_config(Path(__file__).parents[2] / "configs" / "surveillance.yaml")
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(driver, "probe_graph", archive.probe_graph),
        mock.patch.object(driver, "answer_graph", archive.answer_graph),
        mock.patch.object(driver, "running_ray", return_value=nullcontext()),
    ):
        began_s = time.process_time()
        report = driver.index_archive(
            archive.sources(), config, folder, on_progress=lambda _report: None
        )
        cpu_s, rss_mb = time.process_time() - began_s, max_rss_mb()
        store = Store.at(folder)
        compact(store, min_age=timedelta(0))
        row_bytes = sum(
            store.handle("windows").get_add_actions(flatten=True)["size_bytes"].to_pylist()
        )
    windows = archive.num_videos * WINDOWS_PER_VIDEO
    return {
        "windows": windows,
        "videos": report.videos_done,
        "cpu_s": round(cpu_s, 1),
        "cpu_ms_per_window": round(1000 * cpu_s / windows, 3),
        "max_rss_mb": rss_mb,
        "compacted_bytes_per_window": round(row_bytes / windows),
    }


def max_rss_mb() -> int:
    """Of this program alone; ``ru_maxrss`` begins with what the process held that started it."""
    status = Path("/proc/self/status").read_text()
    [kb] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(kb) // 1024


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("num_windows", type=int)
    arguments.add_argument("--quiet", action="store_true")
    arguments.add_argument("--uneven", action="store_true")
    arguments.add_argument("--joined", type=int, default=1)
    asked = arguments.parse_args()
    made = Archive(
        num_videos=-(-asked.num_windows // WINDOWS_PER_VIDEO), is_quiet=asked.quiet,
        is_uneven=asked.uneven, joined=asked.joined,
    )  # fmt: skip
    print(json.dumps(main(made)))  # noqa: T201
