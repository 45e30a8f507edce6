"""What a user wants erased: videos, cameras and a range of time; names that exist are no globs."""

from dataclasses import dataclass, replace
from typing import Any

from pipeline.index.filters import ALL, ALWAYS, Cameras, Names, Span, When, Where, as_list
from pipeline.index.query import Index
from pipeline.timebase import NS_PER_US, datetime_to_ns

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be erased: of these videos, and of these cameras, and overlapping ``span``."""

    videos: tuple[str, ...] = ()
    """Ids, uris or globs of uris; none named means all."""
    known_videos: frozenset[str] = frozenset()
    """Those of ``videos`` that are the id or uri of a video, and so no globs."""
    cameras: Cameras = ALL
    span: Span = ALWAYS

    @classmethod
    def parse(
        cls, video: Names = None, camera: Names = None, start: When = None, end: When = None
    ) -> "Scope":
        """From what a user gives; times are ISO 8601 or datetimes, ``end`` is exclusive."""
        return cls(
            videos=tuple(as_list(video)),
            cameras=Cameras.parse(camera),
            span=Span.parse(start, end),
        )

    def within(self, index: Index) -> "Scope":
        """The same, with every name that the index knows taken for nothing but that name."""
        return replace(
            self,
            known_videos=frozenset(index.known_videos(self.videos)),
            cameras=index.cameras((*self.cameras.exact, *self.cameras.globs)),
        )

    def of_videos(self) -> Where:
        """Rows of its videos."""
        where = Where()
        if self.videos:
            clauses = [
                "video_id = ? OR uri = ?" if name in self.known_videos else "uri GLOB ?"
                for name in self.videos
            ]
            values = [
                name for name in self.videos for _ in range(2 if name in self.known_videos else 1)
            ]
            where.add(f"({' OR '.join(clauses)})", *values)
        return where

    def contains(self, row: Row) -> bool:
        """Whether the row's whole range is inside."""
        start_us, end_us = (datetime_to_ns(row[at]) // NS_PER_US for at in ("start", "end"))
        return (self.span.start_us is None or self.span.start_us <= start_us) and (
            self.span.end_us is None or end_us <= self.span.end_us
        )

    def overlaps(self, row: Row) -> bool:
        """Whether the row's range shares an instant with it."""
        start_us, end_us = (datetime_to_ns(row[at]) // NS_PER_US for at in ("start", "end"))
        return (self.span.end_us is None or start_us < self.span.end_us) and (
            self.span.start_us is None or self.span.start_us < end_us
        )
