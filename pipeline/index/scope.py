"""The scope of an order to erase: videos, cameras and a range of time.

A name that the index knows is never a glob.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError
from pipeline.index.filters import ALL, ALWAYS, Cameras, Names, Span, When, Where, list_names
from pipeline.tables.columns import Makers
from pipeline.tables.erasures import COLUMNS
from pipeline.timebase import NS_PER_US, datetime_to_ns

if TYPE_CHECKING:
    from pipeline.index.query import Index

Row = dict[str, Any]

_NUMBERED = re.compile(r"speaker \d+")
"""What a voice without a name is called."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows that are of these videos and of these cameras and overlap ``span``."""

    videos: tuple[str, ...] = ()
    """Ids, uris or globs of uris; an empty tuple means all videos."""
    known_videos: frozenset[str] = frozenset()
    """Those of ``videos`` that are the id or uri of a known video, and so not globs."""
    cameras: Cameras = ALL
    span: Span = ALWAYS
    speakers: tuple[str, ...] = ()
    """Only what these say; an empty tuple means all rows."""

    @classmethod
    def parse(
        cls,
        video: Names = None,
        camera: Names = None,
        start: When = None,
        end: When = None,
        *,
        speaker: Names = None,
    ) -> "Scope":
        """The scope that a user names; times are ISO 8601 or datetimes, ``end`` is exclusive.

        Raises:
            ConfigError: a time is none, there are speakers and a range, or a speaker is a number
                that is somebody else in each video.
        """
        span, speakers = Span.parse(start, end), tuple(list_names(speaker))
        if speakers and span != ALWAYS:
            raise ConfigError(
                "what somebody says is erased in whole videos: give --speaker with --video or"
                " --camera, and no range; a range alone erases what everybody says in it"
            )
        numbers = [name for name in speakers if _NUMBERED.fullmatch(name)]
        if numbers and not list_names(video):
            raise ConfigError(
                f"--speaker {numbers[0]!r}: is somebody else in each video; give --video, too"
            )
        return cls(
            videos=tuple(list_names(video)),
            cameras=Cameras.parse(camera),
            span=span,
            speakers=speakers,
        )

    @classmethod
    def of_order(cls, row: Mapping[str, Any]) -> "Scope":
        """The scope of a row of ``erasures``."""
        scope: Scope = COLUMNS.reader(SCOPE_MAKERS, "scope")(row)
        return scope

    def with_known_names(self, index: "Index") -> "Scope":
        """The same scope, in which a name that the index knows is not a glob.

        A file that is a copy of an indexed one has no row of its own: its name stands for that one.
        """
        known = frozenset(index.known_videos(self.videos))
        copied = frozenset(
            video_id
            for name in self.videos
            if name not in known
            for video_id in _copied_as(index, name)
        )
        return replace(
            self,
            videos=tuple(dict.fromkeys((*self.videos, *sorted(copied)))),
            known_videos=known | copied,
            cameras=index.cameras((*self.cameras.exact, *self.cameras.globs)),
        )

    def with_copies(self, index: "Index") -> "Scope":
        """The same scope, and with each video that it names completely the copies of that video.

        A copy has the same content and camera at another time, as after a renaming or a correction
        of the clock.
        """
        if not self.videos or self.span != ALWAYS:
            return self
        copies = frozenset(_copies(index, self.of_videos().of(self.cameras)))
        names = dict.fromkeys((*self.videos, *sorted(copies)))
        return replace(self, videos=tuple(names), known_videos=self.known_videos | copies)

    def of_videos(self) -> Where:
        """Rows of the videos of this scope."""
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

    def of_rows(self) -> Where:
        """Rows of ``videos`` or ``windows`` that overlap this scope."""
        return self.of_videos().overlaps(self.span).of(self.cameras)

    def of_whole_videos(self) -> Where:
        """Rows of ``videos`` that are completely inside this scope."""
        where = self.of_rows()
        if self.span.start_us is not None:
            where.add('epoch_us("start") >= ?', self.span.start_us)
        if self.span.end_us is not None:
            where.add('epoch_us("end") <= ?', self.span.end_us)
        return where

    def names(self, row: Row) -> bool:
        """Whether a row or an event's part belongs to a video of this scope, by its id or uri."""
        uri = row.get("uri", "")
        return not self.videos or any(
            name in (row["video_id"], uri) if name in self.known_videos else fnmatchcase(uri, name)
            for name in self.videos
        )

    def contains(self, row: Row) -> bool:
        """Whether the whole range of a row is inside the span."""
        start_us, end_us = (datetime_to_ns(row[at]) // NS_PER_US for at in ("start", "end"))
        return (self.span.start_us is None or self.span.start_us <= start_us) and (
            self.span.end_us is None or end_us <= self.span.end_us
        )

    def overlaps(self, row: Row) -> bool:
        """Whether the range of a row overlaps the span."""
        start_us, end_us = (datetime_to_ns(row[at]) // NS_PER_US for at in ("start", "end"))
        return (self.span.end_us is None or start_us < self.span.end_us) and (
            self.span.start_us is None or self.span.start_us < end_us
        )


def _copied_as(index: "Index", name: str) -> set[str]:
    """Ids of the videos of which a copy has this uri, or else one that meets it as a glob.

    A file that has a row of its own is no copy any more.
    """
    for operator in ("=", "GLOB"):
        where = Where().add(f"len([copy FOR copy IN copies IF copy.uri {operator} ?]) > 0", name)
        rows = index.select_all("videos", where, columns=["video_id", "copies"]).to_pylist()
        copied = {(row["video_id"], copy["uri"]) for row in rows for copy in row["copies"]}
        named = {
            (video_id, uri)
            for video_id, uri in copied
            if uri == name or (operator == "GLOB" and fnmatchcase(uri, name))
        }
        own = index.known_videos({uri for _, uri in named})
        if found := {video_id for video_id, uri in named if uri not in own}:
            return found
    return set()


def _copies(index: "Index", named: Where) -> Iterator[str]:
    """Ids of the videos with the content and camera of videos that meet ``named``."""
    columns = ["video_id", "content_id", "camera"]
    rows = index.select_all("videos", named, columns=columns).to_pylist()
    contents = {(row["content_id"], row["camera"]) for row in rows if row["content_id"]}
    if contents:
        same = Where().is_one_of("content_id", {content_id for content_id, _ in contents})
        for row in index.select_all("videos", same, columns=columns).to_pylist():
            if (row["content_id"], row["camera"]) in contents:
                yield row["video_id"]


SCOPE_MAKERS: Makers = {"scope": Scope, "scope.cameras": Cameras, "scope.span": Span}
"""What makes the scope out of a row of ``erasures``."""
