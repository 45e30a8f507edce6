"""``python -m tests.golden.make``: the golden index of this version, once per schema version.

A golden index is never made again: it stands for what users have on disk.
"""

from pathlib import Path

import pipeline.index as pi
from pipeline.tables.schema import SCHEMA_VERSION
from tests.index_rows import at, event, rows, segment, video, window

FOLDER = Path(__file__).parent / f"v{SCHEMA_VERSION}"


def write_golden(folder: Path) -> None:
    """One video of every status, with an event that runs through two of them."""
    writer = pi.Writer(folder)
    shard = (
        window("shard", 0, 0, 300, completion="{}", frame_pts=[0, 90000], frame_s=[0.0, 1.0]),
        window("shard", 1, 300, 600, status="quiet"),
        window("shard", 2, 600, 900, status="failed", error="damaged", video_id="v2"),
    )
    writer.write_windows(rows("windows", *shard))
    parts = [
        {"video_id": name, "uri": f"{name}.mp4", "start": at(start), "end": at(end)}
        | {"media_start": 0.0, "media_end": 1.0}
        for name, start, end in (("v1", 590, 600), ("v2", 600, 610))
    ]
    box = {"at": at(595), "x0": 1.0, "y0": 2.0, "x1": 3.0, "y1": 4.0}
    said = {"text": "一个人 with a bag", "label": "motion", "confidence": 0.5, "boxes": [box]}
    writer.finish_videos(
        rows(
            "videos",
            video("v1", 0, 600, indexed_at=at(9000)),
            video("v2", 600, 900, indexed_at=at(9000), status="partial", footage=[]),
            video("v3", 900, 901, status="failed", footage=[], error="empty"),
        ),
        rows("events", event("e1", at(590), at(610), parts=parts, fields=[("bag", "red")], **said)),
        rows("segments", segment("s1", level="video", text="Somebody came.")),
    )


if __name__ == "__main__":
    write_golden(FOLDER)
