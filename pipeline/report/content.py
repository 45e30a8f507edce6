"""What the index says of a period, as the report shows it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeline.errors import ConfigError
from pipeline.index import Index, density
from pipeline.index.filters import Names, Span, When
from pipeline.report.timeline import Axis, Stretch, coverage_of, marks_of
from pipeline.timebase import NS_PER_US, ns_to_datetime

Row: TypeAlias = dict[str, Any]

_MAX_EVENTS = 200_000
_ROWS = 4
"""Rows of a timeline; the last one has all further labels."""
_COLORS = 8
_OF_EVENT = ("event_id", "camera", "start", "end", "label", "text", "confidence", "video_id",
             "uri", "parts", "task", "fingerprint", "fields")  # fmt: skip
_OF_VIDEO = ("camera", "start", "end", "status", "video_id", "uri", "video_s", "footage",
             "warnings", "error")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraReport:
    """One camera in the period."""

    name: str
    num_videos: int
    footage_s: float
    coverage: Sequence[Stretch]
    marks: Sequence[Stretch]
    num_rows: int
    events: Sequence[Row]
    days: Sequence[Row]
    """Summaries of its days."""
    chapters: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that the page shows, but for pictures."""

    axis: Axis
    cameras: Sequence[CameraReport]
    colors: Mapping[str, int]
    """Label -> number of its colour; the most frequent label first."""
    bad_files: Sequence[Row]
    """Rows of ``videos`` that failed, as a whole or in part."""
    reviews: Sequence[Row]
    """What people said last about events of the period."""

    @property
    def events(self) -> Iterator[Row]:
        """Of all cameras."""
        return (event for camera in self.cameras for event in camera.events)


def read_report(index: Index, start: When, end: When, camera: Names) -> Report:
    """The content of a report.

    Raises:
        ConfigError: the period has no footage or too many events.
    """
    videos = index.videos(start, end, camera=camera, columns=_OF_VIDEO).to_pylist()
    axis = _axis(videos, start, end)
    counted = density(
        index, axis.start, axis.end, max_bins=1, max_labels=0, camera=camera
    ).counts.sum()
    if counted > _MAX_EVENTS:
        raise ConfigError(
            f"{counted} events lie in this period: name a shorter one, or fewer cameras"
        )
    events = index.events(axis.start, axis.end, camera=camera, columns=_OF_EVENT).to_pylist()
    labels = [name for name, _ in Counter(row["label"] for row in events).most_common()]
    summaries = index.summaries(axis.start, axis.end, camera=camera).to_pylist()
    span = Span.parse(axis.start, axis.end)
    swept = {lane[0]: lane[1:] for lane in index.swept_coverage(span, camera)}
    names = sorted({row["camera"] for row in (*videos, *events)})
    return Report(
        axis=axis,
        cameras=[
            _camera(
                axis,
                name,
                videos=[row for row in videos if row["camera"] == name],
                events=[row for row in events if row["camera"] == name],
                summaries=[row for row in summaries if row["camera"] == name],
                coverage=list(coverage_of(axis, *swept[name])) if name in swept else [],
            )
            for name in names
        ],
        colors={label: number % _COLORS for number, label in enumerate(labels)},
        bad_files=[row for row in videos if row["status"] in {"failed", "partial"}],
        reviews=_reviews(index, events, axis, set(names)),
    )


def _axis(videos: Sequence[Row], start: When, end: When) -> Axis:
    given = Span.parse(start, end)
    shown = [row for row in videos if row["footage"]]
    if not shown and (given.start_us is None or given.end_us is None):
        raise ConfigError("there is no footage to report on; timereel coverage says why")
    return Axis(
        start=min(row["start"] for row in shown)
        if given.start_us is None
        else ns_to_datetime(given.start_us * NS_PER_US),
        end=max(row["end"] for row in shown)
        if given.end_us is None
        else ns_to_datetime(given.end_us * NS_PER_US),
    )


def _camera(
    axis: Axis,
    name: str,
    *,
    videos: Sequence[Row],
    events: Sequence[Row],
    summaries: Sequence[Row],
    coverage: Sequence[Stretch],
) -> CameraReport:
    counts = Counter(row["label"] for row in events).most_common()
    row_of = {label: min(row, _ROWS - 1) for row, (label, _) in enumerate(counts)}
    whole = {row["video_id"]: row for row in videos}
    return CameraReport(
        name=name,
        num_videos=len(whole),
        footage_s=sum(_footage_s(axis, row) for row in whole.values()),
        coverage=coverage,
        marks=marks_of(axis, events, row_of),
        num_rows=max(1, min(len(counts), _ROWS)),
        events=events,
        days=[row for row in summaries if row["level"] == "day"],
        chapters=[row for row in summaries if row["level"] == "chapter"],
    )


def _footage_s(axis: Axis, video: Row) -> float:
    """Seconds of a video in the period."""
    shown: list[float] = [
        (min(one["end"], axis.end) - max(one["start"], axis.start)).total_seconds()
        for one in video["footage"]
    ]
    return sum(max(length_s, 0.0) for length_s in shown)


def _reviews(index: Index, events: Sequence[Row], axis: Axis, cameras: set[str]) -> list[Row]:
    """The newest statements about these events, and about events that were missed."""
    ids = {row["event_id"] for row in events}
    return [
        row
        for row in index.reviews().to_pylist()
        if row["verdict"] != "open"
        and row["camera"] in cameras
        and (row["event_id"] in ids or (row["start"] < axis.end and row["end"] > axis.start))
    ]
