"""Where things lie on a line, in per cent of its length."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.index.coverage import STATES
from pipeline.index.lanes import dominant
from pipeline.timebase import Int64Array

# Narrower than this nothing is seen on paper; events that are closer together become one mark.
_GRAIN = 0.15
_BINS = 1000
_TICK_S = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
    2_592_000,
)
_TICK_MONTHS = (3, 6, 12, 24, 60, 120, 240, 600, 1200)
_MAX_TICKS = 10
_DAY_S = 86_400
_LAST_X = 93
"""The text of a later tick would be cut, on paper too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The period of a report."""

    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        """Per cent of the line; what lies outside of the period is at its end."""
        share = (at - self.start) / (self.end - self.start)
        return round(min(max(share, 0.0), 1.0) * 100, 2)

    def days(self) -> str:
        """The first and the last day; one if they are the same."""
        first, last = self.start.date(), (self.end - timedelta(microseconds=1)).date()
        return f"{first}" if last <= first else f"{first} – {last}"  # noqa: RUF001 - a range

    def ticks(self) -> list[tuple[float, str]]:
        """At most ten round times of day, or dates, with their place."""
        length_s = (self.end - self.start).total_seconds()
        if length_s > _TICK_S[-1] * _MAX_TICKS:
            return [(self.x(at), f"{at:%Y-%m}") for at in self._months() if self.x(at) < _LAST_X]
        step_s = next((s for s in _TICK_S if length_s / s <= _MAX_TICKS), _TICK_S[-1])
        form = "%m-%d" if step_s >= _DAY_S else "%H:%M" if step_s >= 60 else "%H:%M:%S"  # noqa: PLR2004
        first_s = -(-self.start.timestamp() // step_s) * step_s
        ticks: list[tuple[float, str]] = []
        at = datetime.fromtimestamp(first_s, UTC)
        while at < self.end and len(ticks) <= _MAX_TICKS:
            ticks.append((self.x(at), at.strftime(form)))
            at += timedelta(seconds=step_s)
        return [tick for tick in ticks if tick[0] < _LAST_X]

    def _months(self) -> Iterator[datetime]:
        """First days of quarters, years or decades, whatever there are few of in the period."""
        first, end = (at.year * 12 + at.month - 1 for at in (self.start, self.end))
        step = next((n for n in _TICK_MONTHS if (end - first) / n <= _MAX_TICKS), _TICK_MONTHS[-1])
        for month in range(first // step * step + step, end + 1, step):
            yield datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of the line in one state, or one or several events in the row of their label."""

    x: float
    width: float
    name: str
    row: int = 0
    num: int = 1
    title: str = ""


def coverage_of(
    axis: Axis, borders_us: Int64Array, levels: npt.NDArray[np.int8]
) -> Iterator[Stretch]:
    """The states of one camera; of a narrow piece the state that most of it has."""
    start_us, end_us = (round(at.timestamp() * 1e6) for at in (axis.start, axis.end))
    edges_us = np.unique(np.linspace(start_us, end_us, _BINS + 1).astype(np.int64))
    states = dominant(edges_us, borders_us, levels)
    cuts = np.flatnonzero(np.diff(states, prepend=np.int8(-1)))
    ends = np.append(cuts[1:], len(states))
    scale = 100 / (end_us - start_us)
    for first, last in zip(cuts.tolist(), ends.tolist(), strict=True):
        if name := STATES[states[first]]:
            x = round(float(edges_us[first] - start_us) * scale, 2)
            width = round(float(edges_us[last] - edges_us[first]) * scale, 2)
            yield Stretch(x=x, width=width, name=name)


def marks_of(
    axis: Axis, events: Iterable[Mapping[str, Any]], row_of: Mapping[str, int]
) -> list[Stretch]:
    """The events of one camera, ordered by start; those that nobody could tell apart are one."""
    rows: dict[int, list[Stretch]] = {}
    for event in events:
        x = axis.x(event["start"])
        end = max(axis.x(event["end"]), x + _GRAIN)
        row = rows.setdefault(row_of[event["label"]], [])
        title = f"{event['start']:%H:%M:%S} {event['text'] or event['label']}"
        if row and row[-1].name == event["label"] and x < row[-1].x + row[-1].width + _GRAIN:
            last = row.pop()
            x, num, title = last.x, last.num + 1, last.title
            end = max(end, last.x + last.width)
        else:
            num = 1
        row.append(
            Stretch(
                x=x,
                width=round(end - x, 2),
                name=event["label"],
                row=row_of[event["label"]],
                num=num,
                title=title,
            )
        )
    return [mark for row in rows.values() for mark in row]
