"""The times that clips are to show. Pure functions on rows of ``events``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.timebase import TimeRange, datetime_to_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A time of one camera; UTC."""

    camera: str
    span: TimeRange
    event_ids: tuple[str, ...] = ()


def around_events(rows: Iterable[Mapping[str, Any]], pad_ns: int) -> list[Wanted]:
    """The time of each event or segment, and as much before and after it, in this order."""
    return [
        Wanted(
            camera=row["camera"],
            span=TimeRange(
                datetime_to_ns(row["start"]) - pad_ns, datetime_to_ns(row["end"]) + pad_ns
            ),
            event_ids=(row["event_id"],) if "event_id" in row else (),
        )
        for row in rows
    ]


def in_time_order(wanted: Iterable[Wanted]) -> list[Wanted]:
    """By start, then by camera; times of one camera that touch or overlap become one."""
    merged: dict[str, list[Wanted]] = {}
    for one in sorted(wanted, key=lambda one: one.span):
        of_camera = merged.setdefault(one.camera, [])
        last = of_camera[-1] if of_camera else None
        if last is None or last.span.end_ns < one.span.start_ns:
            of_camera.append(one)
            continue
        hull = TimeRange(last.span.start_ns, max(last.span.end_ns, one.span.end_ns))
        event_ids = tuple(dict.fromkeys(last.event_ids + one.event_ids))
        of_camera[-1] = replace(last, span=hull, event_ids=event_ids)
    return sorted(
        (one for of_camera in merged.values() for one in of_camera),
        key=lambda one: (one.span.start_ns, one.camera),
    )
