"""Derives what was found again from stored windows, for a damaged index. No Ray here."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import pyarrow as pa

from pipeline.config import Config, stored_config
from pipeline.errors import ConfigError
from pipeline.flow.driver.finish import finish_videos, join_events
from pipeline.flow.driver.ledger import WholeVideo
from pipeline.flow.task.read_answer import checked
from pipeline.index.repair import Derived
from pipeline.records import Video, WindowResult
from pipeline.tables.shared import Provenance
from pipeline.tables.videos import video_of_row
from pipeline.tables.windows import window_results
from pipeline.timebase import TimeRange


def derive(rows: Sequence[Mapping[str, Any]], windows: pa.Table) -> Derived | None:
    """What whole videos show: ``rows`` of one task and fingerprint, all ``windows``.

    Returns:
        None if this version of timereel would derive something else than the version that answered
        the windows, or if the rows lack a column because an older version wrote them.
    """
    # The zones of the last run hold; they are no part of the fingerprint.
    newest = max(rows, key=lambda row: row["indexed_at"])
    config = _config_of(newest)
    if config is None or any(row["origin_pts"] is None for row in rows):
        return None
    results = {
        video_id: sorted(in_video, key=lambda result: result.span)
        for video_id, in_video in groupby(
            sorted(window_results(windows), key=_video_id), key=_video_id
        )
    }
    whole = [
        WholeVideo(
            video=(video := _video(row, results[row["video_id"]])),
            num_shards=row["num_shards"],
            results=tuple(checked(one, config, video) for one in results[row["video_id"]]),
        )
        for row in rows
        if results.get(row["video_id"])
    ]
    provenance = Provenance.of_row(newest, newest["config"])
    finished = finish_videos(whole, config=config, provenance=provenance)
    counts = {row["video_id"]: row for row in finished.videos.to_pylist()}
    return Derived(
        tables={
            "segments": finished.segments,
            "utterances": finished.utterances,
            "slides": finished.slides,
        },
        num_events={video_id: row["num_events"] for video_id, row in counts.items()},
        # Keep the events of other settings: a repair replaces nothing.
        join=partial(
            join_events,
            video_events=finished.events,
            config=config,
            provenance=provenance,
            keep=True,
        ),
        reach_s=config.stitch.max_gap_s,
    )


def _config_of(row: Mapping[str, Any]) -> Config | None:
    try:
        config = stored_config(row["config"])
    except (ConfigError, ValueError):  # another version wrote it
        return None
    return config if config.fingerprint == row["fingerprint"] else None


def _video_id(result: WindowResult) -> str:
    return result.video_id


def _video(row: Mapping[str, Any], results: Sequence[WindowResult]) -> Video:
    """The video from its row, with all that reading answers needs; it has no packets.

    Its footage comes from its windows, which tile the time that it owns to the nanosecond.
    """
    footage = TimeRange(results[0].span.start_ns, results[-1].span.end_ns)
    return video_of_row(row, (footage,))
