"""CPU seconds of a minute of clip: smart, encoded as a whole, and copied.

python -m tests.bench.bench_clip VIDEO [START_S]
"""

import sys
import tempfile
import time
from pathlib import Path

from pipeline.config import DecodeConfig, SampleConfig
from pipeline.media import probe
from pipeline.media.clip import write_clip
from pipeline.records import Cut
from pipeline.timebase import TimeRange, seconds_to_ns
from tests.videos import source_of

LENGTH_S = 60


def main() -> None:
    path, start_s = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    video, _ = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    span = TimeRange(seconds_to_ns(start_s), seconds_to_ns(start_s + LENGTH_S))
    cut = Cut(video=video, media=span)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "clip.mp4"
        for name, how in (
            ("exact", {}),
            ("exact, with a caption", {"caption": lambda _video, _ns: "00:00:00"}),
            ("copy", {"mode": "copy"}),
        ):
            began_s = time.process_time()
            [shown] = write_clip(out, [cut], **how)
            sys.stdout.write(
                f"{name}: {time.process_time() - began_s:.2f} CPU s, {shown.num_frames} frames,"
                f" {shown.num_copied} copied, sound: {shown.has_sound}\n"
            )


if __name__ == "__main__":
    main()
