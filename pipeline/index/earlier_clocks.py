"""Finds what a file held before, if its content and the correction of its clock have both changed.

What the camera's own clock showed is the same under every correction.
"""

import pyarrow as pa

from pipeline.tables.columns import Row
from pipeline.timebase import ClockCorrection, TimeRange, datetime_to_ns

COLUMNS = ("video_id", "uri", "start", "end", "clock_correction")


def under_other_clocks(earlier: pa.Table, videos: pa.Table) -> set[str]:
    """Ids of ``earlier`` videos that one of ``videos`` replaces; both with ``COLUMNS``.

    They have the same uri and overlap by the camera's clock, under another correction.
    """
    made: dict[str, list[tuple[str, TimeRange]]] = {}
    for row in videos.select(COLUMNS).to_pylist():
        made.setdefault(row["uri"], []).append((row["clock_correction"], _shown(row)))
    return {
        row["video_id"]
        for row in earlier.to_pylist()
        for correction, shown in made.get(row["uri"], ())
        if row["clock_correction"] != correction and _shown(row).overlaps(shown)
    }


def _shown(row: Row) -> TimeRange:
    """What the camera's clock showed during a video."""
    correction = ClockCorrection.parse(row["clock_correction"] or "")
    start_ns, end_ns = (correction.camera_ns(datetime_to_ns(row[at])) for at in ("start", "end"))
    return TimeRange(start_ns, max(end_ns, start_ns + 1))
