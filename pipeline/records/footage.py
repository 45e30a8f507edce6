"""A file as listed and as probed, and the part of its camera's time that it owns."""

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.records.clocks import Clock
from pipeline.records.slides import NO_DECK, Deck
from pipeline.timebase import (
    UNCORRECTED,
    BoolArray,
    ClockCorrection,
    Int64Array,
    TimeRange,
    pts_to_ns,
    without,
)

VideoStatus = Literal["done", "partial", "failed", "erased", "superseded", "pending"]
"""``superseded``: other files of its camera own all of its time; ``pending``: the next run has to
answer some of it."""


def upright_size(width: int, height: int, rotation: int) -> tuple[int, int]:
    """Width and height of a picture of this coded size, once it is turned upright."""
    return (height, width) if rotation in {90, 270} else (width, height)


def make_id(*parts: object) -> str:
    """24 hex digits, a hash of what a thing is: the same thing always gets the same id."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One input file as it was listed; ``problem`` says why it cannot be opened, "" if it can."""

    uri: str
    num_bytes: int
    etag: str
    """Differs when the content may have changed: the store's etag, or mtime of a local file."""
    camera: str
    start_ns: int | None
    """UTC of media time 0 by the camera's uncorrected clock; None if no path or sidecar has it."""
    clock: Clock
    mtime_ns: int | None = None
    warnings: tuple[str, ...] = ()
    problem: str = ""
    unreachable: str = ""
    """Why the listing could not read what it must know about the file; a later run may succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """What ``probe`` reads from one source without decoding it."""

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
    """Degrees counter-clockwise by which the picture is turned upright: 0, 90, 180 or 270."""
    sar: Fraction = Fraction(1)
    """Width of a pixel divided by its height, before ``rotation``."""
    time_base: Fraction
    origin_pts: int
    """PTS of media time 0."""
    footage: tuple[TimeRange, ...]
    """Media time in which a frame is on screen; more than one range if the stream has gaps."""
    yielded: tuple["Yielded", ...] = ()
    """The parts of ``footage`` that other files of the camera own, ascending."""
    erased: tuple[TimeRange, ...] = ()
    """Media time that orders have erased, ascending, also where other files own it: nobody is shown
    it if this file owns it again."""
    num_frames: int
    num_keyframes: int
    correction: ClockCorrection = UNCORRECTED
    warnings: tuple[str, ...] = ()
    has_clock_jumps: bool = False
    """Whether its clock starts again or leaps, so that packets are placed by their order."""
    deck: Deck = NO_DECK
    """The slides beside it, where slides are looked for."""

    @property
    def span(self) -> TimeRange:
        """Media time from the first frame to the end of the last."""
        return TimeRange(self.footage[0].start_ns, self.footage[-1].end_ns)

    @property
    def owned(self) -> tuple[TimeRange, ...]:
        """The parts of ``footage`` that this file owns."""
        return tuple(without(self.footage, (part.span for part in self.yielded)))

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the upright picture, which boxes are in."""
        return upright_size(self.width, self.height, self.rotation)

    def media_ns(self, pts: int) -> int:
        """Media time of a PTS."""
        return pts_to_ns(pts - self.origin_pts, self.time_base)

    def utc_ns(self, media_ns: int) -> int:
        """UTC at a media time."""
        return self.start_ns + self.correction.elapsed_ns(media_ns)

    def media(self, utc: TimeRange) -> TimeRange:
        """Media time of a range of UTC."""
        start_ns, end_ns = (
            self.correction.media_ns(utc_ns - self.start_ns)
            for utc_ns in (utc.start_ns, utc.end_ns)
        )
        return TimeRange(start_ns, max(end_ns, start_ns + 1))

    def utc(self, media: TimeRange) -> TimeRange:
        """UTC of a range of media time. Two ranges that touch still touch in UTC."""
        start_ns = self.utc_ns(media.start_ns)
        return TimeRange(start_ns, max(self.utc_ns(media.end_ns), start_ns + 1))


NO_PTS = np.iinfo(np.int64).min
"""In ``PacketIndex`` the value of a timestamp that the container does not have."""

LEAD_IN_KEYFRAMES = 3
"""Intra-refresh streams need up to this many keyframes before a frame to decode it correctly."""


DIGEST_BYTES = 12


def _no_ticks() -> Int64Array:
    return np.empty(0, np.int64)


def _no_digests() -> npt.NDArray[np.uint8]:
    return np.empty((0, DIGEST_BYTES), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PacketIndex:
    """The packets of one video stream in decode order; row ``i`` of each array is packet ``i``."""

    pts: Int64Array
    dts: Int64Array
    num_bytes: npt.NDArray[np.int32]
    keyframe: BoolArray
    discard: BoolArray
    """True for a packet that is decoded only as a reference and never shown: it lies before the
    start of an edit list."""
    digests: npt.NDArray[np.uint8] = field(default_factory=_no_digests)
    """For each keyframe the hash of the stream before it, of shape [K, 12]; only a whole index has
    them. Appending to a file does not change them."""
    first_row: int = 0
    """The number of packets of the stream before these."""
    shifts: Int64Array = field(default_factory=_no_ticks)
    """What was added to the times of each packet because the clock wraps or jumps; empty if nothing
    was. Times that come round may differ from the file's by a whole period as well."""
    offsets: Int64Array = field(default_factory=_no_ticks)
    """Where in the file each keyframe begins, -1 for other packets; empty if all can be found by
    their times."""
    has_clock_jumps: bool = False
    """See ``Video``; true of a whole index only."""

    def __repr__(self) -> str:
        return f"PacketIndex({len(self)} packets, {int(self.keyframe.sum())} keyframes)"

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
            first_row=self.first_row + part.indices(len(self))[0],
            shifts=self.shifts[part],
            offsets=self.offsets[part],
        )

    @property
    def shown_pts(self) -> Int64Array:
        """The PTS of frames that come on screen, ascending, each once."""
        return np.unique(self.pts[~self.discard & (self.pts != NO_PTS)])


NO_PACKETS = PacketIndex(
    pts=_no_ticks(),
    dts=_no_ticks(),
    num_bytes=np.empty(0, np.int32),
    keyframe=np.empty(0, np.bool_),
    discard=np.empty(0, np.bool_),
)
"""Of what is read by its times alone, as sound is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Yielded:
    """Media time of a file that another file owns, and that other file."""

    span: TimeRange
    uri: str
    video_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """A range of one camera's time that a file can own; UTC in whole microseconds."""

    span: TimeRange
    uri: str
    video_id: str


Precedence: TypeAlias = tuple[int, int, str, str]
"""The least takes precedence: negative number of pixels, UTC microsecond of the first frame, uri,
video id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFile:
    """A file that the index holds, with what decides its overlaps with others of its camera."""

    video_id: str
    uri: str
    camera: str
    ownerships: tuple[Ownership, ...]
    """All the time that it can own, whether it owns it or not."""
    precedence: Precedence
    status: VideoStatus
    owner_ids: frozenset[str]
    """Ids of the videos to which it has yielded time."""
