"""What the index holds of a run's files: which are finished, and which failed before. No Ray here.

Every method reads the index anew, so that the driver keeps nothing in memory of an archive that is
done.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from pipeline.config import ClockConfig, Config
from pipeline.index import (
    LISTED_FILES,
    CameraRange,
    Index,
    RunGoal,
    answered_until_ns,
    deck_etags,
    erased_videos,
    failures,
    finished_ids,
    unfinished,
    wrong_yields,
)
from pipeline.records import Source, Video
from pipeline.sources import SourceTable
from pipeline.timebase import NS_PER_US, ClockCorrection, ns_to_datetime

# One query reads all of ``videos``, which takes a second per million rows. Its result takes memory
# for each file of the query.
_FILES_PER_QUERY = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexContents:
    """The index, as a run with one task and fingerprint queries it."""

    index: Index
    goal: RunGoal
    clock: ClockConfig

    @classmethod
    def of(
        cls,
        index: Index,
        config: Config,
        cameras: Iterable[str],
        *,
        include_erased: bool,
        retry_failed: bool,
    ) -> Self:
        """Build the queries of a run over ``cameras``; for the options see ``index_archive``."""
        goal = RunGoal(
            task=config.task.name,
            fingerprint=config.fingerprint,
            include_erased=include_erased,
            retry_failed=retry_failed,
            zones={camera: name for camera in cameras if (name := config.zones_id(camera))},
        )
        return cls(index=index, goal=goal, clock=config.clock)

    def unfinished(self, sources: SourceTable) -> SourceTable:
        """The sources that are not indexed, or have changed since, in their order."""
        todo: list[int] = []
        for first, part in self._listed(sources):
            todo += [first + position for position in unfinished(self.index, part, self.goal)]
        return sources.take(todo)

    def wrong_yields(self, due: SourceTable, listed: Container[str]) -> set[str]:
        """URIs of finished files that yielded time to a file that no longer takes precedence.

        Either that file is ``due`` to be indexed again, or it has changed or was erased since. Or
        it was not listed at that time and would yield now that it is.
        """
        goal = {"task": self.goal.task, "fingerprint": self.goal.fingerprint}
        return {
            row["uri"]
            for _, part in self._listed(due)
            for row in wrong_yields(self.index, part, **goal)
            if row["uri"] in listed and (row["is_outdated"] or row["to_uri"] in listed)
        }

    def _listed(self, sources: SourceTable) -> Iterator[tuple[int, pa.Table]]:
        """Sources, part by part and at least one, as queries take them; each with its position."""
        corrections: dict[str, ClockCorrection] = {}
        for first in range(0, max(len(sources), 1), _FILES_PER_QUERY):
            part = SourceTable(sources.table.slice(first, _FILES_PER_QUERY))
            corrections |= {
                camera: self.clock.of(camera) for camera in part.cameras - corrections.keys()
            }
            yield first, _listed(part, corrections)

    def deck_etags(self, sources: SourceTable) -> dict[str, str]:
        """By URI, which deck the finished ones of these files had when they were indexed."""
        return deck_etags(self.index, sources.uris.to_pylist(), self.goal)

    def finished_ids(self, videos: Collection[Video]) -> set[str]:
        """The ids of those videos that the index holds already, under any file name."""
        if not videos:
            return set()
        ids = [video.video_id for video in videos]
        return finished_ids(self.index, ids, bounds_of(videos), self.goal)

    def erased_contents(self, videos: Iterable[Video]) -> set[tuple[str, str]]:
        """Content id and camera of videos that were erased as a whole, at any time of theirs.

        The content id is needed because a corrected clock moves footage away from the time range
        that was erased.
        """
        if self.goal.include_erased:
            return set()
        rows = erased_videos(self.index, {video.content_id for video in videos})
        return {(row["content_id"], row["camera"]) for row in rows.to_pylist()}

    def answered_until_ns(self, videos: Collection[Video]) -> dict[str, int]:
        """By URI, the media time up to which the index has answers to what the file held before.

        Answers under any settings, because those stay until there are more of this run's.
        """
        if not videos:
            return {}
        uris = {video.uri for video in videos}
        return answered_until_ns(self.index, uris, bounds_of(videos), self.goal.task)

    def failures(self, files: Iterable[Source | Video]) -> set[tuple[str, int, str, str]]:
        """How these files failed before, in the form of ``as_failure``."""
        uris = [file.uri for file in files]
        return failures(self.index, uris, self.goal.task) if uris else set()


def as_failure(file: Source | Video, error: str) -> tuple[str, int, str, str]:
    """Which bytes failed, and why. A failure that is equal to an earlier one is known."""
    return file.uri, file.num_bytes, file.etag, error


def bounds_of(videos: Collection[Video]) -> CameraRange:
    """The cameras and the UTC range of some videos, rounded outwards to whole microseconds."""
    spans = [video.utc(video.span) for video in videos]
    return CameraRange(
        cameras={video.camera for video in videos},
        start=ns_to_datetime(min(span.start_ns for span in spans)),
        end=ns_to_datetime(max(span.end_ns for span in spans) + NS_PER_US),
    )


def _listed(sources: SourceTable, corrections: Mapping[str, ClockCorrection]) -> pa.Table:
    files, texts = sources.table, {name: str(one) for name, one in corrections.items()}
    cameras = files["camera"].to_pylist()
    starts_ns = files["start_ns"].to_pylist()
    columns = [
        pa.array(range(len(sources)), pa.int64()),
        *(files[name] for name in ("uri", "num_bytes", "etag", "camera")),
        pa.array(
            [
                None if ns is None else corrections[camera].utc_ns(ns) // NS_PER_US
                for camera, ns in zip(cameras, starts_ns, strict=True)
            ],
            pa.int64(),
        ),
        pa.array([texts[camera] for camera in cameras], pa.string()),
    ]
    return pa.table(columns, names=LISTED_FILES.names).cast(LISTED_FILES)
