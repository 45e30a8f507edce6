"""CPU seconds of a minute of clip: smart, encoded as a whole, and copied.

    python -m tests.bench.bench_clip VIDEO [START_S]

The borders of a smart cut lie in two groups of pictures, which have to be decoded and encoded; what
two such groups cost alone is measured as well, to tell it from the cost of all that lies between.
"""

import sys
import tempfile
import time
from bisect import bisect_right
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
    video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    span = TimeRange(seconds_to_ns(start_s), seconds_to_ns(start_s + LENGTH_S))
    cut = Cut(video=video, media=span)
    keys_ns = [video.media_ns(int(pts)) for pts in packets.pts[packets.keyframe]]
    first = bisect_right(keys_ns, span.start_ns)
    # From the middle of one group to that of the next, so that no group can be copied.
    two = [
        Cut(video=video, media=TimeRange((before + key) // 2, (key + after) // 2))
        for before, key, after in zip(
            keys_ns[first:], keys_ns[first + 1 :], keys_ns[first + 2 :], strict=False
        )
    ][:2]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "clip.mp4"
        for name, cuts, how in (
            ("exact", [cut], {}),
            ("exact, with a caption", [cut], {"caption": lambda _video, _ns: "00:00:00"}),
            ("copy", [cut], {"mode": "copy"}),
            ("two groups of pictures", two, {}),
        ):
            began_s = time.process_time()
            shown = write_clip(out, cuts, **how)
            took_s = time.process_time() - began_s
            sys.stdout.write(
                f"{name}: {took_s:.2f} CPU s, {sum(one.num_frames for one in shown)} frames,"
                f" {sum(one.num_copied for one in shown)} copied, sound: {shown[0].has_sound}\n"
            )


if __name__ == "__main__":
    main()
