"""The picture of an event: of all that were kept in its time, the one nearest its middle."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

import pyarrow as pa

from pipeline.index.filters import Cameras, Span, Where
from pipeline.index.query import Index
from pipeline.records import Picture, WindowResult
from pipeline.timebase import NS_PER_US, datetime_to_ns

Row: TypeAlias = Mapping[str, Any]

_NEAREST = """
SELECT event_id, arg_min(evidence_id, (distance_us, evidence_id)) AS evidence_id FROM (
    SELECT w.event_id, e.evidence_id, abs(epoch_us(e."at") * 2 - w.twice_middle_us) AS distance_us
    FROM existing e JOIN wanted w ON e.video_id = w.video_id
        AND e.task = w.task AND e.fingerprint = w.fingerprint
        AND e."at" >= w.since AND e."at" < w.until
) GROUP BY event_id
"""


def evidence_of(index: Index, events: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """Rows of ``evidence`` by event id, for rows of ``events``; events without one are missing."""
    wanted = [_wanted(event, part) for event in events for part in event["parts"] or [event]]
    if not wanted:
        return {}
    table = pa.Table.from_pylist(wanted)
    span = Span.parse(min(row["since"] for row in wanted), max(row["until"] for row in wanted))
    cameras = Cameras(exact=tuple(sorted({row["camera"] for row in wanted})))
    near = Where().overlaps(span).of(cameras)
    nearest = index.join("evidence", near, _NEAREST, wanted=table, span=span, cameras=cameras)
    ids = dict(zip(*(nearest[name].to_pylist() for name in nearest.column_names), strict=True))
    pictures = index.select_all(
        "evidence", Where().is_one_of("evidence_id", ids.values()), span=span, cameras=cameras
    )
    by_id = {row["evidence_id"]: row for row in pictures.to_pylist()}
    return {event_id: by_id[evidence_id] for event_id, evidence_id in ids.items()}


def pictures_of(index: Index, windows: Iterable[WindowResult]) -> dict[str, tuple[Picture, ...]]:
    """By window id, the pictures that were kept of these windows."""
    ids = [window.window_id for window in windows]
    if not ids:
        return {}
    where = Where().is_one_of("window_id", ids)
    rows = index.select_all("evidence", where, columns=["window_id", "pts", "webp"], order="")
    pictures: dict[str, tuple[Picture, ...]] = {}
    for row in sorted(rows.to_pylist(), key=lambda row: row["pts"]):
        picture = Picture(pts=row["pts"], webp=row["webp"])
        pictures[row["window_id"]] = (*pictures.get(row["window_id"], ()), picture)
    return pictures


def _wanted(event: Row, part: Row) -> dict[str, Any]:
    """Where a picture of an event may be: in one of its files, as long as that shows it."""
    twice_middle_us = _us(event["start"]) + _us(event["end"])
    return {
        **{name: event[name] for name in ("event_id", "camera", "task", "fingerprint")},
        "video_id": part["video_id"],
        "since": part["start"],
        "until": part["end"],
        "twice_middle_us": twice_middle_us,
    }


def _us(at: datetime) -> int:
    return datetime_to_ns(at) // NS_PER_US
