"""Events and segments once more from windows that are stored, for a damaged index. No Ray here."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import groupby
from typing import Any

import pyarrow as pa

from pipeline.config import Config, stored_config
from pipeline.errors import ConfigError
from pipeline.flow.driver.finish import finish_videos, join_events
from pipeline.flow.driver.ledger import WholeVideo
from pipeline.index.repair import Derived
from pipeline.records import Video, WindowResult
from pipeline.tables.rows import Provenance, window_results
from pipeline.timebase import ClockCorrection, TimeRange


def derive(rows: Sequence[Mapping[str, Any]], windows: pa.Table) -> Derived | None:
    """What whole videos show, by their rows of one task and fingerprint and by all their windows.

    Returns:
        None where this timereel would derive something else than the one that looked at them, and
        where their rows do not tell enough: those of older versions.
    """
    config = _config_of(rows[0])
    if config is None or any(row["origin_pts"] is None for row in rows):
        return None
    results = {
        video_id: sorted(of_video, key=lambda result: result.span)
        for video_id, of_video in groupby(
            sorted(window_results(windows), key=_video_id), key=_video_id
        )
    }
    whole = [
        WholeVideo(
            video=_video(row, results[row["video_id"]]),
            num_shards=row["num_shards"],
            results=tuple(results[row["video_id"]]),
        )
        for row in rows
        if results.get(row["video_id"])
    ]
    provenance = Provenance(
        config=rows[0]["config"], **{name: rows[0][name] for name in Provenance.COLUMNS}
    )
    made = finish_videos(whole, config=config, provenance=provenance)
    counts = {row["video_id"]: row for row in made.videos.to_pylist()}
    return Derived(
        segments=made.segments,
        num_events={video_id: row["num_events"] for video_id, row in counts.items()},
        num_segments={video_id: row["num_segments"] for video_id, row in counts.items()},
        # What other settings have found stays: this mends, and replaces nothing.
        join=partial(
            join_events, shown=made.events, config=config, provenance=provenance, keep=True
        ),
        reach_s=config.stitch.max_gap_s,
    )


def _config_of(row: Mapping[str, Any]) -> Config | None:
    try:
        config = stored_config(row["config"])
    except (ConfigError, ValueError):  # of another version
        return None
    return config if config.fingerprint == row["fingerprint"] else None


def _video_id(result: WindowResult) -> str:
    return result.video_id


def _video(row: Mapping[str, Any], results: Sequence[WindowResult]) -> Video:
    """The video as its row tells it: what reading answers needs of it, and nothing of its packets.

    Windows tile what it speaks for, to the nanosecond.
    """
    return Video(
        video_id=row["video_id"],
        content_id=row["content_id"],
        uri=row["uri"],
        num_bytes=row["num_bytes"],
        etag=row["etag"],
        camera=row["camera"],
        clock=row["clock"],
        start_ns=row["clock_start_ns"],
        stream_index=0,
        codec=row["codec"],
        width=row["width"],
        height=row["height"],
        rotation=row["rotation"],
        time_base=Fraction(row["time_base"]),
        origin_pts=row["origin_pts"],
        footage=(TimeRange(results[0].span.start_ns, results[-1].span.end_ns),),
        num_frames=row["num_frames"],
        num_keyframes=0,
        correction=ClockCorrection.parse(row["clock_correction"]),
        warnings=tuple(row["warnings"]),
    )
