"""Rows of ``videos`` become what their files say to others of their camera."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pipeline.records import IndexedFile, Ownership
from pipeline.timebase import NS_PER_US, TimeRange, datetime_to_ns


def indexed_file(row: Mapping[str, Any]) -> IndexedFile:
    """What a row of ``videos`` says to others of its camera; columns as of ``footage_in_range``."""
    yielded = row["yielded"] or ()
    return IndexedFile(
        video_id=row["video_id"],
        uri=row["uri"],
        camera=row["camera"],
        ownerships=_ownerships(row, [*row["footage"], *yielded]),
        precedence=(
            -row["width"] * row["height"],
            datetime_to_ns(row["start"]) // NS_PER_US,
            row["uri"],
            row["video_id"],
        ),
        status=row["status"],
        owner_ids=frozenset(given["to_video_id"] for given in yielded),
    )


def ownerships_of_row(row: Mapping[str, Any]) -> tuple[Ownership, ...]:
    """What the file of a row of ``videos`` speaks for."""
    return _ownerships(row, row["footage"])


def _ownerships(
    row: Mapping[str, Any], parts: Iterable[Mapping[str, Any]]
) -> tuple[Ownership, ...]:
    """The parts as a claim for each stretch of those that touch."""
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted((part["start"], part["end"]) for part in parts):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        elif start < end:
            merged.append((start, end))
    return tuple(
        Ownership(
            span=TimeRange(datetime_to_ns(start), datetime_to_ns(end)),
            uri=row["uri"],
            video_id=row["video_id"],
        )
        for start, end in merged
    )
