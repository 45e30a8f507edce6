"""A file as listed, as probed, and what of a camera's time it speaks for."""

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.timebase import (
    UNCORRECTED,
    BoolArray,
    ClockCorrection,
    Int64Array,
    TimeRange,
    pts_to_ns,
    without,
)

Clock = Literal["path", "sidecar", "creation_time", "mtime", "none"]
VideoStatus = Literal["done", "partial", "failed", "erased", "superseded", "pending"]
"""``superseded``: it speaks for no moment, since other files of its camera do; ``pending``: some of
it is still to be asked, by the next run."""


def make_id(*parts: object) -> str:
    """24 hex digits named by what a thing is, so that doing it twice gives the same name."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One input as the listing saw it; ``problem`` says why it cannot even be opened."""

    uri: str
    num_bytes: int
    etag: str
    """Changes when the content may have: the store's etag, or mtime of a local file."""
    camera: str
    start_ns: int | None
    """UTC of media time 0 if a path or sidecar says so, by the camera's own clock."""
    clock: Clock
    mtime_ns: int | None = None
    warnings: tuple[str, ...] = ()
    problem: str = ""
    unreachable: str = ""
    """Why the listing could not learn what it must know of the file; a later run may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """What ``probe`` learned about one source without decoding it."""

    video_id: str
    content_id: str
    """Hash of the video stream's packets: equal for byte-identical copies."""
    uri: str
    num_bytes: int
    etag: str
    camera: str
    clock: Clock
    start_ns: int
    """UTC of media time 0, corrected."""
    stream_index: int
    codec: str
    width: int
    """Coded size in pixels, before ``rotation``."""
    height: int
    rotation: int
    """Degrees counter-clockwise that make the picture upright: 0, 90, 180 or 270."""
    sar: Fraction = Fraction(1)
    """Width of a pixel over its height, before ``rotation``."""
    time_base: Fraction
    origin_pts: int
    """Tick of media time 0."""
    footage: tuple[TimeRange, ...]
    """Media time in which a frame is on screen; more than one where the stream has gaps."""
    yielded: tuple["Yielded", ...] = ()
    """What of ``footage`` other files of the camera speak for, ascending."""
    num_frames: int
    num_keyframes: int
    correction: ClockCorrection = UNCORRECTED
    warnings: tuple[str, ...] = ()

    @property
    def span(self) -> TimeRange:
        """Media time from the first frame to the end of the last."""
        return TimeRange(self.footage[0].start_ns, self.footage[-1].end_ns)

    @property
    def owned(self) -> tuple[TimeRange, ...]:
        """The part of ``footage`` that this file speaks for."""
        return tuple(without(self.footage, (given.span for given in self.yielded)))

    def media_ns(self, pts: int) -> int:
        """Media time of a tick."""
        return pts_to_ns(pts - self.origin_pts, self.time_base)

    def utc_ns(self, media_ns: int) -> int:
        """Wall clock at a media time."""
        return self.start_ns + self.correction.elapsed_ns(media_ns)

    def media(self, utc: TimeRange) -> TimeRange:
        """Media time of a stretch of wall clock."""
        start_ns, end_ns = (
            self.correction.media_ns(at - self.start_ns) for at in (utc.start_ns, utc.end_ns)
        )
        return TimeRange(start_ns, max(end_ns, start_ns + 1))

    def utc(self, media: TimeRange) -> TimeRange:
        """Wall clock of a stretch of media time; what touches goes on touching."""
        start_ns = self.utc_ns(media.start_ns)
        return TimeRange(start_ns, max(self.utc_ns(media.end_ns), start_ns + 1))


NO_PTS = np.iinfo(np.int64).min
"""Stands in ``PacketIndex`` for a timestamp the container does not have."""

LEAD_IN_KEYFRAMES = 3
"""Intra-refresh streams need up to so many before what is wanted to show it right."""


DIGEST_BYTES = 12


def _no_digests() -> npt.NDArray[np.uint8]:
    return np.empty((0, DIGEST_BYTES), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketIndex:
    """The packets of one video stream in decode order; row ``i`` of each array is packet ``i``."""

    pts: Int64Array
    dts: Int64Array
    num_bytes: npt.NDArray[np.int32]
    keyframe: BoolArray
    discard: BoolArray
    """Decoded for reference only, never shown (before an edit list's start)."""
    digests: npt.NDArray[np.uint8] = field(default_factory=_no_digests)
    """For each keyframe the hash of the stream before it [K, 12]; only a whole index has them. What
    is appended to a file leaves them as they are."""

    def __len__(self) -> int:
        """Number of packets."""
        return len(self.pts)

    def __getitem__(self, part: slice) -> "PacketIndex":
        """The packets of a range in decode order."""
        return PacketIndex(
            pts=self.pts[part],
            dts=self.dts[part],
            num_bytes=self.num_bytes[part],
            keyframe=self.keyframe[part],
            discard=self.discard[part],
        )

    @property
    def shown_pts(self) -> Int64Array:
        """Ticks at which a new frame comes on screen, ascending, each once."""
        return np.unique(self.pts[~self.discard & (self.pts != NO_PTS)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Yielded:
    """Media time of a file, and who speaks for it."""

    span: TimeRange
    uri: str
    video_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """A stretch of one camera's time that a file can speak for; UTC in whole microseconds."""

    span: TimeRange
    uri: str
    video_id: str


Precedence: TypeAlias = tuple[int, int, str, str]
"""Less is better: pixels (negative), UTC microsecond of the first frame, uri, video id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFile:
    """A file that the index holds, as others of its camera must know it."""

    video_id: str
    uri: str
    camera: str
    ownerships: tuple[Ownership, ...]
    """All that it can speak for, whether it does or not."""
    precedence: Precedence
    status: VideoStatus
    owner_ids: frozenset[str]
    """To whom it has yielded."""
