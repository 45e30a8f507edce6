"""What a timeline draws: events or their number per bin, and the coverage of each bin."""

from datetime import datetime
from typing import Any

import numpy as np

from pipeline.index import (
    Bins,
    CoverageLanes,
    Density,
    Index,
    QueryOptions,
    coverage_lanes,
    density,
)
from pipeline.index.coverage import STATES
from pipeline.see.answers import rows_of
from pipeline.see.questions import Lanes

_MAX_LABELS = 7
"""The page has a colour for so many, and one for the rest."""
_MAX_EVENTS = 1500
"""So many are drawn one by one; of more only their number."""
_BINS_PER_EVENT = 20
_EVENT_COLUMNS = ("event_id", "camera", "start", "end", "label")


def lanes(index: Index, asked: Lanes) -> dict[str, Any]:
    """Events or their density, and the coverage, of the cameras that are asked for."""
    counted = density(
        index,
        asked.start,
        asked.end,
        max_bins=asked.bins,
        max_labels=_MAX_LABELS,
        **asked.options,
    )
    covered = coverage_lanes(
        index, asked.start, asked.end, max_bins=asked.bins, camera=asked.camera or None
    )
    few = _few_events(index, asked, counted)
    return {
        **_of_bins(counted.bins),
        "events": few,
        "density": _density(counted) if few is None else {},
        "coverage": _coverage(covered),
    }


def whole(index: Index, asked: Lanes) -> dict[str, Any]:
    """All cameras together as one lane, for the overview; and the labels by frequency."""
    counted = density(
        index,
        asked.start,
        asked.end,
        max_bins=asked.bins,
        max_labels=50,
        by_camera=False,
        **asked.options,
    )
    total = counted.counts.sum(axis=(0, 1)) if len(counted.cameras) else np.zeros(counted.bins.num)
    return {
        **_of_bins(counted.bins),
        "labels": list(counted.labels),
        "counts": [int(n) for n in total],
    }


def number_of(index: Index, asked: Lanes) -> int:
    """How many events a list without a limit would have."""
    start, end = asked.start, asked.end
    found = index.histogram(start, end, every=_length(start, end), **asked.options)
    return sum(found["num_rows"].to_pylist())


def _length(start: datetime, end: datetime) -> Any:  # noqa: ANN401 - a timedelta
    return end - start


def _of_bins(bins: Bins) -> dict[str, int]:
    return {"start_us": bins.first * bins.step_us, "step_us": bins.step_us, "bins": bins.num}


def _few_events(index: Index, asked: Lanes, counted: Density) -> list[dict[str, Any]] | None:
    """The events themselves; None if there are too many to draw one by one."""
    if int(counted.counts.sum()) > _MAX_EVENTS * _BINS_PER_EVENT:
        return None
    options: QueryOptions = {"columns": _EVENT_COLUMNS, "limit": _MAX_EVENTS + 1}
    found = index.events(asked.start, asked.end, **(asked.options | options))
    return None if found.num_rows > _MAX_EVENTS else rows_of(found)


def _density(counted: Density) -> dict[str, dict[str, list[int]]]:
    """Camera to label to pairs of bin and number, flat; "" stands for all other labels."""
    names = [*counted.labels, ""]
    found: dict[str, dict[str, list[int]]] = {}
    for camera, of_labels in zip(counted.cameras, counted.counts, strict=True):
        lane = found[camera] = {}
        for name, counts in zip(names, of_labels, strict=True):
            bins = np.flatnonzero(counts)
            if len(bins):
                lane[name] = np.stack([bins, counts[bins]], axis=1).ravel().tolist()
    return found


def _coverage(covered: CoverageLanes) -> dict[str, list[Any]]:
    """Camera to runs of equal states: first bin, end bin, state; flat, without ``no_footage``."""
    found: dict[str, list[Any]] = {}
    for camera, states in zip(covered.cameras, covered.states, strict=True):
        cuts = np.flatnonzero(np.diff(states, prepend=-1, append=-1))
        runs = found[camera] = []
        for first, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            if states[first]:
                runs += [first, end, STATES[states[first]]]
    return found
