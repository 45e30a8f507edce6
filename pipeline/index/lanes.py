"""What a timeline draws: events per bin, label and camera, and the coverage of each bin.

The borders of the bins are multiples of their length, so they stay where they are when a viewer
moves the range. The outer bins may therefore reach beyond it.
"""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from dataclasses import dataclass
from typing import Self, Unpack

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.index.coverage import NO_FOOTAGE
from pipeline.index.filters import Names, Span, When, Where
from pipeline.index.query import Index
from pipeline.index.query_filters import QueryOptions
from pipeline.index.rollup import DAY_US, HOUR_US, counted
from pipeline.timebase import Int64Array

MAX_BINS = 10_000


@dataclass(frozen=True, slots=True)
class Bins:
    """Bins of equal length that touch, and together enclose a range."""

    first: int
    """Number of the first bin, from the epoch on."""
    num: int
    step_us: int

    @classmethod
    def of(cls, start: When, end: When, max_bins: int) -> Self:
        """At most ``max_bins`` + 1 bins; from an hour on they are whole hours, from a day on days.

        Raises:
            ConfigError: an end of the range is open or wrong, or the number is out of range.
        """
        span = Span.parse(start, end)
        if span.start_us is None or span.end_us is None:
            raise ConfigError("a timeline needs a start and an end")
        if not 1 <= max_bins <= MAX_BINS:
            raise ConfigError(f"{max_bins} bins: must be from 1 to {MAX_BINS}")
        step_us = -(-(span.end_us - span.start_us) // max_bins)
        for whole_us in (HOUR_US, DAY_US):
            if step_us > whole_us // 2:
                step_us = -(-step_us // whole_us) * whole_us
        first = span.start_us // step_us
        return cls(first, -(-span.end_us // step_us) - first, step_us)

    @property
    def edges_us(self) -> Int64Array:
        """The borders, in microseconds since the epoch [num + 1]."""
        return (self.first + np.arange(self.num + 1, dtype=np.int64)) * self.step_us

    @property
    def span(self) -> Span:
        """From the first border to the last."""
        return Span(self.first * self.step_us, (self.first + self.num) * self.step_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """How many events overlap each bin."""

    bins: Bins
    cameras: tuple[str, ...]
    """In the order of their names; those without events are missing."""
    labels: tuple[str, ...]
    """The most frequent ones, the most frequent first."""
    counts: Int64Array
    """[cameras, labels + 1, bins]; the last row of a camera has all other labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageLanes:
    """The state that has most of the time of each bin; ``no_footage`` only if it has all of it."""

    bins: Bins
    cameras: tuple[str, ...]
    states: npt.NDArray[np.int8]
    """Positions in ``STATES`` [cameras, bins]."""


def density(
    index: Index,
    start: When,
    end: When,
    *,
    max_bins: int,
    max_labels: int,
    by_camera: bool = True,
    **options: Unpack[QueryOptions],
) -> Density:
    """The events of each camera, as one query of each bin alone would count them.

    Args:
        index: what is asked.
        start: of the range.
        end: of the range.
        max_bins: the number of bins is at most one more.
        max_labels: so many labels have rows of their own.
        by_camera: False counts all cameras together, as one lane whose camera is "".
        options: which events count.

    Raises:
        ConfigError: the range is open or wrong, or an option is.
    """
    bins = Bins.of(start, end, max_bins)
    return trimmed(bins, _counted(index, bins, options, by_camera=by_camera), max_labels)


def coverage_lanes(
    index: Index,
    start: When,
    end: When,
    *,
    max_bins: int,
    camera: Names = None,
    task: Names = None,
) -> CoverageLanes:
    """The dominant state of each bin of each camera; of two with equal time the higher one.

    Raises:
        ConfigError: the range is open or wrong.
    """
    bins = Bins.of(start, end, max_bins)
    cameras, lanes = [], []
    for name, borders_us, levels in index.swept_coverage(bins.span, camera, task):
        cameras.append(name)
        lanes.append(dominant(bins.edges_us, borders_us, levels))
    states = np.array(lanes, dtype=np.int8).reshape(len(lanes), bins.num)
    return CoverageLanes(bins=bins, cameras=tuple(cameras), states=states)


def dominant(
    edges_us: Int64Array, borders_us: Int64Array, levels: npt.NDArray[np.int8]
) -> npt.NDArray[np.int8]:
    """The level that has most of the time between each two edges.

    ``no_footage`` is it only where there is nothing else: seconds of footage in a year are seen.

    Args:
        edges_us: between the first and the last border [B + 1].
        borders_us: of ranges that touch [N + 1].
        levels: of each range [N].
    """
    known = np.unique(levels)[::-1]  # argmax takes the first of equals: the highest level
    is_level = (levels == known[:, None]).astype(np.int64)
    until = np.zeros((len(known), len(borders_us)), dtype=np.int64)
    np.cumsum(is_level * np.diff(borders_us), axis=1, out=until[:, 1:])
    i = np.clip(np.searchsorted(borders_us, edges_us, side="right") - 1, 0, len(levels) - 1)
    until_edge = until[:, i] + is_level[:, i] * (edges_us - borders_us[i])
    lasts = np.diff(until_edge, axis=1)
    lasts[known == NO_FOOTAGE] = np.minimum(lasts[known == NO_FOOTAGE], 1)
    best: npt.NDArray[np.int8] = known[lasts.argmax(axis=0)]
    return best


def trimmed(bins: Bins, rows: pa.Table, max_labels: int) -> Density:
    """The density, out of rows camera, label, first, last, num; bins count from the epoch."""
    cameras, camera_of = _numbered(rows["camera"])
    labels, label_of = _numbered(rows["label"])
    first = np.maximum(rows["first"].to_numpy() - bins.first, 0)
    last = np.minimum(rows["last"].to_numpy() - bins.first, bins.num - 1)
    num = rows["num"].to_numpy()
    totals = np.bincount(label_of, num, len(labels)).astype(np.int64)
    order = np.lexsort((np.arange(len(labels)), -totals))
    place = np.minimum(np.argsort(order, kind="stable"), max_labels)
    num_kept = min(len(labels), max_labels)
    change = np.zeros((len(cameras), num_kept + 1, bins.num + 1), dtype=np.int64)
    lane = place[label_of] if len(labels) else label_of
    np.add.at(change, (camera_of, lane, first), num)
    np.subtract.at(change, (camera_of, lane, last + 1), num)
    return Density(
        bins=bins,
        cameras=tuple(cameras),
        labels=tuple(labels[i] for i in order[:num_kept]),
        counts=np.cumsum(change, axis=2)[:, :, :-1],
    )


def _numbered(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The distinct values in order, and the number of each row's value."""
    values = column.to_pylist()
    names = sorted(set(values))
    number = {name: i for i, name in enumerate(names)}
    return names, np.array([number[value] for value in values], dtype=np.int64)


def _counted(index: Index, bins: Bins, options: QueryOptions, *, by_camera: bool) -> pa.Table:
    """How many events begin and end in which bins, counted from the epoch."""
    span, cameras = bins.span, index.cameras(options.get("camera"))
    if not any(value is not None for name, value in options.items() if name != "camera"):
        rolled = counted(index, span, bins.step_us, cameras=cameras, by_camera=by_camera)
        if rolled is not None:
            return rolled
    where = index.conditions("events", options).also(Where().overlaps(span).of(cameras))
    return index.fetch(
        f"""SELECT {"camera" if by_camera else "''"} AS camera, label, count(*) AS num,
            epoch_us("start") // {bins.step_us} AS first,
            (epoch_us("end") - 1) // {bins.step_us} AS last
        FROM {index.source("events", span, cameras)} WHERE {where.sql} GROUP BY ALL""",
        where,
    )
