"""What the index holds of a run's files: which need nothing, and which failed before.

Asked as the run comes to them, so that the driver holds nothing of an archive that is done.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from pipeline.config import ClockConfig, Config
from pipeline.index import (
    LISTED,
    Goal,
    Index,
    Near,
    erased_videos,
    failures,
    finished_ids,
    misplaced,
    unfinished,
)
from pipeline.records import Source, Video
from pipeline.timebase import NS_PER_US, ClockCorrection, ns_to_datetime

# Each question reads all of ``videos``, which takes a second per million; its answer takes memory
# for each file that is listed.
_LISTED_AT_ONCE = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexContents:
    """The index, asked on behalf of a run."""

    index: Index
    goal: Goal
    clock: ClockConfig

    @classmethod
    def of(cls, index: Index, config: Config, *, include_erased: bool, retry_failed: bool) -> Self:
        """For the choices see ``index_archive``."""
        goal = Goal(
            task=config.task.name,
            fingerprint=config.fingerprint,
            include_erased=include_erased,
            retry_failed=retry_failed,
        )
        return cls(index=index, goal=goal, clock=config.clock)

    def unfinished(self, sources: Sequence[Source]) -> list[Source]:
        """The sources that the index does not hold as they are now, in their order."""
        corrections: dict[str, ClockCorrection] = {}
        left: list[Source] = []
        for first in range(0, len(sources), _LISTED_AT_ONCE):
            some = sources[first : first + _LISTED_AT_ONCE]
            corrections |= {
                camera: self.clock.of(camera)
                for camera in {source.camera for source in some} - corrections.keys()
            }
            places = unfinished(self.index, _listed(some, corrections), self.goal)
            left += [some[place] for place in places]
        return left

    def misplaced(self, due: Iterable[str], listed: AbstractSet[str]) -> set[str]:
        """URIs of finished files that left time to a file that no longer goes before them.

        That file is ``due`` to be done anew, or changed or erased since; or it was not listed then,
        and would go behind now that it is.
        """
        made = {"task": self.goal.task, "fingerprint": self.goal.fingerprint}
        rows = misplaced(self.index, pa.table({"uri": pa.array(due, pa.string())}), **made)
        return {
            row["uri"]
            for row in rows
            if row["uri"] in listed and (row["is_outdated"] or row["to_uri"] in listed)
        }

    def finished_ids(self, videos: Collection[Video]) -> set[str]:
        """Which of the videos the index holds already, under whatever name."""
        if not videos:
            return set()
        ids = [video.video_id for video in videos]
        return finished_ids(self.index, ids, near(videos), self.goal)

    def erased_contents(self, videos: Iterable[Video]) -> set[tuple[str, str]]:
        """Content id and camera of videos that were erased as a whole, at whatever time.

        A clock set right moves footage away from where it was erased.
        """
        if self.goal.include_erased:
            return set()
        rows = erased_videos(self.index, {video.content_id for video in videos})
        return {(row["content_id"], row["camera"]) for row in rows.to_pylist()}

    def failures(self, files: Iterable[Source | Video]) -> set[tuple[str, int, str, str]]:
        """How these files failed before, as ``as_failure`` names it."""
        uris = [file.uri for file in files]
        return failures(self.index, uris, self.goal.task) if uris else set()


def as_failure(file: Source | Video, error: str) -> tuple[str, int, str, str]:
    """Which bytes failed, and why: the same again is nothing new."""
    return file.uri, file.num_bytes, file.etag, error


def near(videos: Collection[Video]) -> Near:
    """The cameras and the time of some videos, rounded outwards to what tables hold."""
    spans = [video.utc(video.span) for video in videos]
    return Near(
        cameras={video.camera for video in videos},
        start=ns_to_datetime(min(span.start_ns for span in spans)),
        end=ns_to_datetime(max(span.end_ns for span in spans) + NS_PER_US),
    )


def _listed(sources: Sequence[Source], corrections: Mapping[str, ClockCorrection]) -> pa.Table:
    of_camera = {camera: str(correction) for camera, correction in corrections.items()}
    columns = [
        range(len(sources)),
        [source.uri for source in sources],
        [source.num_bytes for source in sources],
        [source.etag for source in sources],
        [source.camera for source in sources],
        [_stated_start_us(source, corrections[source.camera]) for source in sources],
        [of_camera[source.camera] for source in sources],
    ]
    return pa.table(columns, schema=LISTED)


def _stated_start_us(source: Source, correction: ClockCorrection) -> int | None:
    if source.start_ns is None:
        return None
    return correction.utc_ns(source.start_ns) // NS_PER_US
